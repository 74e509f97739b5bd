//! The steps of the store, in Lua. `KEYS` has four keys for each name: record, lock, spender, failure.
//!
//! A script that reads returns `{now, name, generation, record, name of the failure, failure, spender}`; a text that does not
//! exist is empty, and the number of a name that has nothing is -1.

/// What every script has: the view of the record, and the newest generation.
const COMMON: &str = r"
local function view()
  local time = redis.call('TIME')
  local now = time[1] * 1000 + math.floor(time[2] / 1000)
  local name, g, v, failed, f, s = -1, '', '', -1, '', ''
  for i = 1, #KEYS, 4 do
    local r = redis.call('HMGET', KEYS[i], 'g', 'v')
    if r[1] and (name < 0 or (tonumber(r[1]) or 0) > (tonumber(g) or 0)) then
      name, g, v = (i - 1) / 4, r[1], r[2] or ''
    end
    local spender = redis.call('GET', KEYS[i + 2])
    if spender then s = spender end
  end
  if name >= 0 then
    f = redis.call('GET', KEYS[name * 4 + 4]) or ''
    if f ~= '' then failed = name end
  else
    for i = 1, #KEYS, 4 do
      local failure = redis.call('GET', KEYS[i + 3])
      if failure then failed, f = (i - 1) / 4, failure end
    end
  end
  return {now, name, g, v, failed, f, s}
end
local function each(offset, action)
  for i = 1, #KEYS, 4 do action(KEYS[i + offset], (i - 1) / 4) end
end
local function is_mine(nonce)
  local mine = true
  each(1, function(key) if redis.call('GET', key) ~= nonce then mine = false end end)
  return mine
end
local function unlock(nonce)
  each(1, function(key) if redis.call('GET', key) == nonce then redis.call('DEL', key) end end)
end
local function unmark(nonce)
  each(2, function(key) if redis.call('GET', key) == nonce then redis.call('DEL', key) end end)
end
local function put(generation, first, keep)
  each(0, function(key, name)
    redis.call('HSET', key, 'g', generation, 'v', ARGV[first + name])
    if keep > 0 then redis.call('PEXPIRE', key, keep) else redis.call('PERSIST', key) end
  end)
  each(2, function(key) redis.call('DEL', key) end)
  each(3, function(key) redis.call('DEL', key) end)
end
local function tell(channel)
  each(0, function(key) redis.call('PUBLISH', channel, key) end)
end
";

/// `ARGV`: nothing. Returns the view.
const READ: &str = "return view()";

/// `ARGV`: nonce, lease. Returns `{1, view}`, or `{0, time left}` if another has it.
const LOCK: &str = r"
for i = 1, #KEYS, 4 do
  local holder = redis.call('GET', KEYS[i + 1])
  if holder and holder ~= ARGV[1] then return {0, redis.call('PTTL', KEYS[i + 1])} end
end
each(1, function(key) redis.call('SET', key, ARGV[1], 'PX', ARGV[2]) end)
return {1, view()}
";

/// `ARGV`: nonce, lease, 1 if a refresh token is being spent. Returns 1, or 0 if another has it.
const RENEW: &str = r"
local spends = ARGV[3] == '1'
for i = 1, #KEYS, 4 do
  local holder = redis.call('GET', KEYS[i + 1])
  if holder and holder ~= ARGV[1] and not (spends and redis.call('GET', KEYS[i + 2]) ~= holder) then return 0 end
end
each(1, function(key) redis.call('SET', key, ARGV[1], 'PX', ARGV[2]) end)
if spends then each(2, function(key) redis.call('SET', key, ARGV[1]) end) end
return 1
";

/// `ARGV`: nonce. Returns 1, or 0 if the lock is not mine.
const MARK: &str = r"
if not is_mine(ARGV[1]) then return 0 end
each(2, function(key) redis.call('SET', key, ARGV[1]) end)
return 1
";

/// `ARGV`: nonce, expected generation, generation, time to keep or 0, channel, the record for each name. Returns `{1}`, or
/// `{0, view}` if the generation is another one.
const WRITE: &str = r"
local now = view()
if now[3] ~= ARGV[2] then return {0, now} end
put(ARGV[3], 6, tonumber(ARGV[4]))
unlock(ARGV[1])
tell(ARGV[5])
return {1}
";

/// `ARGV`: generation, time to keep or 0, channel, the record for each name. Returns 1, or 0 if there is one that is not older.
const RESTORE: &str = r"
local now = view()
if now[2] >= 0 and (tonumber(now[3]) or 0) >= tonumber(ARGV[1]) then return 0 end
put(ARGV[1], 4, tonumber(ARGV[2]))
tell(ARGV[3])
return 1
";

/// `ARGV`: nonce, generation, time to keep, channel, the failure for each name. Returns 1, or 0 if the generation is another one.
const FAIL: &str = r"
local same = view()[3] == ARGV[2]
if same then
  each(3, function(key, name) redis.call('SET', key, ARGV[5 + name], 'PX', ARGV[3]) end)
end
unlock(ARGV[1])
unmark(ARGV[1])
tell(ARGV[4])
return same and 1 or 0
";

/// `ARGV`: channel. Returns 1.
const ASK: &str = r"
tell(ARGV[1])
return 1
";

/// `ARGV`: nonce. Returns 1.
const RELEASE: &str = r"
unlock(ARGV[1])
unmark(ARGV[1])
return 1
";

/// `ARGV`: nothing. Writes what ends by itself after a second. Returns 1.
const PROBE: &str = r"
redis.call('SET', KEYS[1], '', 'PX', 1000)
return 1
";

/// A step of the store.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Script {
    Read,
    Lock,
    Renew,
    Mark,
    Write,
    Restore,
    Fail,
    Ask,
    Release,
    Probe,
}

impl Script {
    /// Its text.
    pub(super) fn text(self) -> String {
        let step = match self {
            Self::Read => READ,
            Self::Lock => LOCK,
            Self::Renew => RENEW,
            Self::Mark => MARK,
            Self::Write => WRITE,
            Self::Restore => RESTORE,
            Self::Fail => FAIL,
            Self::Ask => ASK,
            Self::Release => RELEASE,
            Self::Probe => PROBE,
        };
        format!("{COMMON}{step}")
    }
}
