package webhook

import (
	"context"
	"errors"
	"fmt"
	"net/http"
	"slices"
	"testing"
	"testing/synctest"
	"time"

	"roost/internal/wirecodec"
)

// sections are what a frozen Sender exports.
func sections(t *testing.T, s *Sender) (all [][]byte) {
	t.Helper()
	if err := s.Export(func(section []byte) error {
		if len(section) > wirecodec.MaxPiece {
			t.Errorf("a section has %d bytes", len(section))
		}
		all = append(all, section)
		return nil
	}); err != nil {
		t.Fatal(err)
	}
	return all
}

// Events that wait go to another process, which sends them before its own; a request that was given up goes again as it was.
func TestHandover(t *testing.T) {
	t.Parallel()
	synctest.Test(t, func(t *testing.T) {
		e := &endpoint{answer: func(attempt int, r *http.Request) (*http.Response, error) {
			if attempt == 1 {
				return hang(attempt, r)
			}
			return response(http.StatusOK), nil
		}}
		cfg := testConfig()
		cfg.QueueBytes = 8 << 20
		old, _ := start(t, cfg, e)
		push(old, "first")
		synctest.Wait()
		want := []string{"first", "first"}
		for i := range 5000 {
			want = append(want, fmt.Sprint("user", i))
			push(old, want[len(want)-1])
		}
		next, _ := stopped(t, cfg, e)
		push(next, "own")
		ctx, cancel := context.WithTimeout(t.Context(), 2*time.Second)
		defer cancel()
		old.Freeze(ctx)
		parts := sections(t, old)
		if len(parts) < 2 {
			t.Errorf("%d sections: the test has too few events", len(parts))
		}
		finish(t, old)
		wantFates(t, old, "handover 5001")
		for _, section := range parts {
			if err := next.Import(section); err != nil {
				t.Fatal(err)
			}
			clear(section)
		}
		synctest.Wait()
		if next.Pushed() != 1 || next.Settled() >= 0 {
			t.Errorf("%d of %d are settled, and what was imported waits", next.Settled(), next.Pushed())
		}
		if n := len(e.seen()); n != 1 {
			t.Errorf("%d requests before the new process may send", n)
		}
		next.Start()
		finish(t, next)
		seen := e.seen()
		if got := usersOf(t, bodiesOf(seen)...); !slices.Equal(got, append(want, "own")) {
			t.Errorf("%d users, from %q to %q", len(got), got[:3], got[len(got)-3:])
		}
		if seen[0].header.Get(headerID) != seen[1].header.Get(headerID) || seen[0].body != seen[1].body {
			t.Error("the request that was given up is another one")
		}
		wantFates(t, next, "sent 5002")
		if err := next.Import(parts[0]); err == nil {
			t.Error("an import after the start is taken")
		}
	})
}

// A request is given up so long after its first attempt, whichever process made it.
func TestRetryForGoesOnInTheNextProcess(t *testing.T) {
	t.Parallel()
	synctest.Test(t, func(t *testing.T) {
		e := &endpoint{answer: func(int, *http.Request) (*http.Response, error) { return response(http.StatusServiceUnavailable), nil }}
		began := time.Now()
		old, _ := start(t, testConfig(), e)
		push(old, "alice")
		time.Sleep(7 * time.Minute) // of synctest's clock
		next, _ := stopped(t, testConfig(), e)
		old.Freeze(t.Context())
		for _, section := range sections(t, old) {
			if err := next.Import(section); err != nil {
				t.Fatal(err)
			}
		}
		finish(t, old)
		next.Start()
		time.Sleep(time.Hour)
		seen := e.seen()
		if last := seen[len(seen)-1].at.Sub(began); last != testConfig().RetryFor {
			t.Errorf("the last attempt came after %s, want %s", last, testConfig().RetryFor)
		}
		wantFates(t, next, "gave_up 1")
		finish(t, next)
	})
}

// A request under way ends before the handover, if it does so in time.
func TestFreezeWaitsForTheRequest(t *testing.T) {
	t.Parallel()
	synctest.Test(t, func(t *testing.T) {
		e := &endpoint{answer: func(int, *http.Request) (*http.Response, error) {
			time.Sleep(time.Second)
			return response(http.StatusOK), nil
		}}
		s, _ := start(t, testConfig(), e)
		push(s, "a")
		synctest.Wait()
		push(s, "b")
		ctx, cancel := context.WithTimeout(t.Context(), 2*time.Second)
		defer cancel()
		s.Freeze(ctx)
		if n := s.Status().Waiting; n != 1 {
			t.Errorf("%d wait", n)
		}
		// Events that can't be handed over are counted.
		if err := s.Export(func([]byte) error { return errors.New("gone") }); err == nil {
			t.Error("no error")
		}
		finish(t, s)
		wantFates(t, s, "sent 1, shutdown 1")
	})
}

// A section that can't be read is refused, and changes nothing.
func TestImportRefuses(t *testing.T) {
	t.Parallel()
	s, err := New(testConfig())
	if err != nil {
		t.Fatal(err)
	}
	q := queue{limit: 1 << 20}
	q.push([]byte("{}"))
	q.next()
	q.push([]byte("{}"))
	whole, events := q.section()
	if events != 2 {
		t.Fatalf("%d events", events)
	}
	for n := range whole {
		if n == len(whole)-3 || n == 0 {
			continue // without the last event, which is right too
		}
		if err := s.Import(whole[:n]); err == nil {
			t.Errorf("%d of %d bytes are taken", n, len(whole))
		}
	}
	if err := s.Import(append([]byte{9}, whole[1:]...)); err == nil {
		t.Error("another version is taken")
	}
	if s.imported.batch != nil || s.imported.events != nil {
		t.Errorf("imported %+v", s.imported)
	}
	if err := s.Import(whole); err != nil || len(s.imported.events) != 1 || s.imported.batch.events != 1 {
		t.Errorf("%v, imported %+v", err, s.imported)
	}
}
