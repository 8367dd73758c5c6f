-- KEYS: the key, the number of the latest change, the number of the last deletion in the key's shard,
-- the timeline. ARGV: the channel of changes, the key's name on the channel, the timeline that the caller
-- knows, then the arguments of the script that follows.
local timeline = string.match(redis.call('GET', KEYS[4]) or '', '^%d+') or '0'
-- The caller may have read values that this Redis lost.
if timeline ~= ARGV[3] then return redis.error_reply('TIMELINE is ' .. timeline) end

-- Numbers follow the clock in microseconds, so that they still grow when Redis comes back without its
-- last changes. They stay below 2^53, the limit up to which Lua counts exactly.
local function next_number()
  local time = redis.call('TIME')
  local number = time[1] * 1000000 + time[2]
  local latest = tonumber(redis.call('GET', KEYS[2]) or 0)
  if number <= latest then number = latest + 1 end
  return string.format('%016d', number)
end

-- Takes the number of a change and publishes it. Scripts call this before they write, since Redis does
-- not roll back a script, and the user may lack the right to publish. The number is stored before it is
-- published, so that no number is published twice.
local function take_number()
  local number = next_number()
  redis.call('SET', KEYS[2], number)
  redis.call('PUBLISH', ARGV[1], number .. ' ' .. ARGV[2])
  return number
end
