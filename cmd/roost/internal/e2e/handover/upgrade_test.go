package handover

import (
	"fmt"
	"os"
	"strconv"
	"strings"
	"syscall"
	"testing"
	"time"

	"roost/cmd/roost/internal/e2e"
	"roost/cmd/roost/internal/roosttest"
)

// number is that of an environment variable, for runs that are longer than those of a test suite.
func number(t *testing.T, name string, usual int) int {
	t.Helper()
	text := os.Getenv(name)
	if text == "" {
		return usual
	}
	n, err := strconv.Atoi(text)
	if err != nil || n < 1 {
		t.Fatalf("%s=%s: a number is wanted", name, text)
	}
	return n
}

// Upgrades in a row, under a stream of notifications for users, groups and everyone: nobody is disconnected, misses anything, gets anything
// twice or in another order. HANDOVER_MEMBERS=15000 HANDOVER_GROUPS=50 HANDOVER_UPGRADES=50 HANDOVER_ROUND_MS=3000 make it a long run with
// 5,000 a second.
func TestUpgradeIsNotNoticed(t *testing.T) {
	t.Parallel()
	members, upgrades := number(t, "HANDOVER_MEMBERS", 100), number(t, "HANDOVER_UPGRADES", 3)
	for _, feed := range []string{"pattern", "user", "sharded"} {
		t.Run(feed, func(t *testing.T) {
			if members <= 1000 {
				t.Parallel() // each feed has all of the machine otherwise
			}
			s := start(t, feed, nil)
			s.fill(members)
			s.publish(time.Duration(number(t, "HANDOVER_ROUND_MS", 50)) * time.Millisecond)
			s.awaitRounds(2)
			for n := 1; n <= upgrades; n++ {
				s.upgrade(n)
				s.checkBooks(n)
				s.awaitRounds(1)
			}
			s.quiet()
			m := s.server.Metrics()
			for name, want := range map[string]float64{
				"roost_connections": float64(members), `roost_upgrades_total{result="handover"}`: 1, `roost_upgrades_total{result="drain"}`: 0,
			} {
				if m[name] != want {
					t.Errorf("%s is %v, want %v", name, m[name], want)
				}
			}
			for _, line := range s.server.Log.Find("handed over") {
				t.Logf("%v connections, stood still for %s", line["connections"], line.Text("stood_still"))
			}
			s.end()
		})
	}
}

// The command says how many connections the new process has.
func TestUpgradeCommandHandsOver(t *testing.T) {
	t.Parallel()
	s := start(t, "pattern", nil)
	s.fill(10)
	command := roosttest.Run(t, roosttest.Command{
		Args: []string{"upgrade", "--url", "http://" + s.server.HTTP}, Env: roosttest.Env{"JWT_SECRET_KEY": roosttest.Secret},
	})
	code := command.Wait()
	if why, failed := s.why(1); failed && roosttest.TooSlow(why) {
		t.Skipf("this machine is too busy: %s", why)
	}
	if said, want := command.Log.String(), fmt.Sprintf("serves, with 10 connections of process %d, ", s.server.Pid()); code != 0 || !strings.Contains(said, want) {
		t.Errorf("it ends with %d: %s %s", code, said, command.Stderr)
	}
	s.upgraded(1)
	check(t, s.members)
}

// While Redis is away the connections are handed over all the same, and are notified once it is back.
func TestRedisIsAway(t *testing.T) {
	t.Parallel()
	for _, feed := range []string{"pattern", "user"} {
		t.Run(feed, func(t *testing.T) {
			t.Parallel()
			s := start(t, feed, nil)
			s.fill(20)
			if !s.round(1) {
				t.Fatal("publishing failed")
			}
			roosttest.WaitFor(t, "everybody to be notified", func() bool {
				for _, m := range s.members {
					if m.kind != slow && (m.got("own") < 1 || m.got("all") < 1) {
						return false
					}
				}
				return true
			})
			s.redis.Kill()
			s.server.WaitMetric("roost_redis_up", 0)
			s.upgrade(1)
			s.redis.Restart()
			s.server.WaitMetric("roost_redis_up", 1)
			told := func() bool {
				for _, m := range s.members {
					if m.kind != slow && m.kind != stream && m.got("_gap") == 0 {
						return false
					}
				}
				return true
			}
			roosttest.WaitFor(t, "everybody to be told of the gap", told)
			roosttest.WaitFor(t, "everybody to be subscribed", func() bool {
				for _, m := range s.members {
					if s.client.PubSubNumSub(t.Context(), "user_noti:"+m.user).Val()["user_noti:"+m.user] != 1 && feed == "user" {
						return false
					}
				}
				return s.client.Publish(t.Context(), "user_noti_all", `{"type":"all","payload":{"n":2}}`).Val() == 1 // heard once
			})
			for _, m := range s.members {
				m.mayRead()
			}
			roosttest.WaitFor(t, "everybody to be notified", func() bool {
				for _, m := range s.members {
					if m.got("all") < 2 && m.problem() == nil {
						return false
					}
				}
				return true
			})
			check(t, s.members)
		})
	}
}

// Redis is killed while a handover is under way: whatever becomes of that, the connections stay, and are notified once Redis is back.
func TestRedisIsKilledMeanwhile(t *testing.T) {
	t.Parallel()
	s := start(t, "pattern", roosttest.Env{"REDIS_FEED_RETRY_DELAY": "50ms"})
	s.fill(50)
	for n := 1; n <= 3; n++ {
		e2e.SignalLast(s.server, syscall.SIGUSR2)
		s.server.WaitLine("upgrading: a new process is started")
		roosttest.WaitFor(t, "the new process", func() bool {
			return len(e2e.Children(e2e.LastPid(s.server))) > 0 || len(s.server.Log.Find("stopped")) >= n
		})
		s.redis.Kill()
		s.redis.Restart()
		s.upgraded(n)
		s.server.WaitMetric("roost_redis_up", 1)
	}
	for _, m := range s.members {
		m.mayRead()
	}
	roosttest.WaitFor(t, "the subscription", func() bool {
		return s.client.Publish(t.Context(), "user_noti:nobody", `{"type":"x"}`).Val() == 1
	})
	if !s.round(1) {
		t.Fatal("publishing failed")
	}
	roosttest.WaitFor(t, "everybody to be notified", func() bool {
		for _, m := range s.members {
			if m.got("own") < 1 && m.problem() == nil {
				return false
			}
		}
		return true
	})
	check(t, s.members)
}

// A SIGHUP while the new process starts, or right after it has taken over, is not lost: the process that serves has read the file again.
func TestReloadMeanwhile(t *testing.T) {
	t.Parallel()
	file := e2e.KeyFile(t, "WS_MESSAGE_RATE=20\n")
	s := start(t, "pattern", roosttest.Env{"ROOST_CONFIG_FILE": file})
	s.fill(20)
	noticed := func() int {
		return len(s.server.Log.Find("SIGHUP: the new process reads the configuration again")) + len(s.server.Log.Find("configuration reloaded"))
	}
	for n := 1; n <= 3; n++ {
		old, before := e2e.LastPid(s.server), noticed()
		_ = syscall.Kill(old, syscall.SIGUSR2)
		roosttest.WaitFor(t, "the new process", func() bool { return len(e2e.Children(old)) > 0 || len(s.server.Log.Find("stopped")) >= n })
		rate := fmt.Sprint(30 + n)
		if err := os.WriteFile(file, []byte("WS_MESSAGE_RATE="+rate+"\n"), 0o600); err != nil {
			t.Fatal(err)
		}
		_ = syscall.Kill(old, syscall.SIGHUP) // may have ended
		s.upgraded(n)
		if noticed() == before {
			continue // it came too late for the old one, and maybe for its file
		}
		roosttest.WaitFor(t, "the latest settings", func() bool {
			_, body := s.server.Get("/config")
			return strings.Contains(string(body), `"name":"WS_MESSAGE_RATE","value":"`+rate+`"`)
		})
	}
	check(t, s.members)
}

// Two signals are one upgrade after the other, or one whose second is refused: nobody notices either.
func TestTwoSignals(t *testing.T) {
	t.Parallel()
	s := start(t, "pattern", nil)
	s.fill(50)
	s.publish(50 * time.Millisecond)
	s.server.Signal(syscall.SIGUSR2)
	s.server.WaitLine("upgrading: a new process is started")
	s.server.Signal(syscall.SIGUSR2)
	s.upgraded(1)
	s.awaitRounds(2)
	s.quiet()
}

// A stop that comes while the new process takes over ends the service as a stop does, whichever of the two it reaches, or leaves the new
// process in charge of everybody.
func TestStopMeanwhile(t *testing.T) {
	t.Parallel()
	for _, who := range []string{"old", "new"} {
		t.Run(who, func(t *testing.T) {
			t.Parallel()
			s := start(t, "pattern", nil)
			s.fill(50)
			s.server.Signal(syscall.SIGUSR2)
			fresh := 0
			roosttest.WaitFor(t, "the new process", func() bool {
				if children := e2e.Children(s.server.Pid()); len(children) > 0 {
					fresh = children[0]
				} else if len(s.server.Log.Find("the new process is ready")) > 0 { // it has taken over already
					fresh = e2e.LastPid(s.server)
				}
				return fresh > 0
			})
			if who == "old" {
				s.server.Signal(syscall.SIGTERM)
			} else {
				_ = syscall.Kill(fresh, syscall.SIGTERM)
			}
			for _, m := range s.members {
				m.mayRead()
			}
			ended := func() (n int) {
				for _, m := range s.members {
					if err := m.problem(); err != nil {
						n++
					}
				}
				return n
			}
			// What becomes of the handover, the old process says, whichever of the two stops.
			roosttest.WaitFor(t, "one process, or none", func() bool {
				handed, failed := s.server.Log.Find("handed over"), s.server.Log.Find("the upgrade failed, this process goes on")
				return len(handed)+len(failed) > 0 || s.server.Exited()
			})
			if len(s.server.Log.Find("handed over")) == 0 && who == "new" {
				s.failed(1)
				check(t, s.members) // the old one goes on, with everybody
				return
			}
			if len(s.server.Log.Find("handed over")) > 0 && who == "old" {
				s.upgraded(1)
				check(t, s.members)
				return
			}
			roosttest.WaitFor(t, "everybody to be told", func() bool { return ended() == len(s.members) })
			for _, m := range s.members {
				if err := m.problem(); m.kind != stream && !strings.Contains(err.Error(), "closed with 1001") {
					t.Error(err)
				}
			}
			if code := s.server.Wait(); code != 0 {
				t.Errorf("the first process ended with %d", code)
			}
		})
	}
}

// Where the new process is to drain, nothing is handed over.
func TestDrainIsTheOldWay(t *testing.T) {
	t.Parallel()
	s := start(t, "pattern", roosttest.Env{"WS_UPGRADE": "drain"})
	s.fill(5)
	s.server.Signal(syscall.SIGUSR2)
	s.server.WaitLine("stopping", "why", "replaced by a new process")
	for _, m := range s.members {
		m.mayRead()
		<-m.done
		if err := m.problem(); m.kind != stream && (err == nil || !strings.Contains(err.Error(), "closed with 1001")) {
			t.Errorf("%s: %v", m.user, err)
		}
	}
	if line := s.server.WaitLine("the connections are not taken over: the process before lets them go"); line.Text("reason") != "WS_UPGRADE=drain" {
		t.Errorf("the log says %q", line.Text("reason"))
	}
	s.server.WaitMetric(`roost_upgrades_total{result="drain"}`, 1)
}

// The error names the settings that differ, and the old process goes on with everybody.
func TestOtherSettingsAreRefused(t *testing.T) {
	t.Parallel()
	file := e2e.KeyFile(t, "")
	s := start(t, "", roosttest.Env{"ROOST_CONFIG_FILE": file})
	s.fill(10)
	for n, test := range []struct{ settings, says string }{
		{"REDIS_FEED=user", `REDIS_FEED is "user" in the new process and "pattern" in the running one`},
		{"REDIS_PRESENCE=true", `REDIS_PRESENCE is "on" in the new process and "off" in the running one`},
		{"WS_RESUME_WINDOW=1m", `WS_RESUME_WINDOW is "on" in the new process and "off" in the running one`},
	} {
		if err := os.WriteFile(file, []byte(test.settings+"\n"), 0o600); err != nil {
			t.Fatal(err)
		}
		if why := s.fails(); !strings.Contains(why, "the handover is refused: "+test.says) {
			t.Errorf("%s: the log says %q", test.settings, why)
		}
		s.server.WaitMetric(`roost_upgrades_total{result="refused"}`, float64(n+1))
	}
	check(t, s.members)
	if err := os.WriteFile(file, nil, 0o600); err != nil {
		t.Fatal(err)
	}
	s.upgrade(1)
	check(t, s.members)
}
