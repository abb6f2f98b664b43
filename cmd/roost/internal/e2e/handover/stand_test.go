package handover

import (
	"context"
	"fmt"
	"maps"
	"strings"
	"sync"
	"sync/atomic"
	"syscall"
	"testing"
	"time"

	"github.com/redis/go-redis/v9"

	"roost/cmd/roost/internal/e2e"
	"roost/cmd/roost/internal/roosttest"
	"roost/redisfeed/redistest"
)

// stand is a server with members, which are its clients, and a backend that publishes for all of them.
type stand struct {
	t         *testing.T
	feed      string
	redis     *redistest.Server // with sharded: one of the cluster's
	client    redis.UniversalClient
	server    *roosttest.Server
	authority *redistest.Authority
	members   []*member
	groups    int
	known     int // failed upgrades that the test expects
	late      int // members whose handshake went on without the subscription to them, and who are told so

	rounds   atomic.Int64 // published completely
	lost     atomic.Int64 // publications that did not reach exactly one subscriber
	failures atomic.Int64 // publications that failed
	stop     chan struct{}
	stopped  sync.WaitGroup
}

// settings are those of a server that hands over.
func (s *stand) settings(more roosttest.Env) roosttest.Env {
	shown := s.authority.Issue("localhost")
	env := roosttest.Env{
		"WS_UPGRADE": "handover", "WS_TLS_CERT_FILE": shown.File, "WS_TLS_KEY_FILE": shown.Key, "WS_TLS_PORT": "0",
		"WS_QUEUE_MESSAGES": "100000", "WS_QUEUE_BYTES": "67108864", "WS_WRITE_WAIT": "10m", "WS_PING_INTERVAL": "2s", "WS_PONG_WAIT": "1h",
		"WS_HANDSHAKE_RATE": "0", "WS_HANDSHAKE_TIMEOUT": "20s", "WS_MAX_CONNECTIONS": "20000", "WS_GAP_NOTICE": "true",
	}
	if members := number(s.t, "HANDOVER_MEMBERS", 0); members > 1000 {
		env["LOGGER_CONNECTION_RATE"] = "10" // so that the end of the log says something
	}
	if s.feed != "" { // else a file says it
		env["REDIS_FEED"] = s.feed
	}
	if s.feed == "sharded" {
		env["REDIS_CLUSTER"] = "true"
	}
	maps.Copy(env, more)
	return env
}

// start starts a server; wrap replaces itself by it.
func start(t *testing.T, feed string, more roosttest.Env, wrap ...string) *stand {
	t.Helper()
	s := &stand{t: t, feed: feed, authority: redistest.NewAuthority(t), stop: make(chan struct{}), groups: number(t, "HANDOVER_GROUPS", 5)}
	if feed == "sharded" {
		cluster := redistest.StartCluster(t, redistest.ClusterOptions{NoReplicas: true})
		cluster.KeepRoles()
		s.redis, s.client = cluster.Nodes()[0], e2e.ClusterClient(t, cluster)
	} else {
		s.redis = redistest.Start(t)
		s.client = s.redis.Client()
	}
	s.server = roosttest.StartWrapped(t, s.redis, s.settings(more), wrap...)
	e2e.EndLast(t, s.server)
	t.Cleanup(s.explain)
	return s
}

// explain shows what the server of a failed test says of handovers, its warnings and errors: of its log otherwise only the end is shown.
func (s *stand) explain() {
	for _, line := range s.server.Log.Lines() {
		if level := line.Text("level"); s.t.Failed() && (level != "INFO" || strings.Contains(line.Message(), "hand")) {
			s.t.Logf("%s %s %s %s", line.Text("time"), level, line.Message(), line.Text("error"))
		}
	}
}

// fill connects so many members, of all kinds in turn.
func (s *stand) fill(members int) {
	s.t.Helper()
	s.members = make([]*member, members)
	var joining sync.WaitGroup
	var failed atomic.Int64
	const atOnce = 32
	for first := range atOnce {
		joining.Go(func() {
			for i := first; i < members; i += atOnce {
				m, err := s.join(kind(i%int(kinds)), fmt.Sprint("user", i), fmt.Sprint("group", i%s.groups))
				if err != nil {
					if failed.Add(1) == 1 {
						s.t.Error(err)
					}
					return
				}
				s.members[i] = m
			}
		})
	}
	joining.Wait()
	if s.t.Failed() {
		s.t.FailNow()
	}
	if s.feed == "user" || s.feed == "sharded" { // a handshake waits for the subscription to its user for a second only
		s.server.WaitMetric(`roost_feed_users{state="heard"}`, float64(members))
		s.late = int(s.server.Metrics()["roost_handshakes_heard_late_total"])
	}
	for _, m := range s.members {
		if m.kind == half {
			if err := m.send(halves[0]); err != nil {
				s.t.Fatal(err)
			}
		}
	}
}

// heard opens a connection of the n-th user, who is told of no gap: with REDIS_FEED=user a handshake waits for the subscription for a second
// only, and so there is one before it.
func (s *stand) heard(user string, n int) *roosttest.Client {
	s.t.Helper()
	if s.feed == "user" {
		defer s.server.Connect(user).Close()
		s.server.WaitMetric(`roost_feed_users{state="heard"}`, float64(n))
	}
	return s.server.Connect(user)
}

// halves are a frame that is sent in two pieces.
var halves = func() [2]string {
	frame := roosttest.ClientFrame(1, `{"type":"ping"}`)
	return [2]string{frame[:9], frame[9:]}
}()

// publish publishes for everybody, from now on until quiet: in each round one notification for each user, for each group, and for everyone.
// It waits for a server that is behind, since so many broadcasts only wait for their connections (hub's 256).
func (s *stand) publish(every time.Duration) {
	const ahead = 200 // rounds
	s.stopped.Go(func() {
		ticker := time.NewTicker(every)
		defer ticker.Stop()
		for {
			select {
			case <-s.stop:
				return
			case <-ticker.C:
			}
			if s.behind() >= ahead {
				continue
			}
			if !s.round(int(s.rounds.Load()) + 1) {
				return
			}
			s.rounds.Add(1)
		}
	})
}

// behind is how many rounds the first of those who read has still to get; 0 if nobody reads.
func (s *stand) behind() int {
	most := -1
	for _, m := range s.members {
		if m.kind != slow && m.problem() == nil {
			most = max(most, m.got("all"))
		}
	}
	if most < 0 {
		return 0
	}
	return int(s.rounds.Load()) - most
}

// round publishes the n-th notifications. It returns false where that can't be.
func (s *stand) round(n int) bool {
	pad := strings.Repeat("x", 300)
	ctx, cancel := context.WithTimeout(context.Background(), roosttest.Limit)
	defer cancel()
	result, err := s.client.Pipelined(ctx, func(pipe redis.Pipeliner) error {
		for _, m := range s.members {
			channel, text := "user_noti:"+m.user, fmt.Sprintf(`{"type":"own","payload":{"n":%d,"pad":%q}}`, n, pad)
			if s.feed == "sharded" {
				pipe.SPublish(ctx, channel, text)
			} else {
				pipe.Publish(ctx, channel, text)
			}
		}
		for g := range s.groups {
			pipe.Publish(ctx, fmt.Sprint("group_noti:group", g), fmt.Sprintf(`{"type":"group","payload":{"n":%d}}`, n))
		}
		pipe.Publish(ctx, "user_noti_all", fmt.Sprintf(`{"type":"all","payload":{"n":%d}}`, n))
		return nil
	})
	if err != nil {
		s.failures.Add(1)
		return false
	}
	for _, r := range result {
		if heard, ok := r.(*redis.IntCmd); ok && heard.Val() != 1 && s.feed != "sharded" {
			s.lost.Add(1)
		}
	}
	return true
}

// awaitRounds waits until so many more rounds are published.
func (s *stand) awaitRounds(more int64) {
	s.t.Helper()
	until := s.rounds.Load() + more
	roosttest.WaitFor(s.t, fmt.Sprint("round ", until), func() bool { return s.rounds.Load() >= until || s.failures.Load() > 0 })
	if s.failures.Load() > 0 {
		s.t.Fatal("publishing failed")
	}
}

// quiet ends publishing, has everybody read, and checks that each member has got everything, once and in order.
func (s *stand) quiet() {
	s.t.Helper()
	close(s.stop)
	s.stopped.Wait()
	want := int(s.rounds.Load())
	for _, m := range s.members {
		m.mayRead()
		if m.kind == half {
			if err := m.send(halves[1]); err != nil {
				s.t.Errorf("%s: %v", m.user, err)
			}
		}
	}
	complete := func() bool {
		for _, m := range s.members {
			if m.problem() != nil {
				return true
			}
			if m.got("own") < want || m.got("group") < want || m.got("all") < want || (m.kind == half && m.got("pong") == 0) {
				return false
			}
		}
		return true
	}
	roosttest.WaitWithin(s.t, 4*roosttest.Limit, fmt.Sprintf("everybody to have %d of each", want), complete)
	check(s.t, s.members)
	gaps := 0
	for _, m := range s.members {
		if gaps += m.got("_gap"); gaps > s.late {
			s.t.Errorf("%s (%s) is told of %d gaps; at most %d are from the beginning", m.user, m.kind, m.got("_gap"), s.late)
			break
		}
	}
	if n := s.lost.Load(); n > 0 {
		s.t.Errorf("%d publications did not have exactly one subscriber", n)
	}
	s.t.Logf("%s: %d members, %d rounds", s.feed, len(s.members), want)
}

// why is for what reasons the n-th upgrade that failed has, by the words of both processes: an old one that stood still hears of the new
// one's only that it has ended. false: not so many have failed.
func (s *stand) why(n int) (reasons string, failed bool) {
	for _, line := range s.server.Log.Lines() {
		switch line.Message() {
		case givesUp:
			reasons += line.Text("error") + "; "
		case "the upgrade failed, this process goes on":
			if n--; n == 0 {
				return reasons + line.Text("error"), true
			}
			reasons = ""
		}
	}
	return "", false
}

// givesUp is what a new process says that does not take over.
const givesUp = "this process can't take over and ends; the one before goes on"

// retry asks for an upgrade again that has failed because this machine is too busy for it.
func (s *stand) retry() {
	s.t.Helper()
	why, failed := s.why(s.known + 1)
	if !failed {
		return
	}
	if !roosttest.TooSlow(why) {
		s.t.Fatalf("the upgrade failed: %s", why)
	}
	s.known++
	e2e.SignalLast(s.server, syscall.SIGUSR2)
}

// upgraded waits until n handovers are over: the old processes have ended. One that is too slow for this machine is tried again, for some
// minutes.
func (s *stand) upgraded(n int) {
	s.t.Helper()
	roosttest.WaitWithin(s.t, 4*roosttest.Limit, fmt.Sprint("handover ", n), func() bool {
		s.retry()
		return len(s.server.Log.Find("stopped")) >= n
	})
	if handed := len(s.server.Log.Find("stopping", "why", "handed over to a new process")); handed != n {
		s.t.Fatalf("%d of %d upgrades were handovers", handed, n)
	}
}

// upgrade has the latest process replaced, for the n-th time.
func (s *stand) upgrade(n int) {
	s.t.Helper()
	e2e.SignalLast(s.server, syscall.SIGUSR2)
	s.upgraded(n)
}

// failed waits until n upgrades have failed, and returns why the last did.
func (s *stand) failed(n int) (why string) {
	s.t.Helper()
	failed := false
	roosttest.WaitWithin(s.t, 2*roosttest.Limit, fmt.Sprint("failed upgrade ", n), func() bool { // the server itself waits for a minute
		why, failed = s.why(n)
		return failed || s.server.Exited()
	})
	if !failed {
		s.t.Fatal("the old process has ended")
	}
	s.known = n
	return why
}

// fails asks for an upgrade that can't come about, again where this machine is too busy for it, and returns why it has failed.
func (s *stand) fails() (why string) {
	s.t.Helper()
	for why == "" || roosttest.TooSlow(why) {
		s.server.Signal(syscall.SIGUSR2)
		why = s.failed(s.known + 1)
	}
	return why
}

// checkBooks checks, under traffic, that the latest process accounts for each notification, and that it has taken over what the one before
// has handed over.
func (s *stand) checkBooks(n int) {
	s.t.Helper()
	e2e.CheckBalanceNow(s.t, s.server.Metrics())
	roosttest.WaitFor(s.t, "the new process to say what it has", func() bool { return len(s.server.Log.Find("took over")) >= n })
	handed, took := s.server.Log.Find("handed over")[n-1], s.server.Log.Find("took over")[n-1]
	for _, what := range []string{"connections", "handshakes", "notifications"} {
		if handed[what] != took[what] {
			s.t.Errorf("upgrade %d: %v %s were handed over, and %v taken over", n, handed[what], what, took[what])
		}
	}
}

// end stops the last process, and checks the books of all.
func (s *stand) end() {
	s.t.Helper()
	e2e.CheckBalanceNow(s.t, s.server.Metrics())
	processes := len(s.server.Log.Find("stopped")) + 1
	e2e.SignalLast(s.server, syscall.SIGTERM)
	roosttest.WaitFor(s.t, "the last process to end", func() bool { return len(s.server.Log.Find("stopped")) == processes })
	for i, line := range s.server.Log.Find("delivered") {
		number := func(field string) float64 { n, _ := line[field].(float64); return n }
		if sum := number("sent") + number("failed") + number("handed_over"); sum != number("accepted") {
			s.t.Errorf("process %d: accepted %v, but sent, failed and handed over are %v", i, number("accepted"), sum)
		}
	}
	if code := s.server.Wait(); code != 0 {
		s.t.Errorf("the first process ended with %d", code)
	}
}
