package publish

import (
	"cmp"
	"context"
	"crypto/sha256"
	"errors"
	"fmt"
	"slices"
	"strings"
	"sync"
	"testing"
	"time"

	"github.com/alicebob/miniredis/v2"
	"github.com/redis/go-redis/v9"

	"roost/redisfeed/internal/topology"
	"roost/redisfeed/redistest"
)

func keyOf(name, content string) Key {
	return Key{Name: name, Content: sha256.Sum256([]byte(content)), Keep: time.Minute}
}

// listener counts what comes on all channels.
type listener struct{ *redis.PubSub }

func listenTo(t *testing.T, client *redis.Client) listener {
	t.Helper()
	l := listener{client.PSubscribe(t.Context(), "*")}
	t.Cleanup(func() { _ = l.Close() })
	if _, err := l.Receive(t.Context()); err != nil {
		t.Fatal(err)
	}
	return l
}

// want wants these payloads, and then nothing until client has published one more.
func (l listener) want(t *testing.T, client *redis.Client, payloads ...string) {
	t.Helper()
	if err := client.Publish(t.Context(), "end", "end").Err(); err != nil {
		t.Fatal(err)
	}
	ctx, cancel := context.WithTimeout(t.Context(), redistest.Patience)
	defer cancel()
	var got []string
	for {
		m, err := l.ReceiveMessage(ctx)
		if err != nil {
			t.Fatal(err)
		}
		if m.Channel == "end" {
			break
		}
		got = append(got, m.Payload)
	}
	if !slices.Equal(got, payloads) {
		t.Errorf("published %.300q, want %.300q", got, payloads)
	}
}

func payloads(batch []Message) (all []string) {
	for _, m := range batch {
		all = append(all, m.Payload)
	}
	return all
}

// A batch comes through once, however often and from wherever it is published, and each call is told the same.
func TestIdempotent(t *testing.T) {
	t.Parallel()
	server := redistest.Start(t)
	idempotentOn(t, server.Client(), server.Addr())
}

func TestIdempotentOnMiniredis(t *testing.T) {
	t.Parallel()
	server := miniredis.RunT(t)
	client := redis.NewClient(&redis.Options{Addr: server.Addr(), Protocol: 2})
	defer client.Close()
	idempotentOn(t, client, server.Addr())
}

func idempotentOn(t *testing.T, client *redis.Client, addr string) {
	t.Helper()
	one, another := patient(Config{Addr: addr}), patient(Config{Addr: addr})
	defer one.Close()
	defer another.Close()
	heard := listenTo(t, client)
	batch := batchOf(1000)
	for i, p := range []*Publisher{one, one, another} {
		done, err := p.PublishIdempotent(t.Context(), keyOf("k", "a"), batch)
		if err != nil || !slices.Equal(done.Receivers, slices.Repeat([]int64{1}, 1000)) || done.Before != min(i, 1)*1000 {
			t.Fatalf("call %d: %d before, %d receivers, %v", i, done.Before, len(done.Receivers), err)
		}
	}
	heard.want(t, client, payloads(batch)...)
	if done, err := another.PublishIdempotent(t.Context(), keyOf("k", "b"), batch[:1]); !errors.Is(err, ErrKeyUsed) || done.Before != 0 {
		t.Errorf("another batch: %+v, %v", done, err)
	}
	if _, err := another.PublishIdempotent(t.Context(), keyOf("k2", "b"), batch[:1]); err != nil {
		t.Errorf("another key: %v", err)
	}
	heard.want(t, client, "0")
	for _, name := range []string{"k", "k2"} {
		mark := (&keyed{key: keyOf(name, "")}).step("", nil).mark
		if ttl := client.PTTL(t.Context(), mark).Val(); ttl <= 0 || ttl > time.Minute {
			t.Errorf("%s is kept for %s", mark, ttl)
		}
		client.Del(t.Context(), mark)
	}
	if done, err := one.PublishIdempotent(t.Context(), keyOf("k", "b"), batch[:1]); err != nil || done.Before != 0 {
		t.Errorf("once forgotten: %+v, %v", done, err)
	}
}

func TestIdempotentAtOnce(t *testing.T) {
	t.Parallel()
	server := redistest.Start(t)
	heard := listenTo(t, server.Client())
	batch := batchOf(100)
	var publishers []*Publisher
	for range 2 {
		p := patient(Config{Addr: server.Addr()})
		defer p.Close()
		publishers = append(publishers, p)
	}
	var all sync.WaitGroup
	var mu sync.Mutex
	first := 0
	for i := range 20 {
		all.Go(func() {
			done, err := publishers[i%2].PublishIdempotent(t.Context(), keyOf("k", "a"), batch)
			if err != nil || len(done.Receivers) != len(batch) {
				t.Errorf("%d receivers, %v", len(done.Receivers), err)
			}
			mu.Lock()
			defer mu.Unlock()
			if done.Before == 0 {
				first++
			}
		})
	}
	all.Wait()
	if first != 1 {
		t.Errorf("%d calls say that they published", first)
	}
	heard.want(t, server.Client(), payloads(batch)...)
}

// Whoever gets no answer asks again, and hears what became of it.
func TestIdempotentWithoutAnswer(t *testing.T) {
	t.Parallel()
	server := redistest.Start(t)
	heard := listenTo(t, server.Client())
	for _, retries := range []int{0, 3} {
		proxy := &redistest.Proxy{Target: server.Addr()}
		proxy.Start(t)
		p := patient(Config{Addr: proxy.Addr, MaxRetries: retries})
		defer p.Close()
		key, batch := keyOf(fmt.Sprint(retries), "a"), batchOf(3)
		if _, err := p.PublishIdempotent(t.Context(), keyOf("another", "b"), nil); err != nil { // Redis knows the script
			t.Fatal(err)
		}
		proxy.Mute()
		var cut sync.WaitGroup
		cut.Go(func() {
			redistest.WaitFor(t, "the script to have run", func() bool {
				return server.Client().Exists(t.Context(), (&keyed{key: key}).step("", nil).mark).Val() == 1
			})
			proxy.TurnTo(server.Addr())
		})
		done, err := p.PublishIdempotent(t.Context(), key, batch)
		cut.Wait()
		failed := new(BatchError)
		switch {
		case retries > 0 && (err != nil || done.Before != 0 || len(done.Receivers) != 3): // go-redis asks again
			t.Errorf("%+v, %v", done, err)
		case retries == 0 && (!errors.As(err, &failed) || failed.Published != 0 || !failed.Uncertain):
			t.Errorf("without an answer: %+v", failed)
		}
		if done, err = p.PublishIdempotent(t.Context(), key, batch); err != nil || done.Before != 3 || !slices.Equal(done.Receivers, []int64{1, 1, 1}) {
			t.Errorf("again: %+v, %v", done, err)
		}
		heard.want(t, server.Client(), payloads(batch)...)
	}
}

// What a failure has left out is published by the next call, and the rest is not published again.
func TestIdempotentGoesOn(t *testing.T) {
	t.Parallel()
	server := redistest.Start(t)
	heard := listenTo(t, server.Client())
	may := append(strings.Fields(KeyNeeds), "+publish", "&user_noti:*", "&user_noti_all")
	redistest.Allow(t, server.Client(), "backend", "secret", may)
	p := patient(Config{Addr: server.Addr(), Username: "backend", Password: "secret"})
	defer p.Close()
	batch := batchOf(5)
	for range 2 {
		done, err := p.PublishIdempotent(t.Context(), keyOf("k", "a"), batch)
		failed := new(BatchError)
		if !errors.As(err, &failed) || !errors.Is(err, ErrAuth) || failed.Published != 2 || failed.Uncertain || len(done.Receivers) != 2 {
			t.Errorf("refused: %+v, %+v", done, failed)
		}
	}
	redistest.SetUser(t, server.Client(), "backend", "allchannels")
	if done, err := p.PublishIdempotent(t.Context(), keyOf("k", "a"), batch); err != nil || done.Before != 2 || len(done.Receivers) != 5 {
		t.Errorf("then: %+v, %v", done, err)
	}
	heard.want(t, server.Client(), payloads(batch)...)
}

// What docs/redis.md has for idempotency keys is enough, and each part of it is needed: without it nothing is published.
func TestIdempotentACL(t *testing.T) {
	t.Parallel()
	server := redistest.Start(t)
	heard := listenTo(t, server.Client())
	all := redistest.Documented(t, "../..", "… with `Idempotency-Key`")
	if got := strings.Join(all, " "); got != KeyNeeds {
		t.Errorf("docs/redis.md has %q, errors say %q", got, KeyNeeds)
	}
	for i := range len(all) + 1 {
		may, name, missing := all, "roost", ""
		if i < len(all) {
			may, missing = redistest.Without(all, i), all[i]
			name = "without:" + missing
		}
		redistest.Allow(t, server.Client(), name, "pw", append(redistest.Documented(t, "../..", "Roost, `pattern`"), may...))
		if err := server.Client().ScriptFlush(t.Context()).Err(); err != nil {
			t.Fatal(err)
		}
		p := patient(Config{Addr: server.Addr(), Username: name, Password: "pw"})
		_, err := p.PublishIdempotent(t.Context(), keyOf(name, "a"), batchOf(1))
		p.Close()
		if missing == "" {
			heard.want(t, server.Client(), "0")
			if err != nil {
				t.Error(err)
			}
			continue
		}
		heard.want(t, server.Client())
		if !errors.Is(err, ErrAuth) || !strings.Contains(err.Error(), KeyNeeds) {
			t.Errorf("without %s: %v", missing, err)
		}
		if failed := new(BatchError); !errors.As(err, &failed) || failed.Published != 0 || failed.Uncertain {
			t.Errorf("without %s: %+v", missing, failed)
		}
	}
}

// Where Redis takes no writes, nothing is published that it could not remember.
func TestIdempotentWithoutMemory(t *testing.T) {
	t.Parallel()
	server := redistest.Start(t)
	heard := listenTo(t, server.Client())
	p := patient(Config{Addr: server.Addr()})
	defer p.Close()
	if err := server.Client().ConfigSet(t.Context(), "maxmemory", "1").Err(); err != nil {
		t.Fatal(err)
	}
	_, err := p.PublishIdempotent(t.Context(), keyOf("k", "a"), batchOf(2))
	if failed := new(BatchError); !errors.As(err, &failed) || failed.Published != 0 || failed.Uncertain || !strings.Contains(err.Error(), "OOM") {
		t.Errorf("%+v", failed)
	}
	if err := server.Client().ConfigSet(t.Context(), "maxmemory", "0").Err(); err != nil {
		t.Fatal(err)
	}
	heard.want(t, server.Client())
}

func TestIdempotentOnACluster(t *testing.T) {
	if testing.Short() {
		t.Skip("starts a cluster")
	}
	t.Parallel()
	cluster := redistest.StartCluster(t, redistest.ClusterOptions{})
	cluster.KeepRoles()
	for _, isSharded := range []bool{false, true} {
		one, another := patient(Config{Nodes: cluster.Addrs(), Sharded: isSharded}), patient(Config{Nodes: cluster.Addrs(), Sharded: isSharded})
		defer one.Close()
		defer another.Close()
		users := []string{"alice", "bob", "{x}carol", "a}b", "{}d", "e{", "f"}
		var batch []Message
		counts := make(map[string]*redis.PubSub)
		for i, user := range slices.Concat(users, users) {
			batch = append(batch, Message{Kind: ForUser, Name: user, Payload: fmt.Sprint(i)})
			if i%3 == 1 {
				batch = append(batch, Message{Kind: ForGroup, Name: "staff", Payload: fmt.Sprint(i)}, Message{Kind: Command, Name: user, Payload: "{}"})
			}
			if counts[user] == nil && isSharded {
				counts[user] = cluster.Client().SSubscribe(t.Context(), ChannelPrefix+user)
				defer counts[user].Close()
				if _, err := counts[user].Receive(t.Context()); err != nil {
					t.Fatal(err)
				}
			}
		}
		var all sync.WaitGroup
		var mu sync.Mutex
		published := 0
		for i := range 8 {
			all.Go(func() {
				p := []*Publisher{one, another}[i%2]
				done, err := p.PublishIdempotent(t.Context(), keyOf(fmt.Sprint(isSharded), "a"), batch)
				if err != nil || len(done.Receivers) != len(batch) {
					t.Errorf("%+v, %v", done, err)
				}
				for n, heard := range done.Receivers {
					want := ReceiversUnknown
					if isSharded && batch[n].Kind == ForUser {
						want = 1
					}
					if heard != want {
						t.Errorf("message %d is heard by %d, want %d", n, heard, want)
					}
				}
				mu.Lock()
				defer mu.Unlock()
				published += len(batch) - done.Before
			})
		}
		all.Wait()
		if published != len(batch) {
			t.Errorf("%d messages are published, want %d", published, len(batch))
		}
		ctx, cancel := context.WithTimeout(t.Context(), redistest.Patience)
		defer cancel()
		for i, user := range slices.Concat(users, users) {
			if !isSharded {
				continue
			}
			if m, err := counts[user].ReceiveMessage(ctx); err != nil || m.Payload != fmt.Sprint(i) {
				t.Errorf("%s hears %v, %v, want %d", user, m, err, i)
			}
		}
		for _, other := range [][]Message{batch[1:], {{Kind: ForUser, Name: "zoe", Payload: "x"}}} {
			if _, err := one.PublishIdempotent(t.Context(), keyOf(fmt.Sprint(isSharded), "b"), other); !errors.Is(err, ErrKeyUsed) {
				t.Errorf("another batch: %v", err)
			}
		}
	}
}

func TestSlotTag(t *testing.T) {
	t.Parallel()
	p := &Publisher{numbers: sync.OnceValue(slotNumbers)}
	for _, user := range []string{"alice", "{x}carol", "a}b", "{}d", "e{", "f}{g}", "{a{b}c", "}{"} {
		if tag := p.slotTag(user); topology.Slot("", KeyPrefix+tag+"x{y}") != topology.Slot(ChannelPrefix, user) {
			t.Errorf("%q: %s is in another slot", user, tag)
		}
	}
	if tag := p.slotTag("a}b"); tag != "{12560}" { // what instances of other releases take, too
		t.Errorf("the tag is %s", tag)
	}
}

// Names that can't be hash tags cost no search: a request may have a thousand of them. Not parallel: it counts allocations.
func TestSlotTagIsFoundAtOnce(t *testing.T) {
	p := &Publisher{numbers: sync.OnceValue(slotNumbers)}
	if n := testing.AllocsPerRun(100, func() { p.slotTag("a}b") }); n > 5 {
		t.Errorf("%v allocations for a tag", n)
	}
}

// patient is a Publisher that waits for an answer, and to connect, however long a busy machine leaves Redis without a turn.
func patient(cfg Config) *Publisher {
	cfg.AnswerTimeout, cfg.Timeout = redistest.Patience, cmp.Or(cfg.Timeout, redistest.Patience)
	p, err := New(cfg)
	if err != nil {
		panic(err)
	}
	return p
}
