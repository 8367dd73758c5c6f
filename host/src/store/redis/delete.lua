-- Returns the number, and whether there was anything to delete.
if redis.call('DEL', KEYS[1]) == 0 then
  return { redis.call('GET', KEYS[3]) or '0', 0 }
end
local number = next_number()
redis.call('SET', KEYS[3], number)
return { changed(number), 1 }
