-- ARGV from 4: the number that the caller saw, whether the key existed then, the new value.
local found = redis.call('GETRANGE', KEYS[1], 0, 15)
if ARGV[5] == '1' then
  if found ~= ARGV[4] then return false end
else
  local gone = redis.call('GET', KEYS[3]) or string.rep('0', 16)
  if found ~= '' or gone ~= ARGV[4] then return false end
end
local number = take_number()
redis.call('SET', KEYS[1], number .. '=' .. ARGV[6])
return number
