package alert

import (
	"encoding/json"
	"io"
	"log/slog"
	"net/http"
	"strings"
	"sync"
	"testing"
	"time"
)

const (
	testID    = "1234"
	testToken = "s3cret-Token_x"
)

// discord stands in for the network, so that tests can run on synctest's clock.
type discord struct {
	answer func(attempt int, r *http.Request) (*http.Response, error) // nil: 204

	mu       sync.Mutex
	requests []request // Guarded by mu.
}

type request struct {
	at      time.Time
	content string
	url     string
}

// RoundTrip is http.RoundTripper's.
func (d *discord) RoundTrip(r *http.Request) (*http.Response, error) {
	var c content
	if err := json.NewDecoder(r.Body).Decode(&c); err != nil {
		return nil, err
	}
	d.mu.Lock()
	d.requests = append(d.requests, request{time.Now(), c.Content, r.URL.String()})
	attempt := len(d.requests)
	d.mu.Unlock()
	if d.answer == nil {
		return response(http.StatusNoContent), nil
	}
	return d.answer(attempt, r)
}

func (d *discord) seen() []request {
	d.mu.Lock()
	defer d.mu.Unlock()
	return append([]request(nil), d.requests...)
}

func response(status int, headers ...string) *http.Response {
	r := &http.Response{StatusCode: status, Status: http.StatusText(status), Header: http.Header{}, Body: io.NopCloser(strings.NewReader("{}"))}
	for i := 0; i+1 < len(headers); i += 2 {
		r.Header.Set(headers[i], headers[i+1])
	}
	return r
}

// hang answers when the request is given up.
func hang(_ int, r *http.Request) (*http.Response, error) {
	<-r.Context().Done()
	return nil, r.Context().Err()
}

// start makes an alerter that talks to d. Its log is in the returned buffer.
func start(d *discord) (*Alerter, *logBuffer) {
	log := new(logBuffer)
	a := New(Config{ID: testID, Token: testToken, Logger: slog.New(slog.NewTextHandler(log, nil))})
	a.hook.client.Transport = d // before anything is sent: run has not looked at it yet
	return a, log
}

type logBuffer struct {
	mu  sync.Mutex
	buf strings.Builder // Guarded by mu.
}

func (b *logBuffer) Write(p []byte) (int, error) {
	b.mu.Lock()
	defer b.mu.Unlock()
	return b.buf.Write(p)
}

func (b *logBuffer) String() string {
	b.mu.Lock()
	defer b.mu.Unlock()
	return b.buf.String()
}

func contents(rs []request) []string {
	var cs []string
	for _, r := range rs {
		cs = append(cs, r.content)
	}
	return cs
}

func closeAlerter(t *testing.T, a *Alerter) {
	t.Helper()
	if err := a.Close(time.Minute); err != nil {
		t.Error(err)
	}
}
