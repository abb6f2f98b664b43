package alert

import (
	"net/http"
	"slices"
	"strings"
	"testing"
	"testing/synctest"
	"time"
)

// The last lines don't wait for the pace: they leave in one message.
func TestCloseDoesNotWaitForThePace(t *testing.T) {
	t.Parallel()
	synctest.Test(t, func(t *testing.T) {
		d := new(discord)
		a, _ := start(d)
		for _, line := range []string{"1", "2", "3", "4", "5", "6"} {
			a.Send(line)
			synctest.Wait()
		}
		a.Down("redis is gone")
		begin := time.Now()
		closeAlerter(t, a)
		if took := time.Since(begin); took != 0 {
			t.Errorf("took %s", took)
		}
		if got := contents(d.seen()); got[len(got)-1] != "6\nservice down: redis is gone" {
			t.Errorf("got %q", got)
		}
	})
}

// A webhook that hung on an earlier message, and works again, gets that message and the last one.
func TestCloseGivesUpTheRequestUnderWay(t *testing.T) {
	t.Parallel()
	synctest.Test(t, func(t *testing.T) {
		d := &discord{answer: func(attempt int, r *http.Request) (*http.Response, error) {
			if attempt == 1 {
				return hang(attempt, r)
			}
			return response(http.StatusNoContent), nil
		}}
		a, _ := start(d)
		a.Send("hung")
		synctest.Wait()
		a.Down("SIGTERM")
		begin := time.Now()
		if err := a.Close(4 * time.Second); err != nil {
			t.Error(err)
		}
		if took := time.Since(begin); took != 2*time.Second {
			t.Errorf("took %s", took)
		}
		if got := contents(d.seen()); !slices.Equal(got, []string{"hung", "hung\nservice down: SIGTERM"}) || a.Dropped() != 0 {
			t.Errorf("got %q, %d dropped", got, a.Dropped())
		}
	})
}

func TestCloseIsBounded(t *testing.T) {
	t.Parallel()
	synctest.Test(t, func(t *testing.T) {
		d := &discord{answer: hang}
		a, log := start(d)
		a.Send("x")
		synctest.Wait()
		a.Down("SIGTERM")
		begin := time.Now()
		if err := a.Close(3 * time.Second); err == nil || strings.Contains(err.Error(), testToken) {
			t.Errorf("error %v", err)
		}
		<-a.done
		if took := time.Since(begin); took != 3*time.Second {
			t.Errorf("took %s", took)
		}
		if a.Dropped() != 2 || strings.Contains(log.String(), testToken) {
			t.Errorf("%d dropped; %s", a.Dropped(), log.String())
		}
	})
}

// Being told to wait is heeded at the end too, as long as there is time.
func TestLastMessageWaitsWhenToldTo(t *testing.T) {
	t.Parallel()
	synctest.Test(t, func(t *testing.T) {
		d := &discord{answer: func(attempt int, _ *http.Request) (*http.Response, error) {
			if attempt == 1 {
				return response(http.StatusTooManyRequests, "Retry-After", "2"), nil
			}
			return response(http.StatusNoContent), nil
		}}
		a, _ := start(d)
		queue(a, "service down")
		closeAlerter(t, a)
		if rs := d.seen(); len(rs) != 2 || rs[1].at.Sub(rs[0].at) != 2*time.Second {
			t.Errorf("got %v", rs)
		}
	})
}

// When not all fits, the newest lines are kept: the last one says why the service leaves.
func TestLastMessageKeepsTheNewestLines(t *testing.T) {
	t.Parallel()
	synctest.Test(t, func(t *testing.T) {
		d := new(discord)
		a, _ := start(d)
		queue(a, append(slices.Repeat([]string{strings.Repeat("o", 500)}, 10), "service down")...)
		closeAlerter(t, a)
		got := contents(d.seen())
		if len(got) != 1 || strings.Count(got[0], "\n") != 4 || !strings.HasSuffix(got[0], "\nservice down\n(7 more left out)") {
			t.Errorf("got %q", got)
		}
		if a.Dropped() != 7 {
			t.Errorf("%d dropped", a.Dropped())
		}
	})
}

// queue puts lines where run finds them when Close is called, and not before.
func queue(a *Alerter, lines ...string) {
	a.mu.Lock()
	defer a.mu.Unlock()
	a.waiting = append(a.waiting, lines...)
}

func TestSendAfterCloseIsCounted(t *testing.T) {
	t.Parallel()
	synctest.Test(t, func(t *testing.T) {
		d := new(discord)
		a, _ := start(d)
		closeAlerter(t, a)
		a.Send("late")
		closeAlerter(t, a) // again: does no harm
		if len(d.seen()) != 0 || a.Dropped() != 1 {
			t.Errorf("%d posts, %d dropped", len(d.seen()), a.Dropped())
		}
	})
}
