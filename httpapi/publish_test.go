package httpapi

import (
	"bytes"
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"log/slog"
	"net/http"
	"net/http/httptest"
	"os"
	"strings"
	"sync"
	"testing"
	"testing/iotest"
	"testing/synctest"
	"time"
)

const publishToken = "0123456789abcdef"

// fakePublishing takes what is published. It refuses the user nobody.
type fakePublishing struct {
	mu        sync.Mutex
	published []Publication
	err       error
	hold      chan struct{} // nil: does not wait
	keys      map[string]Idempotency
	forgetful bool // takes no keys
}

func (f *fakePublishing) publishing() *Publishing {
	return &Publishing{
		Check: func(p Publication) error {
			if p.User == "nobody" {
				return errors.New("nobody is nobody")
			}
			return nil
		},
		Keys: func() bool { return !f.forgetful },
		Publish: func(_ context.Context, all []Publication, key *Idempotency) (done Published, err error) {
			if f.hold != nil {
				<-f.hold
			}
			f.mu.Lock()
			defer f.mu.Unlock()
			if f.err != nil {
				return Published{}, f.err
			}
			done.Receivers = append(make([]int64, len(all)-1), -1)
			if key != nil {
				switch before, known := f.keys[key.Key]; {
				case known && before.Content != key.Content:
					return Published{}, fmt.Errorf("elsewhere: %w", ErrKeyUsed)
				case known:
					done.Before = len(all)
					return done, nil
				}
				if f.keys == nil {
					f.keys = make(map[string]Idempotency)
				}
				f.keys[key.Key] = *key
			}
			f.published = append(f.published, all...)
			return done, nil
		},
	}
}

// post sends a body as JSON, with the token.
func post(s *Server, body io.Reader, headers ...string) *httptest.ResponseRecorder {
	r := httptest.NewRequest("POST", "http://localhost/publish", body)
	r.RemoteAddr = "127.0.0.1:1000"
	r.Header.Set("Content-Type", "application/json")
	r.Header.Set("Authorization", "Bearer "+publishToken)
	for i := 0; i+1 < len(headers); i += 2 {
		r.Header.Set(headers[i], headers[i+1])
	}
	w := httptest.NewRecorder()
	s.Handler().ServeHTTP(w, r)
	return w
}

const greeting = `{"type":"greeting","payload":{"n":1.50}}`

func TestPublish(t *testing.T) {
	t.Parallel()
	one := `{"user":"alice","notification":` + greeting + `}`
	array := func(n int) string { return "[" + strings.TrimSuffix(strings.Repeat(one+",", n), ",") + "]" }
	for _, tt := range []struct {
		name, body string
		headers    []string
		code       int
		says       string
		published  int
	}{
		{name: "one", body: one, code: 200, says: `{"published":1,"receivers":[null]}`, published: 1},
		{name: "with spaces", body: " \n" + one + "\n", code: 200, published: 1},
		{name: "several", body: `[` + one + ` , {"everyone":true,"notification":{"type":"x"}},{"group":"staff","notification":{"type":"x"}},{"user":"alice","disconnect":{}},{"user":"alice","join":["a"],"leave":["b"]}]`,
			code: 200, says: `"receivers":[0,0,0,0,null]`, published: 5},
		{name: "an escaped name", body: `{"\u0075ser":"\u00e9","notification":{"type":"x"}}`, code: 200, published: 1},
		{name: "as many as there may be", body: array(maxPublications), code: 200, published: maxPublications},
		{name: "a charset", body: one, headers: []string{"Content-Type", "application/json; charset=utf-8"}, code: 200, published: 1},

		{name: "one too many", body: array(maxPublications + 1), code: 413, says: "1000"},
		{name: "too big", body: `{"user":"` + strings.Repeat("x", maxPublishBody) + `"}`, code: 413, says: "1048576"},
		{name: "a form", body: "user=alice", headers: []string{"Content-Type", "application/x-www-form-urlencoded"}, code: 415, says: "application/json"},
		{name: "compressed", body: one, headers: []string{"Content-Encoding", "gzip"}, code: 415, says: "Content-Encoding"},
		{name: "no token", body: one, headers: []string{"Authorization", ""}, code: 401},
		{name: "no JSON", body: `{"user":"alice",}`, code: 400, says: "at byte 17"},
		{name: "nothing", body: "", code: 400, says: "JSON"},
		{name: "two values", body: one + one, code: 400, says: "JSON"},
		{name: "no UTF-8", body: `{"user":"` + "\xff" + `","notification":{"type":"x"}}`, code: 400, says: "UTF-8"},

		{name: "no object", body: `"alice"`, code: 422, says: "array of objects"},
		{name: "an empty array", body: `[ ]`, code: 422, says: "empty"},
		{name: "an array in the array", body: `[` + one + `,[]]`, code: 422, says: `publication 1: it has to be an object`},
		{name: "the second is wrong", body: `[` + one + `,{"user":"nobody","notification":{"type":"x"}}]`, code: 422, says: `publication 1: nobody is nobody","index":1`},
		{name: "no recipient", body: `{"notification":{"type":"x"}}`, code: 422, says: `"index":0`},
		{name: "two recipients", body: `{"user":"a","group":"b","notification":{"type":"x"}}`, code: 422, says: "more than one"},
		{name: "nothing to send", body: `{"user":"a"}`, code: 422, says: "has no"},
		{name: "two things", body: `{"user":"a","notification":{"type":"x"},"disconnect":{}}`, code: 422, says: "more than one of"},
		{name: "disconnected and moved", body: `{"user":"a","join":["g"],"disconnect":{}}`, code: 422, says: "more than one of"},
		{name: "a group that joins", body: `{"group":"a","join":["g"]}`, code: 422, says: "go with"},
		{name: "everyone disconnected", body: `{"everyone":true,"disconnect":{}}`, code: 422, says: "go with"},
		{name: "not everyone", body: `{"everyone":false,"notification":{"type":"x"}}`, code: 422, says: "true"},
		{name: "a number as the user", body: `{"user":7,"notification":{"type":"x"}}`, code: 422, says: "string"},
		{name: "an empty user", body: `{"user":"","notification":{"type":"x"}}`, code: 422, says: "empty"},
		{name: "another case", body: `{"User":"a","notification":{"type":"x"}}`, code: 422, says: `unknown member \"User\"`},
		{name: "twice", body: `{"user":"a","user":"b","notification":{"type":"x"}}`, code: 422, says: "twice"},
		{name: "encoded twice", body: `{"user":"a","notification":"{}"}`, code: 422, says: "not a string"},
	} {
		taken := new(fakePublishing)
		s := newServer(t, Config{Token: publishToken, Publishing: taken.publishing()})
		w := post(s, strings.NewReader(tt.body), tt.headers...)
		if w.Code != tt.code || !strings.Contains(w.Body.String(), tt.says) || len(taken.published) != tt.published {
			t.Errorf("%s: %d %.300s with %d published, want %d, %q and %d", tt.name, w.Code, w.Body, len(taken.published), tt.code, tt.says, tt.published)
		}
		if stats := s.stats(); stats.PublishRequests[fmt.Sprint(tt.code)] != 1 {
			t.Errorf("%s: counted as %v", tt.name, stats.PublishRequests)
		}
	}
}

// A body that is cut off, too slow or too long is refused, and nothing of it is published.
func TestPublishBrokenBodies(t *testing.T) {
	t.Parallel()
	for name, test := range map[string]struct {
		body io.Reader
		code int
		says string
	}{
		"longer than it may be": {io.LimitReader(spaces{}, maxPublishBody+1), 413, "1048576"},
		"too slow":              {iotest.ErrReader(os.ErrDeadlineExceeded), 408, "did not come within"},
		"breaks off":            {io.MultiReader(strings.NewReader(`{"user":`), iotest.ErrReader(io.ErrUnexpectedEOF)), 400, "can't be read"},
	} {
		taken := new(fakePublishing)
		s := newServer(t, Config{Token: publishToken, Publishing: taken.publishing()})
		if w := post(s, test.body); w.Code != test.code || !strings.Contains(w.Body.String(), test.says) || len(taken.published) != 0 {
			t.Errorf("%s: %d %.300s with %d published, want %d and %q", name, w.Code, w.Body, len(taken.published), test.code, test.says)
		}
	}
}

// spaces is white space without an end.
type spaces struct{}

func (spaces) Read(b []byte) (int, error) {
	for i := range b {
		b[i] = ' '
	}
	return len(b), nil
}

// The bytes of a notification reach Redis as they came.
func TestPublishKeepsBytes(t *testing.T) {
	t.Parallel()
	taken := new(fakePublishing)
	s := newServer(t, Config{Token: publishToken, Publishing: taken.publishing()})
	post(s, strings.NewReader(`{"notification" : `+greeting+` , "user":"alice"}`))
	if want := (Publication{User: "alice", Notification: greeting}); len(taken.published) != 1 || taken.published[0] != want {
		t.Errorf("published %+v, want %+v", taken.published, want)
	}
}

func TestPublishWithoutToken(t *testing.T) {
	t.Parallel()
	taken := new(fakePublishing)
	s := newServer(t, Config{Console: true, Publishing: taken.publishing()})
	body := `{"user":"alice","notification":{"type":"x"}}`
	if w := post(s, strings.NewReader(body)); w.Code != 403 || !strings.Contains(w.Body.String(), "HTTP_TOKEN") {
		t.Errorf("without a token on the server: %d %s", w.Code, w.Body)
	}
	s.OfferDemo(Demo{})
	for _, tt := range []struct {
		headers []string
		code    int
	}{
		{nil, 200}, {[]string{"X-Forwarded-For", "192.0.2.1"}, 403}, {[]string{"Sec-Fetch-Site", "cross-site"}, 403},
	} {
		if w := post(s, strings.NewReader(body), tt.headers...); w.Code != tt.code {
			t.Errorf("of the demo, with %v: %d %s, want %d", tt.headers, w.Code, w.Body, tt.code)
		}
	}
	s.SetToken("another token here")
	if w := post(s, strings.NewReader(body)); w.Code != 401 {
		t.Errorf("of the demo with a token: %d", w.Code)
	}
}

func TestPublishFails(t *testing.T) {
	t.Parallel()
	body := `[{"user":"a","notification":{"type":"x"}},{"user":"b","notification":{"type":"x"}},{"user":"c","disconnect":{}}]`
	for _, tt := range []struct {
		name string
		err  error
		away bool
		says string
	}{
		{"Redis is away", nil, true, `nothing is published, try again","published":0,"uncertain":false`},
		{"nothing was sent", &PublishError{Err: errors.New("no")}, false, `no; nothing is published","published":0,"uncertain":false`},
		{"part of it was", &PublishError{Published: 2, Err: errors.New("no")}, false, `of 3 publications the first 2 are published, and no others","published":2,"uncertain":false`},
		{"who knows", &PublishError{Published: 1, Uncertain: true, Err: errors.New("no")}, false, `some of the others may be","published":1,"uncertain":true`},
		{"nobody knows", errors.New("no"), false, `some of the 3 publications may be published","published":0,"uncertain":true`},
	} {
		taken := &fakePublishing{err: tt.err}
		var log bytes.Buffer
		s := newServer(t, Config{
			Token: publishToken, Publishing: taken.publishing(), Logger: slog.New(slog.NewTextHandler(&log, nil)),
			Redis: func() RedisState { return RedisState{Connected: !tt.away} },
		})
		w := post(s, strings.NewReader(body))
		if w.Code != 503 || w.Header().Get("Retry-After") == "" || !strings.Contains(w.Body.String(), tt.says) {
			t.Errorf("%s: %d %s %s", tt.name, w.Code, w.Header(), w.Body)
		}
		if !strings.Contains(log.String(), "request to publish failed") {
			t.Errorf("%s: the log says %q", tt.name, &log)
		}
		far, sum := new(PublishError), uint64(0)
		for _, n := range s.stats().PublishedOverHTTP {
			sum += n
		}
		if errors.As(tt.err, &far); sum != uint64(far.Published) {
			t.Errorf("%s: %d counted as published", tt.name, sum)
		}
	}
}

func TestPublishIsLogged(t *testing.T) {
	t.Parallel()
	var log bytes.Buffer
	s := newServer(t, Config{Token: publishToken, Publishing: new(fakePublishing).publishing(), Logger: slog.New(slog.NewJSONHandler(&log, nil))})
	for range 50 {
		post(s, strings.NewReader(`[{"user":"alice","disconnect":{}},{"group":"g","notification":{"type":"x","payload":"private"}}]`))
	}
	lines := strings.Split(strings.TrimSpace(log.String()), "\n")
	var line map[string]any
	if err := json.Unmarshal([]byte(lines[0]), &line); err != nil {
		t.Fatal(err)
	}
	if line["remote"] != "127.0.0.1:1000" || line["disconnects"] != 1.0 || line["groups"] != 1.0 || line["first"] != "disconnect alice" {
		t.Errorf("logged %v", line)
	}
	if len(lines) >= 50 || strings.Contains(log.String(), "private") || strings.Contains(log.String(), publishToken) {
		t.Errorf("%d lines: %.1000s", len(lines), &log)
	}
}

// However many publish, there is an answer: those that are too many are told to come back.
func TestPublishAtOnce(t *testing.T) {
	t.Parallel()
	taken := new(fakePublishing)
	s := newServer(t, Config{Token: publishToken, Publishing: taken.publishing()})
	body := `{"user":"alice","notification":{"type":"x"}}`
	synctest.Test(t, func(*testing.T) {
		taken.hold = make(chan struct{})
		var all sync.WaitGroup
		for range publishAtOnce {
			all.Go(func() { post(s, strings.NewReader(body)) })
		}
		synctest.Wait()
		if w := post(s, strings.NewReader(body)); w.Code != 503 || w.Header().Get("Retry-After") == "" {
			t.Errorf("one more: %d %s", w.Code, w.Body)
		}
		close(taken.hold)
		all.Wait()
	})
	taken.hold = nil
	if w := post(s, strings.NewReader(body)); w.Code != 200 {
		t.Errorf("later: %d %s", w.Code, w.Body)
	}
}

// A body that never ends is given up, and others are answered meanwhile.
func TestPublishSlowBody(t *testing.T) {
	t.Parallel()
	if testing.Short() {
		t.Skip("waits for the limit")
	}
	s := newServer(t, Config{Token: publishToken, Publishing: new(fakePublishing).publishing()})
	server := httptest.NewServer(s.Handler())
	defer server.Close()
	var all sync.WaitGroup
	for range publishAtOnce {
		all.Go(func() {
			body, end := io.Pipe()
			defer end.Close()
			r, err := http.NewRequest("POST", server.URL+"/publish", body)
			if err != nil {
				t.Error(err)
				return
			}
			r.Header.Set("Content-Type", "application/json")
			r.Header.Set("Authorization", "Bearer "+publishToken)
			began := time.Now()
			go func() { _, _ = io.WriteString(end, "{") }()
			resp, err := server.Client().Do(r)
			if err != nil {
				t.Errorf("after %s: %v", time.Since(began), err)
				return
			}
			defer resp.Body.Close()
			if resp.StatusCode != http.StatusRequestTimeout {
				t.Errorf("%s after %s", resp.Status, time.Since(began))
			}
		})
	}
	resp, err := server.Client().Get(server.URL + "/health")
	if err != nil || resp.StatusCode != 200 {
		t.Errorf("health meanwhile: %v %v", resp, err)
	} else {
		resp.Body.Close()
	}
	all.Wait()
	if w := post(s, strings.NewReader(`{"user":"alice","notification":{"type":"x"}}`)); w.Code != 200 {
		t.Errorf("later: %d %s", w.Code, w.Body)
	}
}

// FuzzPublications checks that what is read is what encoding/json reads.
func FuzzPublications(f *testing.F) {
	f.Add(`{"user":"alice","notification":{"type":"x"}}`)
	f.Add(`[{"everyone":true,"notification":{"type":"x"}},{"group":"g","notification":[]}]`)
	f.Add(`[{"user":"a","disconnect":{"code":4000}} , {}]`)
	f.Fuzz(func(t *testing.T, body string) {
		all, wrong := readPublications(body)
		if wrong != nil {
			if wrong.syntax && json.Valid([]byte(body)) && strings.ToValidUTF8(body, "") == body {
				t.Errorf("%q is JSON: %v", body, wrong)
			}
			return
		}
		var want []map[string]json.RawMessage
		if json.Unmarshal([]byte(body), &want) != nil {
			want = make([]map[string]json.RawMessage, 1)
			if err := json.Unmarshal([]byte(body), &want[0]); err != nil {
				t.Fatalf("%q: %v", body, err)
			}
		}
		if len(all) != len(want) {
			t.Fatalf("%q: %d publications, want %d", body, len(all), len(want))
		}
		for i, p := range all {
			if p.Notification != string(want[i]["notification"]) || p.Disconnect != string(want[i]["disconnect"]) {
				t.Errorf("%q: %+v, want %s", body, p, want[i])
			}
		}
	})
}
