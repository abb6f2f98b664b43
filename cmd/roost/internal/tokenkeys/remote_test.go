package tokenkeys

import (
	"context"
	"errors"
	"fmt"
	"net/http"
	"net/http/httptest"
	"strings"
	"sync"
	"sync/atomic"
	"testing"
	"time"

	"roost/wsproto/auth"
)

// issuer publishes a JWKS that can be changed.
type issuer struct {
	*httptest.Server
	fetches atomic.Int64

	mu     sync.Mutex
	answer http.HandlerFunc
}

func newIssuer(t *testing.T, answer http.HandlerFunc) *issuer {
	t.Helper()
	i := &issuer{answer: answer}
	i.Server = httptest.NewServer(http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		i.fetches.Add(1)
		i.mu.Lock()
		answer := i.answer
		i.mu.Unlock()
		answer(w, r)
	}))
	t.Cleanup(i.Close)
	return i
}

func (i *issuer) set(answer http.HandlerFunc) {
	i.mu.Lock()
	defer i.mu.Unlock()
	i.answer = answer
}

// publishes answers with a JWKS of these keys.
func publishes(keys ...string) http.HandlerFunc {
	return func(w http.ResponseWriter, _ *http.Request) {
		_, _ = w.Write([]byte(`{"keys":[` + strings.Join(keys, ",") + `]}`))
	}
}

func fails(w http.ResponseWriter, _ *http.Request) { w.WriteHeader(http.StatusInternalServerError) }

// used records what a Remote hands over.
type used struct {
	mu  sync.Mutex
	ids string
	err error
}

func (u *used) use(keys []auth.PublicKey, _ []auth.LeftOut) error {
	u.mu.Lock()
	defer u.mu.Unlock()
	if u.err != nil {
		return u.err
	}
	u.ids = ""
	for _, k := range keys {
		u.ids += k.ID()
	}
	return nil
}

func (u *used) now() string {
	u.mu.Lock()
	defer u.mu.Unlock()
	return u.ids
}

// run runs a Remote until the test ends.
func run(t *testing.T, r *Remote) {
	t.Helper()
	ctx, cancel := context.WithCancel(context.Background())
	var group sync.WaitGroup
	group.Go(func() { _ = r.Run(ctx) })
	t.Cleanup(func() { cancel(); group.Wait() })
}

func eventually(t *testing.T, what string, holds func() bool) {
	t.Helper()
	deadline := time.Now().Add(time.Minute)
	tick := time.NewTicker(2 * time.Millisecond)
	defer tick.Stop()
	for !holds() {
		if time.Now().After(deadline) {
			t.Fatalf("waited in vain: %s", what)
		}
		<-tick.C
	}
}

// Keys come and go with the JWKS, and stay while it can't be fetched.
func TestRefresh(t *testing.T) {
	t.Parallel()
	a, b := jwk(t, newEd(t).Public(), `,"kid":"a"`), jwk(t, newEd(t).Public(), `,"kid":"b"`)
	i, u := newIssuer(t, publishes(a)), new(used)
	r := NewRemote(Config{URL: i.URL, Use: u.use, Timeout: time.Minute, Refresh: 5 * time.Millisecond, RetryAfter: time.Millisecond})
	if s := r.Status(); s != (Status{}) || !pending(r, "b") {
		t.Errorf("before the first fetch: %+v, and unknown keys are not pending", s)
	}
	r.Fetch(t.Context())
	if u.now() != "a" || r.Status() != (Status{Keys: 1, OK: 1}) {
		t.Fatalf("got %q, %+v", u.now(), r.Status())
	}
	run(t, r)
	i.set(publishes(a, b))
	eventually(t, "the new key is there", func() bool { return u.now() == "ab" })
	i.set(publishes(b))
	eventually(t, "the old key is gone", func() bool { return u.now() == "b" })
	i.set(fails)
	eventually(t, "some fetches fail", func() bool { return r.Status().Failed >= 3 })
	if u.now() != "b" || r.Status().Keys != 1 {
		t.Errorf("after a failure: %q, %+v", u.now(), r.Status())
	}
	i.set(publishes())
	eventually(t, "all keys are gone", func() bool { return u.now() == "" && r.Status().Keys == 0 })
	u.mu.Lock()
	u.err = errors.New("not these")
	u.mu.Unlock()
	before := r.Status()
	eventually(t, "keys that nobody takes count as failed", func() bool { return r.Status().Failed > before.Failed })
}

// A reload has the keys fetched at once, long before it is time.
func TestFetchSoon(t *testing.T) {
	t.Parallel()
	a, b := jwk(t, newEd(t).Public(), `,"kid":"a"`), jwk(t, newEd(t).Public(), `,"kid":"b"`)
	i, u := newIssuer(t, publishes(a)), new(used)
	r := NewRemote(Config{URL: i.URL, Use: u.use, Timeout: time.Minute, Refresh: time.Hour, RetryAfter: time.Hour})
	r.Fetch(t.Context())
	run(t, r)
	i.set(publishes(b))
	r.FetchSoon()
	eventually(t, "the new keys are there", func() bool { return u.now() == "b" })
	i.set(publishes(a))
	r.FetchSoon()
	eventually(t, "the next ones too", func() bool { return u.now() == "a" })
}

func TestFetchesThatFail(t *testing.T) {
	t.Parallel()
	key := jwk(t, newEd(t).Public(), `,"kid":"a"`)
	for name, test := range map[string]struct {
		answer http.HandlerFunc
		want   string
	}{
		"500":       {fails, "answered 500, not 200"},
		"404":       {http.NotFound, "answered 404, not 200"},
		"no JWKS":   {func(w http.ResponseWriter, _ *http.Request) { _, _ = w.Write([]byte("<html>")) }, "not a JWKS"},
		"too large": {publishes(key, `"`+strings.Repeat("x", maxJWKS)+`"`), "more than 1048576 bytes"},
		"endless": {func(w http.ResponseWriter, _ *http.Request) {
			for err := error(nil); err == nil; {
				_, err = w.Write(make([]byte, 4096))
			}
		}, "more than 1048576 bytes"},
		"never ends": {func(_ http.ResponseWriter, r *http.Request) { <-r.Context().Done() }, "exceeded"},
		"cut off": {func(w http.ResponseWriter, _ *http.Request) {
			w.Header().Set("Content-Length", "99")
			_, _ = w.Write([]byte(`{"keys":[]`))
		}, "unexpected EOF"},
		"elsewhere": {http.RedirectHandler("http://192.0.2.1/jwks", http.StatusFound).ServeHTTP, "redirected to what is not https"},
		"to and fro": {func(w http.ResponseWriter, r *http.Request) { http.Redirect(w, r, "/", http.StatusFound) },
			"more than 3 redirects"},
		"not at once": {func(w http.ResponseWriter, r *http.Request) { w.WriteHeader(http.StatusAccepted); publishes(key)(w, r) },
			"answered 202, not 200"},
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			i, u, timeout := newIssuer(t, test.answer), new(used), time.Minute
			if name == "never ends" {
				timeout = time.Second
			}
			r := NewRemote(Config{URL: i.URL + "/?key=hush", Use: u.use, Timeout: timeout})
			_, _, err := r.get(t.Context())
			if err == nil || !strings.Contains(err.Error(), test.want) || strings.Contains(err.Error(), "hush") {
				t.Errorf("got %v, want %s, without the query", err, test.want)
			}
			r.Fetch(t.Context())
			if s := r.Status(); s != (Status{Failed: 1}) || u.now() != "" {
				t.Errorf("%+v, %q", s, u.now())
			}
			if n := i.fetches.Load(); n > 2*(maxRedirects+1) {
				t.Errorf("%d requests", n)
			}
		})
	}
}

// pending asks for a key.
func pending(r *Remote, name string) bool {
	_, pending := r.Unknown(name)
	return pending
}

// A flood of tokens with unknown keys costs one fetch in Config.UnknownEvery, whatever comes of it.
func TestUnknownKeys(t *testing.T) {
	t.Parallel()
	a, b := jwk(t, newEd(t).Public(), `,"kid":"a"`), jwk(t, newEd(t).Public(), `,"kid":"b"`)
	i, u := newIssuer(t, publishes(a)), new(used)
	hold := make(chan struct{})
	r := NewRemote(Config{URL: i.URL, Use: u.use, Timeout: time.Minute, Refresh: time.Hour, UnknownEvery: time.Hour})
	r.Fetch(t.Context())
	run(t, r)
	i.set(func(w http.ResponseWriter, r *http.Request) { <-hold; publishes(a, b)(w, r) })
	for n := range 1000 {
		if !pending(r, fmt.Sprint(n)) {
			t.Fatal("not pending while a fetch is under way")
		}
	}
	eventually(t, "the fetch has begun", func() bool { return i.fetches.Load() == 2 })
	close(hold)
	eventually(t, "the new key is there", func() bool { return u.now() == "ab" })
	eventually(t, "the fetch is over", func() bool { return !pending(r, "0") })
	for n := range 1000 {
		pending(r, fmt.Sprint(n))
		pending(r, fmt.Sprint("another ", n))
	}
	if n := i.fetches.Load(); n != 2 {
		t.Errorf("%d fetches, want 2", n)
	}
}

// A made-up name a minute costs nobody whose key the issuer has just begun to use a refusal: they are told to come
// again when it will have been looked for, and then it has been.
func TestBogusKeysKeepNoOtherOut(t *testing.T) {
	t.Parallel()
	const every = 200 * time.Millisecond
	a, b := jwk(t, newEd(t).Public(), `,"kid":"a"`), jwk(t, newEd(t).Public(), `,"kid":"b"`)
	i, u := newIssuer(t, publishes(a)), new(used)
	r := NewRemote(Config{URL: i.URL, Use: u.use, Timeout: time.Minute, Refresh: time.Hour, UnknownEvery: every})
	r.Fetch(t.Context())
	run(t, r)
	for n := range 3 {
		if !pending(r, fmt.Sprint("bogus ", n)) {
			t.Fatal("refused before it was looked for")
		}
		eventually(t, "the bogus key has been looked for", func() bool { return !pending(r, fmt.Sprint("bogus ", n)) })
	}
	i.set(publishes(a, b))
	wait, stillPending := r.Unknown("b")
	if !stillPending || wait < soon {
		t.Fatalf("the new key: %t, wait %s", stillPending, wait)
	}
	eventually(t, "the new key is there", func() bool { return u.now() == "ab" })
}

// While the issuer is away nobody can say that a key is not there.
func TestUnknownKeysWhileTheIssuerIsAway(t *testing.T) {
	t.Parallel()
	i := newIssuer(t, publishes())
	r := NewRemote(Config{URL: i.URL, Use: new(used).use, Timeout: time.Minute, UnknownEvery: time.Hour})
	pending(r, "a")
	for _, step := range []struct {
		answer  http.HandlerFunc
		pending bool
	}{{fails, true}, {publishes(), false}, {fails, true}, {publishes(), false}} {
		i.set(step.answer)
		r.Fetch(t.Context())
		if pending(r, "a") != step.pending {
			t.Errorf("pending is %v", !step.pending)
		}
		if wait, _ := r.Unknown("a"); step.pending && wait < soon {
			t.Errorf("is to come again after %s", wait)
		}
	}
}

func TestWait(t *testing.T) {
	t.Parallel()
	r := NewRemote(Config{Refresh: time.Hour})
	var got []time.Duration
	for _, r.failures = range []int{0, 1, 2, 3, 6, 7, 100} {
		got = append(got, r.wait())
	}
	want := []time.Duration{time.Hour, time.Second, 2 * time.Second, 4 * time.Second, 32 * time.Second, time.Minute, time.Minute}
	for i := range want {
		if got[i] != want[i] {
			t.Fatalf("got %v, want %v", got, want)
		}
	}
	r.cfg.Refresh = 3 * time.Second
	if r.failures = 5; r.wait() != 3*time.Second {
		t.Errorf("waits %s, longer than between two fetches", r.wait())
	}
}

func TestCheckURL(t *testing.T) {
	t.Parallel()
	for address, ok := range map[string]bool{
		"https://id.example/.well-known/jwks.json": true, "https://id.example:8443/?a=b": true, "http://localhost:1/": true,
		"http://127.0.0.1/jwks": true, "http://[::1]:80/jwks": true,
		"http://id.example/": false, "http://10.0.0.1/": false, "http://localhost.example/": false, "ftp://id.example/": false,
		"https://": false, "id.example/jwks": false, "/jwks": false, "": false, "https:id.example": false,
		"https://user:hush@id.example/": false, "https://a b/": false, "file:///etc/jwks": false,
	} {
		if err := CheckURL(address); (err == nil) != ok {
			t.Errorf("%q: %v", address, err)
		}
	}
}
