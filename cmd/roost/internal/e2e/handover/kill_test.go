package handover

import (
	"fmt"
	"math/rand/v2"
	"os"
	"path/filepath"
	"syscall"
	"testing"
	"time"

	"roost/cmd/roost/internal/e2e"
	"roost/cmd/roost/internal/roosttest"
)

// The new process is the real program, and is killed at twenty moments before commit, most of them in the middle of the transfer: nobody
// notices, and the next upgrade works.
func TestNewProcessIsKilled(t *testing.T) {
	t.Parallel()
	s, program := startChanging(t, "pattern", nil)
	s.fill(50)
	s.publish(50 * time.Millisecond)
	count := filepath.Join(t.TempDir(), "pieces")
	kill := func(n, at int) {
		t.Helper()
		program.be(t, fmt.Sprint("relay kill ", at, " ", count))
		s.server.Signal(syscall.SIGUSR2)
		s.failed(n)
		s.awaitRounds(1)
		check(t, s.members)
	}
	n, text := 1, []byte(nil)
	for len(text) == 0 { // again, where the handover has failed before that, because it took too long
		kill(n, 1<<30) // when it is ready
		n++
		text, _ = os.ReadFile(count)
	}
	pieces := 0
	if _, err := fmt.Sscan(string(text), &pieces); err != nil {
		t.Fatal(err)
	}
	kills := n + 19
	if testing.Short() {
		kills = n + 4
	}
	for ; n < kills; n++ {
		at := 3 + rand.IntN(pieces-3) // behind the offer
		if n%7 == 0 {
			at = -1 // the old process offers nothing yet
		}
		kill(n, at)
	}
	if n := len(s.server.Log.Find("handing over the connections")); n < kills*3/4-1 {
		t.Errorf("%d of %d were killed in the middle of the transfer", n, kills)
	}
	t.Logf("%d pieces until the new process is ready", pieces)
	program.be(t, "real")
	s.upgrade(1)
	s.awaitRounds(2)
	s.quiet()
	s.end()
}

// stoppedBy has the old process stopped in the middle of an upgrade, and returns once it stands still.
func (s *stand) stoppedBy(program changing, action string, at int) {
	s.t.Helper()
	s.t.Cleanup(func() { s.server.Signal(syscall.SIGCONT) })
	program.be(s.t, fmt.Sprint("relay ", action, " ", at, " ", filepath.Join(s.t.TempDir(), "pieces")))
	s.server.Signal(syscall.SIGUSR2)
	roosttest.WaitFor(s.t, "the old process to be stopped", func() bool {
		if s.server.Exited() {
			s.t.Fatal("the old process has ended")
		}
		s.retry()
		return stopped(s.server.Pid())
	})
}

// An old process that stands still for a moment before commit goes on where it was.
func TestOldProcessStandsStill(t *testing.T) {
	t.Parallel()
	for _, at := range []int{1, 10, 30} {
		t.Run(fmt.Sprint(at), func(t *testing.T) {
			t.Parallel()
			s, program := startChanging(t, "pattern", nil)
			s.fill(50)
			s.publish(50 * time.Millisecond)
			s.stoppedBy(program, "stop", at)
			s.awaitRounds(2)
			s.server.Signal(syscall.SIGCONT)
			program.be(t, "real") // if that took too long
			s.upgraded(1)
			s.awaitRounds(2)
			s.quiet()
			e2e.CheckBalanceNow(t, s.server.Metrics())
		})
	}
}

// A new process gives up on an old one that stands still, which goes on with everybody when it can.
func TestOldProcessHangs(t *testing.T) {
	if testing.Short() {
		t.Skip("lasts as long as the new process waits")
	}
	t.Parallel()
	s, program := startChanging(t, "pattern", nil)
	s.fill(50)
	s.publish(50 * time.Millisecond)
	s.stoppedBy(program, "stop", 10)
	roosttest.WaitFor(t, "the new process to end", func() bool { return len(s.server.Heirs()) == 0 })
	s.server.WaitLine(givesUp)
	s.server.Signal(syscall.SIGCONT)
	s.failed(s.known + 1)
	s.awaitRounds(2)
	program.be(t, "real")
	s.upgrade(1)
	s.awaitRounds(2)
	s.quiet()
	s.end()
}

// Behind its commit an old process that stands still holds up nobody: the new one serves.
func TestOldProcessHangsAfterCommit(t *testing.T) {
	t.Parallel()
	s, program := startChanging(t, "pattern", nil)
	s.fill(50)
	s.publish(50 * time.Millisecond)
	s.stoppedBy(program, "stop-after", 0)
	until := int(s.rounds.Load()) + 2
	roosttest.WaitFor(t, "everybody to be served by the new process", func() bool {
		for _, m := range s.members {
			if m.kind != slow && m.problem() == nil && m.got("own") < until {
				return false
			}
		}
		return true
	})
	check(t, s.members)
	s.server.Signal(syscall.SIGCONT)
	s.upgraded(1)
	s.quiet()
	e2e.CheckBalanceNow(t, s.server.Metrics())
}
