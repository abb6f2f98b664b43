package handover

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"os"
	"path/filepath"
	"strconv"
	"strings"
	"syscall"
	"testing"
	"time"

	"github.com/cloudflare/tableflip"

	"roost/cmd/roost/internal/app"
	"roost/cmd/roost/internal/config"
	"roost/cmd/roost/internal/e2e"
	wire "roost/cmd/roost/internal/handover"
	"roost/cmd/roost/internal/roosttest"
)

// badVariable has these tests' own program be a new process that fails where its value says.
const badVariable = "ROOST_TEST_BAD_PROCESS"

func TestMain(m *testing.M) {
	if what := os.Getenv(badVariable); what != "" {
		os.Exit(badProcess(what))
	}
	os.Exit(m.Run())
}

// The ways in which a new process fails.
func die() int  { _ = syscall.Kill(os.Getpid(), syscall.SIGKILL); select {} }
func hang() int { _ = syscall.Kill(os.Getpid(), syscall.SIGSTOP); select {} }

// gaveUp is the end of a new process that fails before it should. It says why as the real one does: it may be this machine.
func gaveUp(err error) int {
	_ = json.NewEncoder(os.Stdout).Encode(map[string]string{"msg": givesUp, "error": err.Error()})
	return 5
}

// badProcess is a new process. what is "<failure> <point>": at which message of the handover it does what.
func badProcess(what string) int {
	failure, point, _ := strings.Cut(what, " ")
	if failure == "relay" {
		return runRelay(point)
	}
	fail := map[string]func() int{"die": die, "hang": hang, "exit": func() int { return 0 }, "crash": func() int { panic("as asked") }}[failure]
	upgrader, err := tableflip.New(tableflip.Options{})
	if err != nil {
		return 4
	}
	if failure == "old" { // a release without handovers takes the listening sockets, and knows nothing else
		if err := upgrader.Ready(); err != nil {
			return 4
		}
		_ = upgrader.WaitForParent(context.Background())
		return 0
	}
	if point == "start" {
		return fail()
	}
	inherited, err := upgrader.File("handover")
	if err != nil || inherited == nil {
		return 4
	}
	source, err := config.Open()
	if err != nil {
		return 4
	}
	cfg, err := source.Load()
	if err != nil {
		return 4
	}
	hello := wire.Hello{Release: "test", Mode: "handover", Sockets: 1 << 20, Must: app.Facts(cfg)}
	switch failure {
	case "sockets":
		hello.Sockets = 1
	case "memory":
		hello.Memory = 1
	}
	from, _, err := wire.Greet(inherited, hello)
	if err != nil {
		return gaveUp(err)
	}
	if point == "offer" {
		return fail()
	}
	if err := from.Accept(); err != nil {
		return gaveUp(err)
	}
	section, at := 0, -1
	if text, is := strings.CutPrefix(point, "section"); is {
		at, _ = strconv.Atoi(text)
	}
	var last []byte
	err = from.Receive(func(kind string, body []byte, files []int) error {
		if last = append(last[:0], kind+" "+string(body)...); section == at || string(last) == point {
			if failure == "refuse" {
				return errors.New("as asked")
			}
			os.Exit(fail())
		}
		section++
		return nil
	})
	if err != nil {
		from.Refuse(err)
		return gaveUp(err)
	}
	if point == "committed" {
		if err := from.Ready(); err != nil {
			return gaveUp(err)
		}
	}
	return fail() // with everything
}

// changing is a program that is the real one, or a new process that fails, as a file says.
type changing struct{ program, file string }

func newChanging(t *testing.T) changing {
	t.Helper()
	dir := t.TempDir()
	c := changing{filepath.Join(dir, "roost"), filepath.Join(dir, "what")}
	own, err := os.Executable()
	if err != nil {
		t.Fatal(err)
	}
	program := roosttest.Binary(t)
	script := fmt.Sprintf("#!/bin/bash\nwhat=$(<%s)\n[ \"$what\" = real ] && exec -a \"$0\" %s \"$@\"\nexport %s=\"$what\" %s=%s\nexec -a \"$0\" %s -test.run=None -- \"$@\"\n",
		c.file, program, badVariable, realVariable, program, own)
	if err := os.WriteFile(c.program, []byte(script), 0o755); err != nil {
		t.Fatal(err)
	}
	c.be(t, "real")
	return c
}

// be says what the next process is.
func (c changing) be(t *testing.T, what string) {
	t.Helper()
	if err := os.WriteFile(c.file, []byte(what), 0o600); err != nil {
		t.Fatal(err)
	}
}

// startChanging starts a server of a program that changes.
func startChanging(t *testing.T, feed string, more roosttest.Env) (*stand, changing) {
	t.Helper()
	c := newChanging(t)
	s := start(t, feed, more, "/bin/bash", "-c", fmt.Sprintf(`exec -a %q "$@"`, c.program), "bash")
	return s, c
}

// Wherever the new process fails before commit, and however, the old one takes everything back: nobody notices, and the next upgrade works.
func TestNewProcessFails(t *testing.T) {
	t.Parallel()
	for _, feed := range []string{"pattern", "user", "sharded"} {
		t.Run(feed, func(t *testing.T) {
			t.Parallel()
			s, program := startChanging(t, feed, nil)
			s.fill(50)
			s.publish(50 * time.Millisecond)
			var all []string
			for _, failure := range []string{"die", "exit", "crash", "refuse"} {
				for _, point := range []string{"start", "offer", "section0", "section1", "section2", "done feed", "done hub", "done conns", "ready"} {
					if failure != "refuse" || strings.HasPrefix(point, "section") || strings.HasPrefix(point, "done") {
						all = append(all, failure+" "+point)
					}
				}
			}
			if testing.Short() || feed != "pattern" { // the others are about the links
				all = all[:9]
			}
			for n, what := range all {
				program.be(t, what)
				e2e.SignalLast(s.server, syscall.SIGUSR2)
				why := s.failed(n + 1)
				if strings.HasPrefix(what, "refuse") && !strings.Contains(why, "the handover is refused: as asked") && !roosttest.TooSlow(why) {
					t.Errorf("%s: the log says %q", what, why)
				}
				s.awaitRounds(1)
				check(t, s.members)
			}
			if n := s.server.Metrics().Sum("roost_upgrades_total"); n != float64(len(all)) {
				t.Errorf("%v upgrades are counted, of %d", n, len(all))
			}
			program.be(t, "real")
			s.upgrade(1)
			s.awaitRounds(2)
			s.quiet()
			s.end()
		})
	}
}

// A new process that stands still is ended after a while, during which everybody is served, or waits for two seconds at most.
func TestNewProcessHangs(t *testing.T) {
	t.Parallel()
	for _, point := range []string{"offer", "section0", "ready"} {
		t.Run(point, func(t *testing.T) {
			t.Parallel()
			s, program := startChanging(t, "pattern", nil)
			s.fill(50)
			s.publish(50 * time.Millisecond)
			program.be(t, "hang "+point)
			// Again, where the handover takes too long before it comes to that point: the new process ends by itself then.
			for n := 1; len(s.server.Log.Find("the new process does not end by itself")) == 0; n++ {
				s.server.Signal(syscall.SIGUSR2)
				if why := s.failed(n); !roosttest.TooSlow(why) {
					t.Fatalf("the log says %q", why)
				}
			}
			s.awaitRounds(2)
			s.quiet()
		})
	}
}

// A new process that has not enough room is told so, and the old one goes on.
func TestNewProcessHasNoRoom(t *testing.T) {
	t.Parallel()
	s, program := startChanging(t, "pattern", nil)
	s.fill(10)
	for _, test := range []struct{ what, says string }{
		{"sockets x", "descriptors for 1 client sockets (ulimit -n, LimitNOFILE=), and there are 10"},
		{"memory x", "the memory limit leaves the new process 1 bytes"},
	} {
		program.be(t, test.what)
		if why := s.fails(); !strings.Contains(why, test.says) {
			t.Errorf("the log says %q", why)
		}
	}
	check(t, s.members)
}

// A new process that dies when everything is its own leaves nobody who serves: the old one ends, so that the service is started again.
func TestNewProcessDiesAfterCommit(t *testing.T) {
	t.Parallel()
	s, program := startChanging(t, "pattern", nil)
	s.fill(10)
	program.be(t, "die committed")
	s.server.Signal(syscall.SIGUSR2)
	roosttest.WaitWithin(t, 4*roosttest.Limit, "the old process to end", func() bool {
		s.retry()
		return s.server.Exited()
	})
	if code := s.server.Wait(); code != 1 {
		t.Errorf("the old process ends with %d", code)
	}
	line := s.server.WaitLine("the service can't go on")
	if why := line.Text("error"); !strings.Contains(why, "the new process has ended after it had taken over the connections") {
		t.Errorf("the log says %q", why)
	}
	for _, m := range s.members {
		m.mayRead()
		<-m.done
	}
}

// A program of a release without handovers gets the listening sockets, and the connections are drained.
func TestNewProcessIsOlder(t *testing.T) {
	t.Parallel()
	s, program := startChanging(t, "pattern", nil)
	s.fill(5)
	program.be(t, "old")
	s.server.Signal(syscall.SIGUSR2)
	s.server.WaitLine("stopping", "why", "replaced by a new process")
	for _, m := range s.members {
		m.mayRead()
		<-m.done
		if err := m.problem(); m.kind != stream && (err == nil || !strings.Contains(err.Error(), "closed with 1001")) {
			t.Errorf("%s: %v", m.user, err)
		}
	}
}
