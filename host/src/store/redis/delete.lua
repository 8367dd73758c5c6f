-- Returns the number, and whether there was anything to delete.
if redis.call('EXISTS', KEYS[1]) == 0 then
  return { redis.call('GET', KEYS[3]) or '0', 0 }
end
local number = take_number()
-- Before the deletion, since it does no harm to a key that is still there.
redis.call('SET', KEYS[3], number)
redis.call('DEL', KEYS[1])
return { number, 1 }
