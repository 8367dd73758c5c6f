return { redis.call('GETRANGE', KEYS[1], 0, 15), redis.call('GET', KEYS[3]) or '0' }
