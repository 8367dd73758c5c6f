local number = next_number()
redis.call('SET', KEYS[1], number .. '=' .. ARGV[3])
return changed(number)
