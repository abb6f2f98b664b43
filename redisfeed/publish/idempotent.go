package publish

import (
	"context"
	"crypto/rand"
	"crypto/sha256"
	"encoding/base64"
	"errors"
	"fmt"
	"slices"
	"strconv"
	"strings"
	"time"

	"github.com/redis/go-redis/v9"

	"roost/redisfeed/internal/redisnet"
	"roost/redisfeed/internal/topology"
)

// KeyPrefix begins the names of the keys in which Redis remembers what was published under an idempotency key.
const KeyPrefix = "roost:idempotency:"

// KeyNeeds is what the user of the Redis ACL needs beside the rest for PublishIdempotent.
const KeyNeeds = "+evalsha +eval +get +set ~" + KeyPrefix + "*"

// ErrKeyUsed is returned by PublishIdempotent for a key under which something else was published.
var ErrKeyUsed = errors.New("the idempotency key was used for something else")

// Key is under what a batch is published once.
type Key struct {
	Name    string            // whoever publishes the batch again names it again; of any length
	Content [sha256.Size]byte // a digest of what is published: the same for the same batch
	Keep    time.Duration     // for how long Redis remembers it, from the first time; a millisecond at least
}

// Idempotent says what became of a batch with a key.
type Idempotent struct {
	Receivers []int64 // of each message, when it was published: see PublishBatch
	Before    int     // so many of them were published by an earlier call
}

// PublishIdempotent is PublishBatch for a batch that may come again: with the same key, from any process, also at the same time,
// also after an error. What was published before is not published again, the rest is. ErrKeyUsed: the key was another batch's,
// and nothing is published.
//
// A script publishes a batch and remembers it in one step of Redis, so that the answer of a lost connection is not missed. With
// Config.Sharded a script can only do so for one slot: there the key is claimed first, and each message for a user is a step of its own.
// What Redis has lost by a restart or a failover is published again.
func (p *Publisher) PublishIdempotent(ctx context.Context, key Key, batch []Message) (done Idempotent, err error) {
	k := keyed{Publisher: p, key: key, by: rand.Text()[:markBy]}
	if !p.pool.Config().Sharded {
		return k.steps(ctx, []step{k.step("", batch)})
	}
	if _, err := k.steps(ctx, []step{k.claim()}); err != nil {
		if failed := new(BatchError); errors.As(err, &failed) {
			failed.Uncertain = false
		}
		return done, err
	}
	for at := 0; at < len(batch); {
		sharded, end := p.sharded(batch[at]), at+1
		for end < len(batch) && p.sharded(batch[end]) == sharded {
			end++
		}
		more, err := k.steps(ctx, k.run(batch, at, end, sharded))
		done.Receivers, done.Before = append(done.Receivers, more.Receivers...), done.Before+more.Before
		if failed := new(BatchError); errors.As(err, &failed) {
			failed.Published = len(done.Receivers)
		}
		if err != nil {
			return done, err
		}
		at = end
	}
	return done, nil
}

// keyed is a call of PublishIdempotent.
type keyed struct {
	*Publisher
	key Key
	by  string // random, so that a call which go-redis has tried again is not taken for an earlier one
}

// step is a call of the script.
type step struct {
	mark     string // the key of Redis
	messages []Message
	keep     time.Duration
}

// claimSlack is for how much longer a key is claimed than its messages are remembered, which are published later: none of them may be
// remembered when another batch can claim the key.
const claimSlack = time.Minute

// claim is a step that publishes nothing, and fails if the key is another batch's.
func (k *keyed) claim() step {
	s := k.step("", nil)
	s.keep += claimSlack
	return s
}

// run returns the steps of batch[at:end], whose messages are published with one command.
func (k *keyed) run(batch []Message, at, end int, sharded bool) (steps []step) {
	if !sharded {
		return []step{k.step(":"+strconv.Itoa(at), batch[at:end])}
	}
	for ; at < end; at++ {
		s := k.step(":"+strconv.Itoa(at), batch[at:at+1])
		s.mark = KeyPrefix + k.slotTag(batch[at].Name) + strings.TrimPrefix(s.mark, KeyPrefix)
		steps = append(steps, s)
	}
	return steps
}

func (k *keyed) step(part string, messages []Message) step {
	name := sha256.Sum256([]byte(k.key.Name))
	return step{mark: KeyPrefix + digest(name) + part, messages: messages, keep: k.key.Keep}
}

// digest is 128 bits of a digest, as text without spaces and braces.
func digest(sum [sha256.Size]byte) string { return base64.RawURLEncoding.EncodeToString(sum[:16]) }

// slotTag is a hash tag that is in the slot of a user's channel. Where the channel's name itself can't be one, it is a number.
func (p *Publisher) slotTag(user string) string {
	slot := topology.Slot(ChannelPrefix, user)
	tag := "{" + ChannelPrefix + user + "}"
	if topology.Slot("", tag) != slot {
		tag = "{" + strconv.Itoa(int(p.numbers()[slot])) + "}"
	}
	return tag
}

// slotNumbers are the least numbers whose decimal digits are in each slot. To find one takes milliseconds, and a request may need a
// thousand.
func slotNumbers() []int32 {
	numbers := slices.Repeat([]int32{-1}, topology.Slots)
	for n, left := int32(0), topology.Slots; left > 0; n++ {
		if slot := topology.Slot("", strconv.Itoa(int(n))); numbers[slot] < 0 {
			numbers[slot] = n
			left--
		}
	}
	return numbers
}

// steps does some, in one pipeline, and says what became of those that surely are done, from the first on.
func (k *keyed) steps(ctx context.Context, steps []step) (done Idempotent, err error) {
	client, err := k.pool.Client(ctx)
	if err != nil {
		return done, &BatchError{Err: fmt.Errorf("redis publish: %w", err)}
	}
	answers := k.send(ctx, client, steps, false)
	for _, a := range answers {
		if redis.HasErrorPrefix(a.Err(), "NOSCRIPT") { // what is done already is not done again
			answers = k.send(ctx, client, steps, true)
			break
		}
	}
	_, isCluster := client.(*redis.ClusterClient)
	for i, a := range answers {
		m, err := readMarked(a)
		if errors.Is(err, ErrKeyUsed) {
			return done, fmt.Errorf("redis publish: %w", err)
		}
		for _, heard := range m.heard {
			if isCluster && !k.sharded(steps[i].messages[0]) {
				heard = ReceiversUnknown
			}
			done.Receivers = append(done.Receivers, heard)
		}
		if done.Before += m.before; err != nil {
			return done, k.failed(err, len(done.Receivers), answers[i:])
		}
	}
	return done, nil
}

// failed is the BatchError for err, that of the first of answers.
func (k *keyed) failed(err error, published int, answers []*redis.Cmd) *BatchError {
	k.pool.Doubt()
	unsure := func(err error) bool {
		refused := redis.Error(nil)
		return !errors.As(err, &refused) && !redisnet.NotReached(err)
	}
	uncertain := unsure(err)
	for _, a := range answers[1:] {
		uncertain = uncertain || a.Err() == nil || unsure(a.Err())
	}
	if c := k.pool.Config(); redisnet.LacksPermission(err) {
		err = fmt.Errorf("%w: the user lacks a permission for an Idempotency-Key, of %s, or one for publishing, of %s: %w", ErrAuth, KeyNeeds, c.Needs, err)
	} else {
		err = c.Explain(err)
	}
	return &BatchError{Published: published, Uncertain: uncertain, Err: fmt.Errorf("redis publish: %w", err)}
}

// send has Redis run the script for each step: by its hash, or with the whole text, for a Redis that does not know it yet.
func (k *keyed) send(ctx context.Context, client redis.UniversalClient, steps []step, whole bool) (answers []*redis.Cmd) {
	_, _ = client.Pipelined(ctx, func(pipe redis.Pipeliner) error { // each answer has its error
		for _, s := range steps {
			command := "PUBLISH"
			if len(s.messages) > 0 && k.sharded(s.messages[0]) {
				command = "SPUBLISH"
			}
			args := []any{digest(k.key.Content), k.by, s.keep.Milliseconds(), command}
			for _, m := range s.messages {
				args = append(args, Channel(m.Kind, m.Name), m.Payload)
			}
			if whole {
				answers = append(answers, publishOnce.Eval(ctx, pipe, []string{s.mark}, args...))
			} else {
				answers = append(answers, publishOnce.EvalSha(ctx, pipe, []string{s.mark}, args...))
			}
		}
		return nil
	})
	return answers
}

// markBy is the length of keyed.by.
const markBy = 8

// publishOnce publishes what KEYS[1] does not say to be published, and has it say so. ARGV is the digest of the batch, who calls, for how
// long the key is kept, in milliseconds, the command, and channel and payload of each message. The value of the key is the digest, who
// published last, and a space and the receivers for each message that is published. Without messages the key is only claimed, again for
// so long.
//
// It answers how many were published by others before, or -1 for another batch; the receivers; and the error of the message behind these,
// or nothing. The key is written before anything is published, too: where Redis takes no more writes, nothing is published that it can't
// remember.
var publishOnce = redis.NewScript(`local content, by, keep, command = ARGV[1], ARGV[2], ARGV[3], ARGV[4]
local kept = redis.call('GET', KEYS[1])
local heard, before = '', 0
if kept then
  if string.sub(kept, 1, #content) ~= content then return {-1, '', ''} end
  heard = string.sub(kept, #content + #by + 1)
end
local had = select(2, string.gsub(heard, ' ', ' '))
if kept and string.sub(kept, #content + 1, #content + #by) ~= by then before = had end
local all = (#ARGV - 4) / 2
if kept and had == all and all > 0 then return {before, heard, ''} end
redis.call('SET', KEYS[1], content .. by .. heard, 'PX', keep)
local failed, more = '', {heard}
for i = had + 1, all do
  local n = redis.pcall(command, ARGV[3 + 2 * i], ARGV[4 + 2 * i])
  if type(n) == 'table' then
    failed = n.err
    break
  end
  more[#more + 1] = string.format('%d', n)
end
heard = table.concat(more, ' ')
redis.call('SET', KEYS[1], content .. by .. heard, 'PX', keep)
return {before, heard, failed}`)

// marked is an answer of the script.
type marked struct {
	before int     // messages that were published by an earlier call
	heard  []int64 // receivers of those that are published now, these included
}

// readMarked reads an answer. The error may be that of one message, behind those that are published.
func readMarked(answer *redis.Cmd) (m marked, err error) {
	parts, err := answer.Slice()
	if err != nil {
		return m, err
	}
	before, ok1 := parts[0].(int64)
	heard, ok2 := parts[1].(string)
	failed, ok3 := parts[2].(string)
	if !ok1 || !ok2 || !ok3 {
		return m, fmt.Errorf("%w: %v", redisnet.ErrBadReply, parts)
	}
	if before < 0 {
		return m, ErrKeyUsed
	}
	m.before = int(before)
	for _, n := range strings.Fields(heard) {
		number, err := strconv.ParseInt(n, 10, 64)
		if err != nil {
			return m, fmt.Errorf("%w: %v", redisnet.ErrBadReply, parts)
		}
		m.heard = append(m.heard, number)
	}
	if failed != "" {
		return m, redisnet.ReplyError(failed)
	}
	return m, nil
}
