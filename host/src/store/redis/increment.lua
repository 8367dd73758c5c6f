-- Returns what went wrong, or the sum and the number. Redis adds, since Lua has no 64-bit integers.
local found = redis.call('GET', KEYS[1])
local before = '0'
if found then
  if string.sub(found, 17, 17) ~= '#' then return { 'increment of a key that is not a counter' } end
  before = string.sub(found, 18)
end
redis.call('SET', KEYS[1], before)
local added = redis.pcall('INCRBY', KEYS[1], ARGV[3])
if type(added) == 'table' then
  -- An absent key counts as 0, to which every delta can be added.
  redis.call('SET', KEYS[1], found or before)
  return { 'increment past the range of i64' }
end
local sum = redis.call('GET', KEYS[1])
local number = next_number()
redis.call('SET', KEYS[1], number .. '#' .. sum)
return { sum, changed(number) }
