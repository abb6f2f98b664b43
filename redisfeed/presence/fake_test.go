package presence

import (
	"context"
	"encoding/json"
	"hash/fnv"
	"slices"
	"sync"
	"testing"
	"time"

	"github.com/redis/go-redis/v9"

	"roost/redisfeed/publish"
	"roost/redisfeed/redistest"
)

// people is a Registry whose users are said to be here or not.
type people struct {
	changed chan struct{}

	mu     sync.Mutex // guards the rest
	here   map[string]int
	marked map[string]bool // and whether they were here when the marks were taken last
}

func newPeople() *people {
	return &people{changed: make(chan struct{}, 1), here: make(map[string]int), marked: make(map[string]bool)}
}

// set gives users so many connections.
func (r *people) set(connections int, users ...string) {
	r.mu.Lock()
	defer r.mu.Unlock()
	for _, user := range users {
		if _, marked := r.marked[user]; !marked {
			r.marked[user] = r.here[user] > 0
		}
		if connections > 0 {
			r.here[user] = connections
		} else {
			delete(r.here, user)
		}
	}
	select {
	case r.changed <- struct{}{}:
	default:
	}
}

// brief gives a user a connection that is over before anybody can have looked.
func (r *people) brief(user string) {
	r.mu.Lock()
	defer r.mu.Unlock()
	if _, marked := r.marked[user]; !marked {
		r.marked[user] = r.here[user] > 0
	}
	delete(r.here, user)
	select {
	case r.changed <- struct{}{}:
	default:
	}
}

func (r *people) Changed() <-chan struct{} { return r.changed }

func (r *people) TakeChanged(each func(user string, was bool)) {
	r.mu.Lock()
	defer r.mu.Unlock()
	for user, was := range r.marked {
		each(user, was)
	}
	clear(r.marked)
}

func (r *people) ConnectionsOf(user string) int {
	r.mu.Lock()
	defer r.mu.Unlock()
	return r.here[user]
}

func (r *people) Shards() int { return 8 }

func (r *people) AppendUsers(part int, dst []string) []string {
	r.mu.Lock()
	defer r.mu.Unlock()
	for user := range r.here {
		h := fnv.New32a()
		_, _ = h.Write([]byte(user))
		if int(h.Sum32())%r.Shards() == part {
			dst = append(dst, user)
		}
	}
	return dst
}

// instance is a Presence under test, with its users.
type instance struct {
	*Writer
	*people
	got  *gotten
	end  func() // ends Run and waits for it; also at the test's end
	dies func() // the same, without taking users out
}

// startInstance runs a Presence for nobody until the test ends.
func startInstance(t testing.TB, cfg publish.Config, ttl time.Duration) *instance {
	t.Helper()
	users, got := newPeople(), new(gotten)
	p := patient(t, cfg, ttl, users, got.add)
	ctx, cancel := context.WithCancel(context.Background())
	done := make(chan struct{})
	go func() {
		defer close(done)
		if err := p.Run(ctx); err != nil {
			t.Error(err)
		}
	}()
	end := func() {
		cancel()
		select {
		case <-done:
		case <-time.After(redistest.Patience):
			t.Error("Run does not return")
		}
	}
	t.Cleanup(end)
	return &instance{Writer: p, people: users, got: got, end: end, dies: func() {
		_ = p.pool.Close() // from here on it can't write
		end()
	}}
}

// gotten are the events that an instance has got.
type gotten struct {
	mu  sync.Mutex
	all []Event
}

func (g *gotten) add(events []Event) {
	g.mu.Lock()
	defer g.mu.Unlock()
	g.all = append(g.all, events...)
}

// of are those of a user, each as + or -.
func (g *gotten) of(user string) (all string) {
	g.mu.Lock()
	defer g.mu.Unlock()
	for _, e := range g.all {
		switch {
		case e.User != user:
		case e.Online:
			all += "+"
		default:
			all += "-"
		}
	}
	return all
}

// exists is the backend's way to ask.
func exists(t testing.TB, server *redistest.Server, user string) bool {
	t.Helper()
	n, err := server.Client().Exists(t.Context(), OnlinePrefix+user).Result()
	if err != nil {
		t.Fatal(err)
	}
	return n == 1
}

func waitOnline(t testing.TB, server *redistest.Server, user string, online bool) {
	t.Helper()
	what := user + " to be offline"
	if online {
		what = user + " to be online"
	}
	redistest.WaitFor(t, what, func() bool { return exists(t, server, user) == online })
}

// instancesOf is on how many instances a user is.
func instancesOf(t testing.TB, cfg publish.Config, users ...string) []int {
	t.Helper()
	asks := must(publish.New(cfg))
	defer asks.Close()
	n, err := Online(t.Context(), asks, users)
	if err != nil {
		t.Fatal(err)
	}
	return n
}

func waitInstances(t testing.TB, cfg publish.Config, user string, want int) {
	t.Helper()
	redistest.WaitFor(t, "the user's instances", func() bool { return instancesOf(t, cfg, user)[0] == want })
}

// events are the messages on the channel.
type events struct {
	t      testing.TB
	server *redistest.Server
	pubsub *redis.PubSub
}

type event struct {
	User   string `json:"user"`
	Online bool   `json:"online"`
}

func watchEvents(t testing.TB, server *redistest.Server) *events {
	t.Helper()
	e := &events{t, server, server.Client().Subscribe(t.Context(), PresenceChannel)}
	t.Cleanup(func() { _ = e.pubsub.Close() })
	if _, err := e.pubsub.Receive(t.Context()); err != nil {
		t.Fatal(err)
	}
	return e
}

// soFar are those that have come since the last call: all that were published before it.
func (e *events) soFar() (got []event) {
	e.t.Helper()
	e.server.Publish(PresenceChannel, `{"user":"that is all"}`)
	for {
		m, err := e.pubsub.ReceiveMessage(e.t.Context())
		if err != nil {
			e.t.Fatal(err)
		}
		var one event
		if err := json.Unmarshal([]byte(m.Payload), &one); err != nil {
			e.t.Fatalf("%q: %v", m.Payload, err)
		}
		if one.User == "that is all" {
			return got
		}
		got = append(got, one)
	}
}

// want wants these, in any order, and no others.
func (e *events) want(want ...event) {
	e.t.Helper()
	got := e.soFar()
	order := func(a, b event) int {
		return slices.Compare([]string{a.User}, []string{b.User})
	}
	slices.SortFunc(got, order)
	slices.SortFunc(want, order)
	if !slices.Equal(got, want) {
		e.t.Errorf("events %v, want %v", got, want)
	}
}
