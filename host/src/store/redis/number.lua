-- KEYS: the key, the number of the latest change, that of the last deletion in the key's shard, the
-- timeline. ARGV: the channel of changes, the key's name there, the timeline that the caller knows, then
-- what the script is about.
local timeline = string.match(redis.call('GET', KEYS[4]) or '', '^%d+') or '0'
-- The caller knows of what is gone.
if timeline ~= ARGV[3] then return redis.error_reply('TIMELINE is ' .. timeline) end

-- Numbers follow the clock in microseconds, so that they go on growing when Redis comes back
-- without its last changes; they stay below 2^53, up to which Lua counts exactly.
local function next_number()
  local time = redis.call('TIME')
  local number = time[1] * 1000000 + time[2]
  local latest = tonumber(redis.call('GET', KEYS[2]) or 0)
  if number <= latest then number = latest + 1 end
  return string.format('%016d', number)
end

-- Takes the number of a change and tells of it, before anything is written: Redis takes nothing of a
-- script back, and not every user may publish. A number is counted before it is told, so none is told
-- twice.
local function take_number()
  local number = next_number()
  redis.call('SET', KEYS[2], number)
  redis.call('PUBLISH', ARGV[1], number .. ' ' .. ARGV[2])
  return number
end
