package webhook

import (
	"context"
	"errors"
	"fmt"
	"net/http"
	"slices"
	"strings"
	"sync/atomic"
	"testing"
	"testing/synctest"
	"time"
)

// Events go in their order, many in a request, each request signed.
func TestSend(t *testing.T) {
	t.Parallel()
	synctest.Test(t, func(t *testing.T) {
		release := make(chan struct{})
		e := &endpoint{answer: func(attempt int, _ *http.Request) (*http.Response, error) {
			if attempt == 1 {
				<-release
			}
			return response(http.StatusOK), nil
		}}
		s, log := start(t, testConfig(), e)
		push(s, "a")
		synctest.Wait()
		push(s, "b", "c", "a")
		if status := s.Status(); status.Waiting != 4 || status.Bytes < 400 {
			t.Errorf("status %+v", status)
		}
		close(release)
		finish(t, s)
		seen := e.seen()
		if got := usersOf(t, bodiesOf(seen)...); len(seen) != 2 || !slices.Equal(got, []string{"a", "b", "c", "a"}) {
			t.Errorf("%d requests with %q", len(seen), got)
		}
		for _, r := range seen {
			h := r.header
			want := sign(*s.keys.Load(), h.Get(headerID), r.at, []byte(r.body))
			if h.Get(headerSignature) != want || h.Get("Content-Type") != "application/json" || h.Get("User-Agent") != "roost/test" {
				t.Errorf("headers %v", h)
			}
			if got := h.Get(headerTimestamp); got != fmt.Sprint(r.at.Unix()) {
				t.Errorf("timestamp %s", got)
			}
		}
		if seen[0].header.Get(headerID) == seen[1].header.Get(headerID) {
			t.Error("two requests have one id")
		}
		wantFates(t, s, "sent 4")
		if status := s.Status(); status.Waiting != 0 || status.Bytes != 0 || status.Requests["ok"] != 2 || log.String() != "" {
			t.Errorf("status %+v, log %s", status, log)
		}
	})
}

// The events that are tried again, and when, and those that are lost.
func TestFailures(t *testing.T) {
	t.Parallel()
	failed := errors.New("refused")
	always := func(status int, headers ...string) func(int, *http.Request) (*http.Response, error) {
		return func(int, *http.Request) (*http.Response, error) {
			if status == 0 {
				return nil, failed
			}
			return response(status, headers...), nil
		}
	}
	once := func(answer func(int, *http.Request) (*http.Response, error)) func(int, *http.Request) (*http.Response, error) {
		return func(attempt int, r *http.Request) (*http.Response, error) {
			if attempt == 1 {
				return answer(attempt, r)
			}
			return response(http.StatusNoContent), nil
		}
	}
	second := time.Second
	for _, tt := range []struct {
		name        string
		answer      func(int, *http.Request) (*http.Response, error)
		result      Result
		after, upTo time.Duration // when the second request comes; 0: never
		fates       string
		log         string
	}{
		{"network", once(always(0)), ResultNetwork, 0, second, "sent 1", "error=refused"},
		{"server error", once(always(503)), ResultServerError, 0, second, "sent 1", "answered 503: no"},
		{"too many", once(always(429)), ResultTooMany, 0, second, "sent 1", "answered 429: no"},
		{"too many, with seconds", once(always(429, "Retry-After", "40")), ResultTooMany, 40 * second, 41 * second, "sent 1", "429"},
		{"server error, with seconds", once(always(500, "Retry-After", "7")), ResultServerError, 7 * second, 8 * second, "sent 1", "500"},
		{"too many, for days", once(always(429, "Retry-After", "999999")), ResultTooMany, 300 * second, 301 * second, "sent 1", "429"},
		{"too many, with nonsense", once(always(429, "Retry-After", "-5")), ResultTooMany, 0, second, "sent 1", "429"},
		{"too early", once(always(425)), ResultTryAgain, 0, second, "sent 1", "answered 425"},
		{"too slow, with a date", once(always(408, "Retry-After", "Sat, 01 Jan 2000 00:00:30 GMT")), ResultTryAgain, 30 * second, 31 * second, "sent 1", "408"}, // synctest begins in 2000
		{"too early, always", always(425), ResultTryAgain, 0, second, "gave_up 1", "has failed for too long"},
		{"hangs", once(hang), ResultTimeout, 10 * second, 11 * second, "sent 1", "no response in time"},
		{"refused", always(422), ResultRefused, 0, 0, "refused 1", "answered 422: no\""},
		{"gone", always(410), ResultRefused, 0, 0, "refused 1", "answered 410"},
		{"redirect", always(302, "Location", "https://elsewhere.example/"), ResultRedirect, 0, 0, "refused 1", "a redirect, which is not followed"},
		{"network, always", always(0), ResultNetwork, 0, second, "gave_up 1", "has failed for too long"},
		{"server error, always", always(500), ResultServerError, 0, second, "gave_up 1", "has failed for too long"},
	} {
		t.Run(tt.name, func(t *testing.T) {
			t.Parallel()
			synctest.Test(t, func(t *testing.T) {
				e := &endpoint{answer: tt.answer}
				s, log := start(t, testConfig(), e)
				push(s, "alice")
				time.Sleep(time.Hour) // of synctest's clock
				seen := e.seen()
				if tt.upTo == 0 && len(seen) != 1 {
					t.Errorf("%d requests", len(seen))
				}
				if tt.upTo > 0 {
					if wait := seen[1].at.Sub(seen[0].at); wait < tt.after || wait > tt.upTo {
						t.Errorf("the second request came after %s", wait)
					}
				}
				for _, r := range seen {
					if r.body != seen[0].body || r.header.Get(headerID) != seen[0].header.Get(headerID) {
						t.Error("a request that is tried again is another one")
					}
				}
				if last := seen[len(seen)-1].at.Sub(seen[0].at); strings.Contains(tt.fates, "gave_up") != (last == testConfig().RetryFor) {
					t.Errorf("the last request came after %s", last)
				}
				if n := s.Status().Requests[string(tt.result)]; n == 0 {
					t.Errorf("requests %v", s.Status().Requests)
				}
				wantFates(t, s, tt.fates)
				if got := log.String(); !strings.Contains(got, tt.log) || strings.Contains(got, "key=pass") || strings.Contains(got, testSecret[:12]) {
					t.Errorf("log: %s", got)
				}
				push(s, "bob") // nothing is stuck
				synctest.Wait()
				if got := usersOf(t, bodiesOf(e.seen())...); got[len(got)-1] != "bob" {
					t.Errorf("sent %q", got)
				}
				ctx, cancel := context.WithCancel(t.Context())
				cancel()
				s.Close(ctx)
			})
		})
	}
}

// Waits grow to half a minute, and no two instances wait alike.
func TestBackoff(t *testing.T) {
	t.Parallel()
	for failures, bound := range map[int]time.Duration{1: time.Second, 2: 2 * time.Second, 5: 16 * time.Second, 6: longestRetry, 1000: longestRetry} {
		var longest time.Duration
		for range 1000 {
			wait := backoff(failures, 0)
			if wait < 0 || wait >= bound {
				t.Fatalf("%s after %d failures", wait, failures)
			}
			longest = max(longest, wait)
		}
		if longest < bound/2 {
			t.Errorf("%s at most after %d failures: that is not up to %s", longest, failures, bound)
		}
	}
}

// A dead endpoint costs the oldest events, and their number is known. Those that are left are the newest, in their order.
func TestFullQueue(t *testing.T) {
	t.Parallel()
	synctest.Test(t, func(t *testing.T) {
		var works atomic.Bool
		e := &endpoint{answer: func(_ int, r *http.Request) (*http.Response, error) {
			if !works.Load() {
				return nil, errors.New("refused")
			}
			return response(http.StatusOK), nil
		}}
		cfg := testConfig()
		cfg.QueueBytes, cfg.RetryFor = 64<<10, time.Hour
		s, log := start(t, cfg, e)
		const all = 2000
		var users []string
		for i := range all {
			users = append(users, fmt.Sprint("user", i))
			push(s, users[i])
			if i%100 == 0 {
				time.Sleep(time.Second)
			}
			if bytes := s.Status().Bytes; bytes > cfg.QueueBytes {
				t.Fatalf("%d bytes wait", bytes)
			}
		}
		if failing := s.Status().FailingFor; failing < 18*time.Second {
			t.Errorf("failing for %s", failing)
		}
		works.Store(true)
		finish(t, s)
		status := s.Status()
		dropped, sent := status.Events["queue_full"], status.Events["sent"]
		if dropped == 0 || dropped+sent != all {
			t.Errorf("%d dropped, %d sent of %d", dropped, sent, all)
		}
		taken := e.seen()[len(e.seen())-int(status.Requests["ok"]):]
		got := usersOf(t, bodiesOf(taken)...)
		if want := append(users[:1:1], users[1+dropped:]...); !slices.Equal(got, want) { // the first was under way
			t.Errorf("%d events from %q to %q", len(got), got[:2], got[len(got)-1:])
		}
		if n := strings.Count(log.String(), "are dropped, the oldest first"); n != 1 {
			t.Errorf("%d lines about it within a minute", n)
		}
		if !strings.Contains(log.String(), "the webhook works again") || status.FailingFor != 0 {
			t.Errorf("failing for %s; log: %s", status.FailingFor, log)
		}
	})
}

// The end comes in time whatever the endpoint does, and what is left is counted.
func TestCloseIsBounded(t *testing.T) {
	t.Parallel()
	for name, answer := range map[string]func(int, *http.Request) (*http.Response, error){
		"hangs": hang,
		"fails": func(int, *http.Request) (*http.Response, error) { return nil, errors.New("refused") },
		"waits": func(int, *http.Request) (*http.Response, error) { return response(429, "Retry-After", "60"), nil },
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			synctest.Test(t, func(t *testing.T) {
				s, log := start(t, testConfig(), &endpoint{answer: answer})
				push(s, "a")
				synctest.Wait()
				push(s, "b", "c")
				begun := time.Now()
				ctx, cancel := context.WithTimeout(t.Context(), 3*time.Second)
				defer cancel()
				s.Close(ctx)
				if took := time.Since(begun); took != 3*time.Second {
					t.Errorf("the end took %s", took)
				}
				wantFates(t, s, "shutdown 3")
				if !strings.Contains(log.String(), "events=3") || s.Status().Waiting != 0 {
					t.Errorf("%d wait; log: %s", s.Status().Waiting, log)
				}
			})
		})
	}
}

// Secrets change between two requests; wrong ones change nothing.
func TestSetSecrets(t *testing.T) {
	t.Parallel()
	synctest.Test(t, func(t *testing.T) {
		e := new(endpoint)
		s, _ := start(t, testConfig(), e)
		push(s, "a")
		synctest.Wait()
		if err := s.SetSecrets([]string{"short"}); err == nil {
			t.Error("a wrong secret is taken")
		}
		if err := s.SetSecrets([]string{"whsec_MfKQ9r8GKYqrTwjUPD8ILPZIo2LaLaSw", testSecret}); err != nil {
			t.Fatal(err)
		}
		push(s, "b")
		finish(t, s)
		first, second := e.seen()[0].header.Get(headerSignature), e.seen()[1].header.Get(headerSignature)
		if strings.Count(first, "v1,") != 1 || strings.Count(second, "v1,") != 2 {
			t.Errorf("signatures %q and %q", first, second)
		}
	})
}

func TestNewRefuses(t *testing.T) {
	t.Parallel()
	cfg := testConfig()
	cfg.URL = "gopher://x"
	if _, err := New(cfg); err == nil || !strings.Contains(err.Error(), "neither https nor http") {
		t.Errorf("%v", err)
	}
	cfg = testConfig()
	cfg.Secrets = []string{"hunter2"}
	if _, err := New(cfg); err == nil || strings.Contains(err.Error(), "hunter2") {
		t.Errorf("%v", err)
	}
}

// An event is settled once it was taken, or is lost and counted. What is dropped at the end never is: others have to know.
func TestSettled(t *testing.T) {
	t.Parallel()
	synctest.Test(t, func(t *testing.T) {
		status := http.StatusOK
		e := &endpoint{answer: func(int, *http.Request) (*http.Response, error) { return response(status), nil }}
		s, _ := start(t, testConfig(), e)
		settled := func(of, want int64) {
			t.Helper()
			synctest.Wait()
			if s.Pushed() != of || s.Settled() != want {
				t.Errorf("%d of %d are settled, want %d of %d", s.Settled(), s.Pushed(), want, of)
			}
		}
		push(s, "taken")
		settled(1, 1)
		status = http.StatusBadRequest
		push(s, "refused")
		settled(2, 2)
		status = http.StatusServiceUnavailable
		push(s, "waits")
		push(s, "too")
		settled(4, 2)
		ctx, cancel := context.WithTimeout(t.Context(), time.Second)
		defer cancel()
		s.Close(ctx)
		if n := s.Settled(); n != 2 {
			t.Errorf("%d are settled at the end", n)
		}
	})
}
