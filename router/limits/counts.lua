-- Limits on Redis: a list of operations, done one after the other with nothing in between. Says what memory.py says.
--
-- KEYS[1]  what all keys begin with; it holds a hash tag, so that all of them lie in one slot of a cluster
-- ARGV[1]  the operations as JSON; ARGV[2]  the time in milliseconds, or -1 for that of this server
--
-- KEYS[1]:PER:NAME:SUBJECT:m  hash: requests (r) and tokens (t) of the last minute by slot: r<slot>, t<slot>
-- ...:d<day>, ...:M<month>    hash: nano-dollars spent, and held by requests under way
-- KEYS[1]:held                hash: reservations by id;  KEYS[1]:leases  sorted set: when they run out
local base, ops, now = KEYS[1], cjson.decode(ARGV[1]), tonumber(ARGV[2])
if now < 0 then
  local clock = redis.call('TIME')
  now = tonumber(clock[1]) * 1000 + math.floor(tonumber(clock[2]) / 1000)
end
local SLOT, SLOTS, DAY, IN_FLIGHT = 5000, 13, 86400000, 1000
local DAY_KEPT, MONTH_KEPT, HELD_KEPT = 3 * DAY, 40 * DAY, 40 * DAY

local function whole(number) return string.format('%.0f', number) end

-- Months since the year 0, from days since 1970 (Howard Hinnant, "chrono-compatible low-level date algorithms").
local function month_of(days)
  local z = days + 719468
  local era = math.floor(z / 146097)
  local doe = z - era * 146097
  local yoe = math.floor((doe - math.floor(doe / 1460) + math.floor(doe / 36524) - math.floor(doe / 146096)) / 365)
  local doy = doe - (365 * yoe + math.floor(yoe / 4) - math.floor(yoe / 100))
  local mp = math.floor((5 * doy + 2) / 153)
  local month = mp < 10 and mp + 3 or mp - 9
  return (yoe + era * 400 + (month <= 2 and 1 or 0)) * 12 + month - 1
end

local slot, day = math.floor(now / SLOT), math.floor(now / DAY)
local month = month_of(day)

local function month_ends()
  local first = day + 1
  while month_of(first) == month do first = first + 1 end
  return first * DAY - now
end

local function money_key(key, kind, window) return base .. ':' .. key .. ':' .. kind .. whole(window) end

-- Adds to what is held and spent of one day or month; neither falls below nothing.
local function add_money(name, held, spent, kept)
  if held ~= 0 and redis.call('HINCRBY', name, 'held', whole(held)) < 0 then redis.call('HSET', name, 'held', 0) end
  if spent ~= 0 then redis.call('HINCRBY', name, 'spent', whole(spent)) end
  redis.call('PEXPIRE', name, kept)
end

-- What is held and spent; at least what the caller knows of, for a server may forget.
local function read_money(name, known_window, known, window, kept)
  local found = redis.call('HMGET', name, 'spent', 'held')
  local spent, held = tonumber(found[1] or 0), tonumber(found[2] or 0)
  if known_window == window and known > spent then
    redis.call('HSET', name, 'spent', whole(known))
    redis.call('PEXPIRE', name, kept)
    spent = known
  end
  return spent, held
end

-- A counter as it comes: key, most requests, tokens, day, month (-1: not counted), known day and sum, month and sum.
local function read(counter)
  local key = counter[1]
  local s = {requests = 0, tokens = 0, newest = -1, day_spent = 0, day_held = 0, month_spent = 0, month_held = 0}
  s.slots = {r = {}, t = {}}
  if counter[2] >= 0 or counter[3] >= 0 then
    s.minute = base .. ':' .. key .. ':m'
    local flat = redis.call('HGETALL', s.minute)
    for i = 1, #flat, 2 do
      local kind, at, count = string.sub(flat[i], 1, 1), tonumber(string.sub(flat[i], 2)), tonumber(flat[i + 1])
      if at > slot - SLOTS and at <= slot + 1 then
        s.slots[kind][at] = count
        if kind == 'r' then s.requests = s.requests + count else s.tokens = s.tokens + count end
        if at > s.newest then s.newest = at end
      else
        redis.call('HDEL', s.minute, flat[i])
      end
    end
  end
  if counter[4] >= 0 then
    s.day = money_key(key, 'd', day)
    s.day_spent, s.day_held = read_money(s.day, counter[6], counter[7], day, DAY_KEPT)
  end
  if counter[5] >= 0 then
    s.month = money_key(key, 'M', month)
    s.month_spent, s.month_held = read_money(s.month, counter[8], counter[9], month, MONTH_KEPT)
  end
  return s
end

local function told(s)
  local reset = s.newest < 0 and 0 or (s.newest + SLOTS) * SLOT - now
  return {s.requests, s.tokens, reset, s.day_spent, s.day_held, s.month_spent, s.month_held}
end

-- How long until slots that hold `over` together have left the minute.
local function frees(slots, over)
  local order, ends = {}, now
  for at in pairs(slots) do order[#order + 1] = at end
  table.sort(order)
  for _, at in ipairs(order) do
    if over <= 0 then break end
    over = over - slots[at]
    ends = (at + SLOTS) * SLOT
  end
  return ends - now
end

local function let_go(record)
  for _, charge in ipairs(record.charges) do
    if charge.day > 0 then add_money(money_key(charge.key, 'd', record.day), -charge.day, 0, DAY_KEPT) end
    if charge.month > 0 then add_money(money_key(charge.key, 'M', record.month), -charge.month, 0, MONTH_KEPT) end
  end
end

-- Lost reservations: their money is free again, and for a day a late settlement still finds what it is about.
local function sweep()
  local over = redis.call('ZRANGEBYSCORE', base .. ':leases', '-inf', whole(now), 'LIMIT', 0, 200)
  for _, id in ipairs(over) do
    local packed = redis.call('HGET', base .. ':held', id)
    local record = packed and cmsgpack.unpack(packed)
    if not record or record.lapsed then
      redis.call('HDEL', base .. ':held', id)
      redis.call('ZREM', base .. ':leases', id)
    else
      let_go(record)
      record.lapsed = true
      redis.call('HSET', base .. ':held', id, cmsgpack.pack(record))
      redis.call('ZADD', base .. ':leases', whole(now + DAY), id)
    end
  end
end

-- {'r', id, lease, counters, requests, tokens, nano}: all or nothing.
local function reserve(op)
  local counters, standings, worst = op[4], {}, nil
  for i, counter in ipairs(counters) do
    local s, requests, tokens, nano = read(counter), op[5][i], op[6][i], op[7][i]
    standings[i] = s
    local function stands_against(kind, wait)
      if not worst or wait > worst[3] then worst = {i, kind, wait} end
    end
    if counter[2] >= 0 and requests > 0 and s.requests + requests > counter[2] then
      stands_against(1, frees(s.slots.r, s.requests + requests - counter[2]))
    end
    if counter[3] >= 0 and tokens > 0 and s.tokens + tokens > counter[3] then
      stands_against(2, frees(s.slots.t, s.tokens + tokens - counter[3]))
    end
    if counter[4] >= 0 and nano > 0 and s.day_spent + s.day_held + nano > counter[4] then
      stands_against(3, s.day_spent + nano > counter[4] and (day + 1) * DAY - now or IN_FLIGHT)
    end
    if counter[5] >= 0 and nano > 0 and s.month_spent + s.month_held + nano > counter[5] then
      stands_against(4, s.month_spent + nano > counter[5] and month_ends() or IN_FLIGHT)
    end
  end
  local out = worst or {0, 0, 0}
  local record = {slot = slot, day = day, month = month, charges = {}}
  local to_settle = false
  for i, counter in ipairs(counters) do
    local s = standings[i]
    if not worst then
      local requests, tokens, nano = op[5][i], op[6][i], op[7][i]
      local charge = {key = counter[1], tokens = -1, day = -1, month = -1}
      if counter[2] >= 0 and requests > 0 then
        redis.call('HINCRBY', s.minute, 'r' .. whole(slot), whole(requests))
        s.requests = s.requests + requests
        s.newest = math.max(s.newest, slot)
      end
      if counter[3] >= 0 and tokens > 0 then
        redis.call('HINCRBY', s.minute, 't' .. whole(slot), whole(tokens))
        s.tokens = s.tokens + tokens
        s.newest = math.max(s.newest, slot)
        charge.tokens = tokens
      end
      if s.minute then redis.call('PEXPIRE', s.minute, (SLOTS + 1) * SLOT) end
      if counter[4] >= 0 then
        add_money(s.day, nano, 0, DAY_KEPT)
        s.day_held = s.day_held + nano
        charge.day = nano
      end
      if counter[5] >= 0 then
        add_money(s.month, nano, 0, MONTH_KEPT)
        s.month_held = s.month_held + nano
        charge.month = nano
      end
      to_settle = to_settle or charge.tokens > 0 or charge.day > 0 or charge.month > 0
      record.charges[i] = charge
    end
    out[#out + 1] = told(s)
  end
  if to_settle then
    redis.call('HSET', base .. ':held', op[2], cmsgpack.pack(record))
    redis.call('ZADD', base .. ':leases', whole(now + op[3]), op[2])
    redis.call('PEXPIRE', base .. ':held', HELD_KEPT)
    redis.call('PEXPIRE', base .. ':leases', HELD_KEPT)
  end
  return out
end

-- {'s', id, tokens, nano}: in the windows it was reserved in. What is not there was settled before.
local function settle(op)
  local packed = redis.call('HGET', base .. ':held', op[2])
  if not packed then return {} end
  local record = cmsgpack.unpack(packed)
  if not record.lapsed then let_go(record) end
  for i, charge in ipairs(record.charges) do
    local minute = base .. ':' .. charge.key .. ':m'
    if charge.tokens > 0 and redis.call('HEXISTS', minute, 't' .. whole(record.slot)) == 1 then
      local left = redis.call('HINCRBY', minute, 't' .. whole(record.slot), whole(op[3][i] - charge.tokens))
      if left < 0 then redis.call('HSET', minute, 't' .. whole(record.slot), 0) end
    end
    if charge.day >= 0 then add_money(money_key(charge.key, 'd', record.day), 0, op[4][i], DAY_KEPT) end
    if charge.month >= 0 then add_money(money_key(charge.key, 'M', record.month), 0, op[4][i], MONTH_KEPT) end
  end
  redis.call('HDEL', base .. ':held', op[2])
  redis.call('ZREM', base .. ':leases', op[2])
  return {}
end

-- {'a', id, {{key, 'd' or 'M', window, nano}, ...}}: money nothing was reserved for; once for each id.
local function spend(op)
  if not redis.call('SET', base .. ':spend:' .. op[2], 1, 'NX', 'PX', DAY) then return {} end
  for _, add in ipairs(op[3]) do
    local window = add[3] >= 0 and add[3] or (add[2] == 'd' and day or month)
    add_money(money_key(add[1], add[2], window), 0, add[4], add[2] == 'd' and DAY_KEPT or MONTH_KEPT)
  end
  return {}
end

sweep()
local replies = {now}
for i, op in ipairs(ops) do
  if op[1] == 'r' then
    replies[i + 1] = reserve(op)
  elseif op[1] == 's' then
    replies[i + 1] = settle(op)
  elseif op[1] == 'a' then
    replies[i + 1] = spend(op)
  else
    local out = {}
    for n, counter in ipairs(op[2]) do out[n] = told(read(counter)) end
    replies[i + 1] = out
  end
end
return replies
