package alert

import (
	"errors"
	"fmt"
	"log/slog"
	"net/http"
	"slices"
	"strings"
	"testing"
	"testing/synctest"
	"time"
)

func TestNilAlerterDoesNothing(t *testing.T) {
	t.Parallel()
	for _, cfg := range []Config{{}, {ID: testID}, {Token: testToken}} {
		a := New(cfg)
		if a != nil {
			t.Fatalf("an alerter from %+v", cfg)
		}
		a.Up("")
		a.Down("")
		a.Send("x")
		if err := a.Close(0); err != nil || a.Dropped() != 0 {
			t.Errorf("%v, %d dropped", err, a.Dropped())
		}
		if next := slog.DiscardHandler; a.Handler(next) != next {
			t.Error("a handler of its own")
		}
	}
}

func TestUpAndDown(t *testing.T) {
	t.Parallel()
	synctest.Test(t, func(t *testing.T) {
		d := new(discord)
		a, _ := start(d)
		a.name = "roost on host-1"
		a.Up("port 8081")
		synctest.Wait()
		a.Down("SIGTERM")
		closeAlerter(t, a)
		want := []string{"roost on host-1: service up: port 8081", "roost on host-1: service down: SIGTERM"}
		if got := contents(d.seen()); !slices.Equal(got, want) {
			t.Errorf("got %q", got)
		}
		if url := d.seen()[0].url; url != "https://discord.com/api/webhooks/1234/s3cret-Token_x" {
			t.Errorf("posted to %s", url)
		}
	})
}

// A burst of five at once, then one in two seconds; what comes meanwhile shares messages.
func TestPace(t *testing.T) {
	t.Parallel()
	synctest.Test(t, func(t *testing.T) {
		d := new(discord)
		a, _ := start(d)
		begin := time.Now()
		for i := range 8 {
			a.Send(fmt.Sprint(i))
			synctest.Wait()
		}
		time.Sleep(time.Minute) // synctest's clock: takes no time
		a.Send("later")
		synctest.Wait()
		want := []string{"0", "1", "2", "3", "4", "5\n6\n7", "later"}
		if got := contents(d.seen()); !slices.Equal(got, want) {
			t.Fatalf("got %q", got)
		}
		if wait := d.seen()[5].at.Sub(begin); wait != 2*time.Second {
			t.Errorf("the sixth message came after %s", wait)
		}
		closeAlerter(t, a)
	})
}

func TestFullQueueIsCountedAndTold(t *testing.T) {
	t.Parallel()
	synctest.Test(t, func(t *testing.T) {
		release := make(chan struct{})
		d := &discord{answer: func(attempt int, r *http.Request) (*http.Response, error) {
			if attempt == 1 {
				<-release
			}
			return response(http.StatusOK), nil
		}}
		a, _ := start(d)
		a.Send("first")
		synctest.Wait()
		for range maxQueue - 1 + 7 { // the one that is being posted waits too
			a.Send("x")
		}
		if a.Dropped() != 7 {
			t.Errorf("%d dropped", a.Dropped())
		}
		close(release)
		synctest.Wait()
		if got := contents(d.seen())[1]; strings.Count(got, "x\n") != maxQueue-1 || !strings.HasSuffix(got, "\n(7 more left out)") {
			t.Errorf("got %q", got)
		}
		closeAlerter(t, a)
	})
}

// Lines that don't fit into one message go into the next ones, in order.
func TestManyLongLines(t *testing.T) {
	t.Parallel()
	synctest.Test(t, func(t *testing.T) {
		d := new(discord)
		a, _ := start(d)
		long := strings.Repeat("x", 800)
		queue(a, long+"1", long+"2", long+"3", long+"4")
		a.Send(long + "5")
		synctest.Wait()
		want := []string{long + "1\n" + long + "2", long + "3\n" + long + "4", long + "5"}
		if got := contents(d.seen()); !slices.Equal(got, want) {
			t.Errorf("got %q", got)
		}
		closeAlerter(t, a)
	})
}

func TestFailures(t *testing.T) {
	t.Parallel()
	refused := func(int, *http.Request) (*http.Response, error) { return nil, errors.New("refused") }
	status := func(status int, headers ...string) func(int, *http.Request) (*http.Response, error) {
		return func(int, *http.Request) (*http.Response, error) { return response(status, headers...), nil }
	}
	once := func(first *http.Response) func(int, *http.Request) (*http.Response, error) {
		return func(attempt int, _ *http.Request) (*http.Response, error) {
			if attempt == 1 {
				return first, nil
			}
			return response(http.StatusNoContent), nil
		}
	}
	s := func(n ...int) []time.Duration {
		var ds []time.Duration
		for _, n := range n {
			ds = append(ds, time.Duration(n)*time.Second)
		}
		return ds
	}
	for _, tt := range []struct {
		name    string
		answer  func(int, *http.Request) (*http.Response, error)
		at      []time.Duration // of the attempts, since the first
		dropped uint64
		log     string
	}{
		{"passes", once(response(503)), s(0, 1), 0, ""},
		{"told to wait", once(response(429, "Retry-After", "30")), s(0, 30), 0, ""},
		{"told to wait a fraction", once(response(429, "Retry-After", "0.5")), s(0, 1), 0, ""},
		{"told to wait for days", once(response(429, "Retry-After", "1e9")), s(0, 600), 0, ""},
		{"told nonsense", once(response(429, "Retry-After", "NaN")), s(0, 1), 0, ""},
		{"network", refused, s(0, 1, 3), 1, "error=refused"},
		{"server error", status(502), s(0, 1, 3), 1, "discord answered"},
		{"always too many", status(429, "Retry-After", "10"), s(0, 10, 20), 1, "discord answered"},
		{"webhook deleted", status(404), s(0), 1, "discord answered"},
		{"redirect is not followed", status(302, "Location", "https://elsewhere.example/"), s(0), 1, "discord answered"},
		{"hangs", hang, s(0, 6, 13), 1, "deadline exceeded"},
	} {
		t.Run(tt.name, func(t *testing.T) {
			t.Parallel()
			synctest.Test(t, func(t *testing.T) {
				d := &discord{answer: tt.answer}
				a, log := start(d)
				a.Send("x")
				time.Sleep(time.Hour)
				var at []time.Duration
				for _, r := range d.seen() {
					at = append(at, r.at.Sub(d.seen()[0].at))
				}
				if !slices.Equal(at, tt.at) {
					t.Errorf("attempts at %v, want %v", at, tt.at)
				}
				if a.Dropped() != tt.dropped {
					t.Errorf("%d dropped, want %d", a.Dropped(), tt.dropped)
				}
				if got := log.String(); !strings.Contains(got, tt.log) || (tt.log == "") != (got == "") || strings.Contains(got, testToken) {
					t.Errorf("log: %s", got)
				}
				closeAlerter(t, a)
			})
		})
	}
}
