-- The number of the latest change. ARGV: one that is known to have been given, which a Redis that
-- came back without its last changes may be behind.
local latest = tonumber(redis.call('GET', KEYS[1]) or 0)
local known = tonumber(ARGV[1])
if latest < known then
  latest = known
  redis.call('SET', KEYS[1], string.format('%016d', known))
end
return string.format('%016d', latest)
