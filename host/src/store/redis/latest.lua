-- Returns the number of the latest change. ARGV: the highest number that the caller knows. A Redis with a
-- lower number came back without its last changes, or took over with a clock that is behind. Any key may
-- then have changed. The new number exceeds all numbers that readers noted, so that readers read again.
local latest = tonumber(redis.call('GET', KEYS[1]) or 0)
local known = tonumber(ARGV[1])
if latest < known then
  latest = known + 1
  redis.call('SET', KEYS[1], string.format('%016d', latest))
end
return string.format('%016d', latest)
