package presence

import (
	"context"
	"crypto/sha1"
	"encoding/hex"

	"github.com/redis/go-redis/v9"
)

// script is a Lua script that Redis runs as one step, on one key.
type script struct {
	text string
	hash string
}

func newScript(text string) script {
	sum := sha1.Sum([]byte(text)) // by which Redis knows it
	return script{text, hex.EncodeToString(sum[:])}
}

// queue puts a call into a pipeline: by the hash, or with the whole text, for a Redis that does not know it yet.
func (s *script) queue(ctx context.Context, pipe redis.Pipeliner, whole bool, key string, args ...any) *redis.Cmd {
	if whole {
		return pipe.Eval(ctx, s.text, []string{key}, args...)
	}
	return pipe.EvalSha(ctx, s.hash, []string{key}, args...)
}

// run runs the whole text. Where few calls are made, this costs less than an answer that Redis does not know the hash.
func (s *script) run(ctx context.Context, on redis.Cmdable, key string, args ...any) *redis.Cmd {
	return on.Eval(ctx, s.text, []string{key}, args...)
}

// Both scripts go by Redis's own clock, in milliseconds, so that no other matters. ARGV is the instance and the TTL
// in milliseconds, 1 if listeners have been told that the user is here, and, if it has one, the instance's name before. The key expires with its last member, which where
// instances have different TTLs need not be that of the call that runs last.
//
// Both answer with the time, in microseconds: above zero if the user has become online or offline by it, and below zero if not.
//
// The order in arrive has reasons. PEXPIREAT says whether there was anybody, and as it comes first, a user of Redis's ACL
// that lacks it fails before there is a key that would stay for ever. When listeners can't be told, the user is not online either:
// so that it is tried again, and told then. A script's steps are seen together, whatever their order.
//
// In depart the key may be gone, because its time ran out, of which there is no message. Listeners who were told that the user is
// here are told now.
var (
	arrive = newScript(`local time = redis.call('TIME')
local now = time[1] * 1000 + math.floor(time[2] / 1000)
time = time[1] * 1000000 + time[2]
redis.call('ZREMRANGEBYSCORE', KEYS[1], '-inf', now)
local till = now + ARGV[2]
local last = redis.call('ZRANGE', KEYS[1], -1, -1, 'WITHSCORES')[2]
last = math.max(till, tonumber(last or 0))
local online = redis.call('PEXPIREAT', KEYS[1], last)
redis.call('ZADD', KEYS[1], till, ARGV[1])
if ARGV[4] then redis.call('ZREM', KEYS[1], ARGV[4]) end
if online == 0 then
  redis.call('PEXPIREAT', KEYS[1], till)
  local told = redis.pcall('PUBLISH', 'user_presence',
    '{"user":' .. cjson.encode(string.sub(KEYS[1], 13)) .. ',"online":true}')
  if type(told) == 'table' and told.err then
    redis.call('ZREM', KEYS[1], ARGV[1])
    return told
  end
  return time
end
return -time`)

	depart = newScript(`if redis.call('ZREM', KEYS[1], ARGV[1], ARGV[4] or ARGV[1]) == 0 and ARGV[3] ~= '1' then return 0 end
local time = redis.call('TIME')
local now = time[1] * 1000 + math.floor(time[2] / 1000)
time = time[1] * 1000000 + time[2]
redis.call('ZREMRANGEBYSCORE', KEYS[1], '-inf', now)
local last = redis.call('ZRANGE', KEYS[1], -1, -1, 'WITHSCORES')[2]
if last then
  redis.call('PEXPIREAT', KEYS[1], last)
  return -time
end
redis.call('PUBLISH', 'user_presence',
  '{"user":' .. cjson.encode(string.sub(KEYS[1], 13)) .. ',"online":false}')
return time`)
)

// What beat answers about the instance before.
const (
	unknown = iota // it was not there: it is new, or was taken for dead, or Redis has lost it
	known          // it was alive
	late           // its time had run out, and nobody had noticed
)

// These three are on the keys of lists. ARGV of beat is the instance and how long it is alive from now on, in milliseconds.
//
// ARGV of enlist is how long the list is kept, in milliseconds, and then users.
//
// claim takes the instance whose time ran out first, if that was long enough ago, and answers with it, or with nothing. ARGV is the
// prefix of those that are taken, how long it is taken for, and how long ago it has to be, both in milliseconds. As long as it is taken
// the instance is the caller's; whoever dies meanwhile is followed by the next caller.
var (
	beat = newScript(`local time = redis.call('TIME')
local now = time[1] * 1000 + math.floor(time[2] / 1000)
local till = redis.call('ZSCORE', KEYS[1], ARGV[1])
redis.call('ZADD', KEYS[1], now + ARGV[2], ARGV[1])
if not till then return 0 end
return tonumber(till) > now and 1 or 2`)

	enlist = newScript(`local time = redis.call('TIME')
redis.call('SADD', KEYS[1], unpack(ARGV, 2))
redis.call('PEXPIREAT', KEYS[1], time[1] * 1000 + ARGV[1])
return 1`)

	claim = newScript(`local time = redis.call('TIME')
local now = time[1] * 1000 + math.floor(time[2] / 1000)
local first = redis.call('ZRANGE', KEYS[1], 0, 0, 'WITHSCORES')
if not first[1] or tonumber(first[2]) > now - ARGV[3] then return '' end
local id = first[1]
if string.sub(id, 1, #ARGV[1]) == ARGV[1] then id = string.sub(id, #ARGV[1] + 1) end
redis.call('ZREM', KEYS[1], first[1])
redis.call('ZADD', KEYS[1], now + ARGV[2], ARGV[1] .. id)
return id`)
)
