package deliver

import (
	"os"
	"slices"
	"strings"
	"syscall"
	"testing"
	"time"

	"github.com/gorilla/websocket"
	"github.com/redis/go-redis/v9"

	"roost/cmd/roost/internal/e2e"
	"roost/cmd/roost/internal/roosttest"
	"roost/redisfeed/redistest"
)

// resumeFor is how long clients come and go: a few seconds, or what ROOST_RESUME_FOR says.
func resumeFor(t *testing.T) time.Duration {
	text := os.Getenv("ROOST_RESUME_FOR")
	if text == "" {
		return 4 * time.Second
	}
	d, err := time.ParseDuration(text)
	if err != nil {
		t.Fatal(err)
	}
	return d
}

// resumeRate is how many notifications are published a second, to about 20 users: ten and more while one of them is away for a moment.
func resumeRate(t *testing.T) int {
	if os.Getenv("ROOST_RESUME_FOR") == "" {
		return 1200
	}
	return fromEnvironment(t, "ROOST_RESUME_RATE", 4000)
}

// TestNothingIsMissedByClientsThatComeBack has two instances on one Redis, and clients that are cut off at random and come
// back to a random instance. Each has everything that was published for it, for its group and for everyone, once and in
// order, without a single gap.
func TestNothingIsMissedByClientsThatComeBack(t *testing.T) {
	t.Parallel()
	r := startResuming(t)
	r.run(resumeFor(t), nil)
	r.wantNoGap()
	var resumed float64
	for _, s := range r.servers {
		resumed += s.Metrics()[`roost_resumes_total{result="resumed"}`]
	}
	t.Logf("%.0f resumed", resumed)
	if resumed == 0 || int64(resumed) > r.cuts.Load() {
		t.Errorf("%.0f resumed of %d that were cut off", resumed, r.cuts.Load())
	}
}

// TestNothingIsMissedWithAReplica is the same with an instance that reads from a replica.
func TestNothingIsMissedWithAReplica(t *testing.T) {
	t.Parallel()
	master := redistest.Start(t)
	replica := redistest.Start(t, "--replicaof", master.Host(), portOf(master), "--repl-diskless-sync-delay", "0")
	roosttest.WaitFor(t, "the replica to follow", func() bool {
		info, err := replica.Client().Info(t.Context(), "replication").Result()
		return err == nil && strings.Contains(info, "master_link_status:up")
	})
	markers := replica.Client().Subscribe(t.Context(), "roost:heartbeat:marker")
	defer func() { _ = markers.Close() }()
	if _, err := markers.Receive(t.Context()); err != nil { // it is subscribed
		t.Fatal(err)
	}
	r := startResumingOn(t, &feedSide{feed: "pattern", redis: replica, env: roosttest.Env{}}, 1, master.Client(), master.Client())
	if _, err := markers.ReceiveMessage(t.Context()); err != nil { // a replica keeps this one to itself: the next is the master's
		t.Fatal(err)
	}
	r.side.redis = master
	r.servers = append(r.servers, r.startServer())
	r.awaitMarker()
	r.run(resumeFor(t)/2, nil)
	r.wantNoGap()
}

// TestNothingIsMissedOnACluster is the same with a cluster, whose nodes all send everything: the instances read it from the
// same node, and so in the same order.
func TestNothingIsMissedOnACluster(t *testing.T) {
	t.Parallel()
	cluster := redistest.StartCluster(t, redistest.ClusterOptions{NoReplicas: true})
	cluster.KeepRoles()
	nodes := cluster.Nodes()
	side := &feedSide{feed: "pattern", redis: nodes[0], env: roosttest.Env{"REDIS_CLUSTER": "true"}}
	r := startResumingOn(t, side, 2, nodes[0].Client(), nodes[1].Client())
	r.awaitMarker()
	r.run(resumeFor(t)/2, nil)
	r.wantNoGap()
}

// TestNothingIsMissedWithOtherFeeds is the same with feeds that hear only the users who are here, and lately were: who comes
// back to the same instance misses nothing, and at another one a gap is told.
func TestNothingIsMissedWithOtherFeeds(t *testing.T) {
	eachFeed(t, func(t *testing.T, side *feedSide) {
		if side.feed == "pattern" { // it has tests of its own
			return
		}
		client := side.redis.(*redistest.Server).Client()
		for name, instances := range map[string]int{"one instance": 1, "two": 2} {
			t.Run(name, func(t *testing.T) { // one after the other: what one publishes the other one would get
				r := startResumingOn(t, side, instances, client, client)
				r.run(resumeFor(t)/2, nil)
				if instances == 1 {
					r.wantNoGap()
				} else {
					r.wantGaps()
				}
			})
		}
	})
}

// TestNoSilentHole is the same while Redis or an instance fails, or is replaced: whatever is missing is covered by a gap.
func TestNoSilentHole(t *testing.T) {
	t.Parallel()
	t.Run("redis is killed", func(t *testing.T) {
		t.Parallel()
		r := startResuming(t)
		r.run(resumeFor(t), func() {
			redis := r.side.redis.(*redistest.Server)
			redis.Kill()
			time.Sleep(200 * time.Millisecond) // Redis is away; what is waited for is below
			redis.Restart()
			r.awaitReconnect()
		})
		r.wantGaps()
	})
	t.Run("sentinels fail over", testResumeOverFailover)
	t.Run("an instance is killed", func(t *testing.T) {
		t.Parallel()
		r := startResuming(t)
		r.run(resumeFor(t)/2, func() {
			r.replace(func(old *roosttest.Server) {
				old.Signal(syscall.SIGKILL)
				old.Wait()
			})
		})
		r.log()
	})
	t.Run("an instance drains", func(t *testing.T) {
		t.Parallel()
		r := startResuming(t, roosttest.Env{"WS_DRAIN_WINDOW": "500ms", "WS_DRAIN_RATE": "0"})
		r.run(resumeFor(t)/2, func() {
			r.replace(func(old *roosttest.Server) {
				staying := r.newComer("staying", "none")
				staying.excuse() // a broadcast may still be on its way to who is here now
				conn := staying.connect(func() *roosttest.Server { return old })
				if code := old.Stop(); code != 0 {
					t.Errorf("it ended with %d", code)
				}
				if err := staying.stay(conn, roosttest.Limit); r.ends.Load() == 0 {
					t.Errorf("a planned end named no position: %v", err)
				}
				gaps := r.gaps.Load()
				conn = staying.connect(r.some)
				if _ = staying.stay(conn, 100*time.Millisecond); r.gaps.Load() != gaps {
					t.Error("nothing was published, and a gap was told")
				}
			})
		})
		r.log()
	})
	t.Run("an instance is upgraded", func(t *testing.T) {
		t.Parallel()
		r := startResuming(t, roosttest.Env{"WS_DRAIN_WINDOW": "500ms", "WS_DRAIN_RATE": "0", "WS_SHUTDOWN_TIMEOUT": "20s"})
		old := r.servers[0]
		e2e.EndLast(t, old)
		r.run(resumeFor(t)/2, func() {
			upgrade(t, old)
			roosttest.WaitFor(t, "the new process", func() bool { return e2e.LastPid(old) != old.Pid() })
			r.awaitMarker()
		})
		if len(old.Log.Find("handed over")) > 0 {
			r.wantNoGap() // what is remembered was handed over too
		} else {
			r.log()
		}
	})
}

func testResumeOverFailover(t *testing.T) {
	t.Parallel()
	trio := redistest.StartTrio(t, nil)
	trio.KeepMaster() // until it is killed: what backends publish to one that the sentinels have given up is lost, and no instance knows
	side := &feedSide{feed: "pattern", redis: trio.Master, env: roosttest.Env{
		"REDIS_ADDRS": strings.Join(trio.Addrs(), ","), "REDIS_MASTER_NAME": redistest.MasterName}}
	clients := make([]redis.UniversalClient, 2)
	for i := range clients {
		client := redis.NewFailoverClient(&redis.FailoverOptions{MasterName: redistest.MasterName, SentinelAddrs: trio.Addrs(),
			ReadTimeout: roosttest.Limit, WriteTimeout: roosttest.Limit}) // after a timeout it would publish again
		t.Cleanup(func() { _ = client.Close() })
		clients[i] = client
	}
	r := startResumingOn(t, side, 2, clients...)
	r.awaitMarker()
	r.run(resumeFor(t)/2, func() {
		trio.Master.Kill()
		trio.Failover()
		r.awaitReconnect()
		roosttest.WaitFor(t, "backends to find the new master", func() bool {
			return !slices.ContainsFunc(clients, func(c redis.UniversalClient) bool {
				return c.Publish(t.Context(), "user_noti:nobody", `{"type":"n"}`).Err() != nil
			})
		})
		r.awaitMarker()
	})
	r.wantGaps()
}

// TestIdleClientResumes has a client get nothing for as long as ROOST_RESUME_FOR says, but answers to its pings, while others get much. Then it
// is cut off, and resumes at the other instance.
func TestIdleClientResumes(t *testing.T) {
	t.Parallel()
	r := startResuming(t)
	c := r.newComer("idle", "none")
	conn := c.connect(func() *roosttest.Server { return r.servers[0] })
	c.takesOne(conn)
	first := c.id
	every := min(30*time.Second, resumeFor(t)/10)
	pinged := time.Now()
	for end := time.Now().Add(resumeFor(t)); time.Now().Before(end) || c.id == first; time.Sleep(10 * time.Millisecond) { // the pace of the traffic
		for range 2 {
			e2e.Notify(r.side.redis.(*redistest.Server), "other", `{"type":"n","payload":{"to":"other"}}`)
		}
		if time.Since(pinged) < every {
			continue
		}
		pinged = time.Now()
		if err := conn.WriteMessage(websocket.TextMessage, []byte(`{"type":"ping"}`)); err != nil {
			t.Fatal(err)
		}
		c.takesOne(conn)
	}
	if len(c.last) > 0 {
		t.Fatalf("it has got %v", c.last)
	}
	c.cut(conn)
	conn = c.connect(func() *roosttest.Server { return r.servers[1] })
	defer func() { _ = conn.Close() }()
	c.takesOne(conn)
	r.wantNoGap()
	if got := r.servers[1].Metrics()[`roost_resumes_total{result="resumed"}`]; got != 1 {
		t.Errorf("%.0f resumed", got)
	}
}

// TestResumeAtARestartedInstance is what docs/scaling.md says of restarts: an instance resumes clients whose last id is younger
// than its start, and tells the others of a gap.
func TestResumeAtARestartedInstance(t *testing.T) {
	t.Parallel()
	r := startResuming(t)
	other := func() *roosttest.Server { return r.servers[0] } // once the first is replaced
	c := r.newComer("alice", "none")
	conn := c.connect(func() *roosttest.Server { return r.servers[1] })
	c.takesOne(conn)
	old := c.id
	r.replace(func(first *roosttest.Server) { first.Stop() })
	restarted := func() *roosttest.Server { return r.servers[1] }
	if c.takesOne(c.connect(restarted)); r.gaps.Load() != 1 || c.id == old {
		t.Errorf("%d gaps: a position from before the start", r.gaps.Load())
	}
	if err := conn.WriteMessage(websocket.TextMessage, []byte(`{"type":"ping"}`)); err != nil {
		t.Fatal(err)
	}
	if c.takesOne(conn); c.id == old {
		t.Fatal("the answer to the ping has no id")
	}
	e2e.Notify(r.side.redis.(*redistest.Server), "alice", `{"type":"n","payload":{"to":"alice","n":1}}`)
	roosttest.WaitFor(t, "the notification", func() bool { return other().Metrics()["roost_notifications_received_total"] > 0 })
	back := c.connect(restarted)
	c.takesOne(back)
	if c.takesOne(back); r.gaps.Load() != 1 || c.last["alice"] != 1 {
		t.Errorf("%d gaps, it has %v: its position is from after the start", r.gaps.Load(), c.last)
	}
}
