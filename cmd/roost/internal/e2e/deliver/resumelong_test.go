package deliver

import (
	"fmt"
	"maps"
	"math/rand/v2"
	"os"
	"slices"
	"strconv"
	"strings"
	"syscall"
	"testing"
	"time"

	"roost/cmd/roost/internal/e2e"
	"roost/cmd/roost/internal/roosttest"
	"roost/redisfeed/redistest"
)

// TestNoSilentHoleForLong has all at once happen to two instances on one Redis, for as long as ROOST_RESUME_FOR says: clients are cut
// off, reset, half open and slow, instances are killed, drained, upgraded and stopped for moments, and Redis restarts. ROOST_RESUME_USERS
// are the clients, 1,000 if it does not say, and ROOST_RESUME_RATE is how many notifications are published a second, 4,000 if it does not say.
func TestNoSilentHoleForLong(t *testing.T) {
	if os.Getenv("ROOST_RESUME_FOR") == "" {
		t.Skip("ROOST_RESUME_FOR is not set: the other tests have each of these alone")
	}
	l := &longRun{resumingRig: startResuming(t, roosttest.Env{
		"WS_DRAIN_WINDOW": "1s", "WS_DRAIN_RATE": "0", "WS_SHUTDOWN_TIMEOUT": "20s"}), results: make(map[string]float64)}
	l.users = fromEnvironment(t, "ROOST_RESUME_USERS", 1000)
	l.groups = max(comersGroups, l.users/8)
	for _, s := range l.servers {
		l.take(s)
	}
	l.runWhile(l.happens)
	for _, s := range l.servers {
		l.count(s)
	}
	l.say()
}

func fromEnvironment(t *testing.T, name string, otherwise int) int {
	text := os.Getenv(name)
	if text == "" {
		return otherwise
	}
	n, err := strconv.Atoi(text)
	if err != nil || n < 1 {
		t.Fatalf("%s=%q is no number above 0", name, text)
	}
	return n
}

// longRun is a rig to whose instances much happens.
type longRun struct {
	*resumingRig
	results map[string]float64 // of resumes, by result, of instances that have ended
	events  map[string]int
}

// take prepares for an instance that runs for long, and may be upgraded.
func (l *longRun) take(s *roosttest.Server) {
	e2e.EndLast(l.t, s)
	s.Log.Keep(func(line roosttest.Line) bool {
		message := line.Message()
		return message == "listening" || message == "stopped" || !strings.EqualFold(line.Text("level"), "info") || strings.Contains(message, "process") ||
			strings.Contains(message, "handed over") || strings.Contains(message, "subscribed again")
	})
}

// happens is what happens meanwhile.
func (l *longRun) happens() {
	l.events = make(map[string]int)
	began, said := time.Now(), time.Now()
	all := map[string]func(){
		"killed": l.kill, "drained": l.drain, "upgraded": l.upgrade, "stopped for a moment": l.freeze, "redis restarted": l.restartRedis}
	names := []string{"killed", "drained", "upgraded", "upgraded", "stopped for a moment", "stopped for a moment", "redis restarted"}
	for i := 0; time.Since(began) < resumeFor(l.t); i++ {
		time.Sleep(10 * time.Second) // the pace of what happens
		if i%len(names) == 0 {
			rand.Shuffle(len(names), func(i, j int) { names[i], names[j] = names[j], names[i] })
		}
		name := names[i%len(names)]
		all[name]()
		if l.events[name]++; time.Since(said) > time.Minute {
			said = time.Now()
			l.say()
		}
	}
}

func (l *longRun) say() {
	published := 0
	l.mu.Lock()
	for _, n := range l.published {
		published += n
	}
	l.mu.Unlock()
	l.log()
	l.t.Logf("%d published; %v; resumes of instances that ended: %v", published, l.events, l.results)
}

// count adds what became of clients that came back to an instance which is about to end.
func (l *longRun) count(s *roosttest.Server) {
	for name, n := range s.Metrics() {
		if strings.HasPrefix(name, "roost_resumes_total{") && n > 0 {
			l.results[name[len("roost_resumes_total"):]] += n
		}
	}
}

// end ends an instance, and waits until it has ended.
func (l *longRun) end(s *roosttest.Server, signal syscall.Signal) {
	l.count(s)
	pid := e2e.LastPid(s)
	if pid == s.Pid() {
		s.Signal(signal)
		s.Wait()
		return
	}
	_ = syscall.Kill(pid, signal)
	roosttest.WaitFor(l.t, "the upgraded instance to end", func() bool { return ended(pid) })
}

// ended reports whether a process has ended, whether or not anybody has waited for it.
func ended(pid int) bool {
	stat, err := os.ReadFile(fmt.Sprintf("/proc/%d/stat", pid))
	return err != nil || strings.Contains(string(stat), ") Z ")
}

func (l *longRun) kill()  { l.exchange(syscall.SIGKILL) }
func (l *longRun) drain() { l.exchange(syscall.SIGTERM) }

func (l *longRun) exchange(signal syscall.Signal) {
	l.replace(func(old *roosttest.Server) { l.end(old, signal) })
	l.take(l.servers[1])
}

func (l *longRun) upgrade() {
	s := l.servers[rand.IntN(2)]
	before := e2e.LastPid(s)
	l.count(s)
	_ = syscall.Kill(before, syscall.SIGUSR2)
	roosttest.WaitFor(l.t, "the new process", func() bool { return e2e.LastPid(s) != before })
	roosttest.WaitFor(l.t, "the old process to end", func() bool { return ended(before) })
}

// freeze has an instance hear later than the other one: within position.MaxLag, or longer.
func (l *longRun) freeze() {
	pid := e2e.LastPid(l.servers[rand.IntN(2)])
	_ = syscall.Kill(pid, syscall.SIGSTOP)
	time.Sleep(time.Duration(500+rand.IntN(3000)) * time.Millisecond) // it stands still
	_ = syscall.Kill(pid, syscall.SIGCONT)
}

func (l *longRun) restartRedis() {
	const again = "redis feed is subscribed again, what was published meanwhile is lost"
	l.pause.Lock()
	defer l.pause.Unlock()
	heard := make(map[*roosttest.Server]int)
	for _, s := range l.servers {
		heard[s] = len(s.Log.Find(again))
	}
	redis := l.side.redis.(*redistest.Server)
	redis.Kill()
	time.Sleep(200 * time.Millisecond) // Redis is away; what is waited for is below
	redis.Restart()
	roosttest.WaitFor(l.t, "all to be subscribed again", func() bool {
		return !slices.ContainsFunc(slices.Collect(maps.Keys(heard)), func(s *roosttest.Server) bool { return len(s.Log.Find(again)) == heard[s] })
	})
	l.awaitMarker()
}
