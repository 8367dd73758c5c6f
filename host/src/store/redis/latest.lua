-- The number of the latest change. ARGV: one that is known to have been given. A Redis that is behind
-- it came back without its last changes, or took over with a clock that is behind. So any key may be
-- another one than it was, and the number is higher than any that a reader noted, or none would look.
local latest = tonumber(redis.call('GET', KEYS[1]) or 0)
local known = tonumber(ARGV[1])
if latest < known then
  latest = known + 1
  redis.call('SET', KEYS[1], string.format('%016d', latest))
end
return string.format('%016d', latest)
