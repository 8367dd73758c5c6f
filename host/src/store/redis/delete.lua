-- Returns the number, and whether the key existed.
if redis.call('EXISTS', KEYS[1]) == 0 then
  return { redis.call('GET', KEYS[3]) or '0', 0 }
end
local number = take_number()
-- This write precedes the deletion, since it does no harm if the key remains.
redis.call('SET', KEYS[3], number)
redis.call('DEL', KEYS[1])
return { number, 1 }
