package webhook

import (
	"bytes"
	"context"
	"encoding/base64"
	"encoding/json"
	"fmt"
	"io"
	"log/slog"
	"net/http"
	"strings"
	"sync"
	"testing"
	"time"

	"go.uber.org/goleak"
)

func TestMain(m *testing.M) { goleak.VerifyTestMain(m) }

// patience is how long a test with real sockets waits for what has to come.
const patience = time.Minute

var testSecret = secretPrefix + base64.StdEncoding.EncodeToString([]byte("thirty-two bytes of a secret....."))

// lines is a log that can be read.
type lines struct {
	mu   sync.Mutex
	text bytes.Buffer
}

func (l *lines) Write(b []byte) (int, error) {
	l.mu.Lock()
	defer l.mu.Unlock()
	return l.text.Write(b)
}

func (l *lines) String() string {
	l.mu.Lock()
	defer l.mu.Unlock()
	return l.text.String()
}

// endpoint stands in for the network, so that tests can run on synctest's clock.
type endpoint struct {
	answer func(attempt int, r *http.Request) (*http.Response, error) // nil: 204

	mu       sync.Mutex
	requests []request // guarded by mu
}

type request struct {
	at     time.Time
	header http.Header
	body   string
}

// RoundTrip is http.RoundTripper's.
func (e *endpoint) RoundTrip(r *http.Request) (*http.Response, error) {
	body, err := io.ReadAll(r.Body)
	if err != nil {
		return nil, err
	}
	e.mu.Lock()
	e.requests = append(e.requests, request{time.Now(), r.Header, string(body)})
	attempt := len(e.requests)
	e.mu.Unlock()
	if e.answer == nil {
		return response(http.StatusNoContent), nil
	}
	return e.answer(attempt, r)
}

func (e *endpoint) seen() []request {
	e.mu.Lock()
	defer e.mu.Unlock()
	return append([]request(nil), e.requests...)
}

// hang answers nothing.
func hang(_ int, r *http.Request) (*http.Response, error) {
	<-r.Context().Done()
	return nil, r.Context().Err()
}

func response(status int, headers ...string) *http.Response {
	r := &http.Response{StatusCode: status, Header: http.Header{}, Body: io.NopCloser(strings.NewReader("no\nmore"))}
	for i := 0; i+1 < len(headers); i += 2 {
		r.Header.Set(headers[i], headers[i+1])
	}
	return r
}

func testConfig() Config {
	return Config{
		URL: "https://hooks.example/roost?key=pass", Secrets: []string{testSecret}, Timeout: 10 * time.Second, RetryFor: 10 * time.Minute,
		QueueBytes: 1 << 20, UserAgent: "roost/test",
	}
}

// start runs a Sender that talks to e. Close ends it.
func start(t *testing.T, cfg Config, e *endpoint) (*Sender, *lines) {
	t.Helper()
	s, log := stopped(t, cfg, e)
	s.Start()
	return s, log
}

// stopped is start without Start.
func stopped(t *testing.T, cfg Config, e *endpoint) (*Sender, *lines) {
	t.Helper()
	log := new(lines)
	cfg.Logger = slog.New(slog.NewTextHandler(log, nil))
	s, err := New(cfg)
	if err != nil {
		t.Fatal(err)
	}
	if e != nil {
		s.client.Transport = e
	}
	go s.Run()
	return s, log
}

// finish closes a Sender that has the time it needs.
func finish(t *testing.T, s *Sender) {
	t.Helper()
	ctx, cancel := context.WithTimeout(context.Background(), patience)
	defer cancel()
	s.Close(ctx)
}

// push has users become online.
func push(s *Sender, users ...string) {
	for _, user := range users {
		s.Push([]Event{{User: user, Online: true, At: time.Now()}})
	}
}

// usersOf are the users of all bodies, in their order.
func usersOf(t *testing.T, bodies ...string) (users []string) {
	t.Helper()
	for _, body := range bodies {
		var events []wireEvent
		if err := json.Unmarshal([]byte(body), &events); err != nil {
			t.Fatalf("%q: %v", body, err)
		}
		for _, e := range events {
			users = append(users, e.User)
		}
	}
	return users
}

func bodiesOf(requests []request) (bodies []string) {
	for _, r := range requests {
		bodies = append(bodies, r.body)
	}
	return bodies
}

// wantFates wants these events, by fate, and no others.
func wantFates(t *testing.T, s *Sender, want string) {
	t.Helper()
	status := s.Status()
	var got []string
	for _, fate := range Fates() {
		if n := status.Events[string(fate)]; n > 0 {
			got = append(got, fmt.Sprintf("%s %d", fate, n))
		}
	}
	if all := strings.Join(got, ", "); all != want {
		t.Errorf("events: %q, want %q", all, want)
	}
}
