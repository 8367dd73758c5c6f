-- Returns an error text, or the sum and the number. Redis adds, since Lua has no 64-bit integers.
local found = redis.call('GET', KEYS[1])
-- An absent key counts as 0.
local sum = ARGV[4]
if found then
  if string.sub(found, 17, 17) ~= '#' then return { 'increment of a key that is not a counter' } end
  redis.call('SET', KEYS[1], string.sub(found, 18))
  local added = redis.pcall('INCRBY', KEYS[1], ARGV[4])
  sum = redis.call('GET', KEYS[1])
  -- Restores the old value, since the change is not published yet.
  redis.call('SET', KEYS[1], found)
  if type(added) == 'table' then return { 'increment past the range of i64' } end
end
local number = take_number()
redis.call('SET', KEYS[1], number .. '#' .. sum)
return { sum, number }
