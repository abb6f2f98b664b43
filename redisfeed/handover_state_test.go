package redisfeed

import (
	"flag"
	"os"
	"path/filepath"
	"testing"

	"golang.org/x/sys/unix"

	"roost/internal/wirecodec"
	"roost/redisfeed/internal/boottime"
	"roost/redisfeed/internal/topology"
	"roost/redisfeed/redistest"
)

// record has TestKeptState write the files of testdata again, which is for a new version of the state only, in files of their own.
var record = flag.Bool("record", false, "write the kept states of this version")

// kept is how a feed was configured whose state is kept, and what the state says.
var kept = map[string]struct {
	cfg   Config
	links int
	users Users
}{
	"pattern": {cfg: quick("127.0.0.1:1"), links: 1},
	"user":    {cfg: userMode("127.0.0.1:1"), links: 1, users: Users{Subscribed: 3, Unsubscribing: 1}},
	"sharded": {cfg: shardedAt("127.0.0.1:1"), links: 4, users: Users{Subscribed: 20}},
	"away":    {cfg: userMode("127.0.0.1:1"), users: Users{Unsubscribed: 1}},
}

func userMode(addr string) Config {
	cfg := quick(addr)
	cfg.Mode = PerUser
	return cfg
}

func shardedAt(addr string) Config {
	cfg := quick("")
	cfg.Nodes, cfg.Mode = []string{addr}, Sharded
	return cfg
}

func keptFile(name string) string { return filepath.Join("testdata", "handover", "1-"+name) }

// Every release reads what the one before has written down: these were recorded when version 1 was new.
func TestKeptState(t *testing.T) {
	t.Parallel()
	if *record {
		recordStates(t)
	}
	for name, want := range kept {
		state, err := os.ReadFile(keptFile(name))
		if err != nil {
			t.Fatal(err)
		}
		f, err := New(want.cfg, &collector{})
		if err != nil {
			t.Fatal(err)
		}
		if err := f.Import(state, sockets(t, want.links)); err != nil {
			t.Fatal(err)
		}
		if err := f.FinishImport(); err != nil {
			t.Errorf("%s: %v", name, err)
		}
		if s := f.Status(); s.Connected != (want.links > 0) || s.Users != want.users {
			t.Errorf("%s: status %+v", name, s)
		}
		if n := len(f.imported.links()); n != want.links {
			t.Errorf("%s: %d links", name, n)
		}
		f.DiscardImport()
		_ = f.Close()
	}
}

// sockets are so many.
func sockets(t testing.TB, n int) (all []int) {
	t.Helper()
	for range n {
		pair, err := unix.Socketpair(unix.AF_UNIX, unix.SOCK_STREAM|unix.SOCK_CLOEXEC, 0)
		if err != nil {
			t.Fatal(err)
		}
		_ = unix.Close(pair[1])
		all = append(all, pair[0])
	}
	return all
}

// recordStates writes the states of feeds that run.
func recordStates(t *testing.T) {
	server := redistest.Start(t)
	write := func(name string, feed *Feed) {
		all := frozen(t, feed)
		feed.Unfreeze()
		var state []byte
		for _, p := range all {
			state = append(state, p.section...)
			for _, fd := range p.descriptors {
				_ = unix.Close(fd)
			}
		}
		if err := os.WriteFile(keptFile(name), state, 0o644); err != nil {
			t.Fatal(err)
		}
	}
	write("pattern", connected(t, quick(server.Addr()), &collector{}).Feed)
	cfg := userMode(server.Addr())
	cfg.UnsubscribeDelay = -1
	user := connected(t, cfg, &collector{})
	for _, name := range []string{"alice", "bob", "carol", "dave"} {
		join(t, user.Feed, name)
	}
	if err := user.Prepare(t.Context()); err != nil {
		t.Fatal(err)
	}
	server.Pause() // what is sent is not answered
	user.Release("dave")
	redistest.WaitFor(t, "UNSUBSCRIBE", func() bool { return user.Status().Users.Unsubscribing == 1 })
	write("user", user.Feed)
	c := redistest.StartCluster(t, redistest.ClusterOptions{NoReplicas: true})
	shards := connected(t, sharded(c), &collector{})
	for i := range 20 {
		join(t, shards.Feed, "user"+string(rune('a'+i)))
	}
	write("sharded", shards.Feed)
	server.Resume()
	away := connected(t, userMode(server.Addr()), &collector{})
	join(t, away.Feed, "alice")
	server.Kill()
	redistest.WaitFor(t, "the link to be lost", func() bool { return away.Status().Attempts > 0 })
	write("away", away.Feed)
}

// FuzzState gives feeds states that none has written: they are refused, or say what they know.
func FuzzState(f *testing.F) {
	cfgs := []Config{kept["pattern"].cfg, kept["user"].cfg, kept["sharded"].cfg}
	for mode, name := range []string{"pattern", "user", "sharded", "away"} {
		state, err := os.ReadFile(keptFile(name))
		if err != nil {
			f.Fatal(err)
		}
		f.Add(state, uint8(min(mode, 3)%len(cfgs)))
	}
	f.Fuzz(func(t *testing.T, state []byte, mode uint8) {
		feed, err := New(cfgs[int(mode)%len(cfgs)], &collector{})
		if err != nil {
			t.Fatal(err)
		}
		defer feed.Close()
		if err := feed.Import(state, nil); err != nil {
			t.Fatal(err)
		}
		r := wirecodec.NewReader(state)
		r.Uint(stateVersion)
		if err := feed.sameFeed(r); err != nil || r.Err() != nil {
			return
		}
		feed.restore(r)
		feed.Status()
		if feed.subs == nil || r.Done() != nil {
			return
		}
		feed.subs.ReleaseUnused(feed.monitor.status().Since)
		feed.Acquire("alice", make(awaited, 1))
		feed.Release("alice")
		if s := feed.manager.shards; s != nil && s.view != nil {
			for slot := range uint16(20) {
				s.view.OwnerOf(slot * 700)
			}
		}
	})
}

// A view says the same in the next process.
func TestViewGoesOver(t *testing.T) {
	t.Parallel()
	state, err := os.ReadFile(keptFile("sharded"))
	if err != nil {
		t.Fatal(err)
	}
	f, err := New(kept["sharded"].cfg, &collector{})
	if err != nil {
		t.Fatal(err)
	}
	defer f.Close()
	if err := f.Import(state, sockets(t, kept["sharded"].links)); err != nil {
		t.Fatal(err)
	}
	if err := f.FinishImport(); err != nil {
		t.Fatal(err)
	}
	defer f.DiscardImport()
	view := f.manager.shards.view
	if view == nil || len(view.Masters) != 3 {
		t.Fatalf("view %+v", view)
	}
	again := topology.ReadView(wirecodec.NewReader(view.Append(nil)))
	if !again.Same(view) || again.Asked != view.Asked || view.Asked > boottime.Now() {
		t.Error("the view is another one when it is read")
	}
	for slot := range uint16(16384) {
		if view.OwnerOf(slot) == "" {
			t.Fatalf("slot %d has no master", slot)
		}
	}
}
