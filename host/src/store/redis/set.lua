local number = take_number()
redis.call('SET', KEYS[1], number .. '=' .. ARGV[4])
return number
