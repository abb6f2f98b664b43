package httpapi

import (
	"errors"
	"net/http"
	"strings"
	"testing"
)

func TestReadKey(t *testing.T) {
	t.Parallel()
	longest := strings.Repeat("k", maxIdempotencyKey)
	for _, tt := range []struct {
		values []string
		key    string
		err    error
	}{
		{nil, "", nil},
		{[]string{"8e03978e-40d5-43e8-bc93-6894a57f9324"}, "8e03978e-40d5-43e8-bc93-6894a57f9324", nil},
		{[]string{`"8e03978e-40d5-43e8-bc93-6894a57f9324"`}, "8e03978e-40d5-43e8-bc93-6894a57f9324", nil},
		{[]string{`"a \"b\" \\c"`}, `a "b" \c`, nil},
		{[]string{`order 7, line "2"`}, `order 7, line "2"`, nil},
		{[]string{longest}, longest, nil},
		{[]string{`"` + longest + `"`}, longest, nil},

		{[]string{""}, "", errKeyForm},
		{[]string{`""`}, "", errKeyForm},
		{[]string{longest + "k"}, "", errKeyForm},
		{[]string{`"` + longest + `k"`}, "", errKeyForm},
		{[]string{"käse"}, "", errKeyForm},
		{[]string{"a\tb"}, "", errKeyForm},
		{[]string{"\"a\x7f\""}, "", errKeyForm},
		{[]string{`"a`}, "", errKeyString},
		{[]string{`"`}, "", errKeyString},
		{[]string{`"a\"`}, "", errKeyString},
		{[]string{`"a\n"`}, "", errKeyString},
		{[]string{`"a\`}, "", errKeyString},
		{[]string{`"a";b=1`}, "", errKeyString},
		{[]string{`"a", "b"`}, "", errKeyString},
		{[]string{"a", "a"}, "", errKeyTwice},
		{[]string{"a", "b"}, "", errKeyTwice},
	} {
		key, err := readKey(http.Header{idempotencyHeader: tt.values})
		if !errors.Is(err, tt.err) || key != tt.key {
			t.Errorf("%q: %q, %v, want %q, %v", tt.values, key, err, tt.key, tt.err)
		}
	}
}

// A request that comes again with its key is published once, and has the answer of the first.
func TestPublishAgain(t *testing.T) {
	t.Parallel()
	const body = `{"user":"alice","notification":{"type":"x","payload":"a b"}}`
	for _, tt := range []struct {
		name      string
		body      string
		headers   []string
		code      int
		says      string
		published int
		repeats   uint64
	}{
		{name: "the same", body: body, headers: []string{"Idempotency-Key", "k"}, code: 200, says: `{"published":1,"receivers":[null]}`, published: 1, repeats: 1},
		{name: "quoted", body: body, headers: []string{"Idempotency-Key", `"k"`}, code: 200, published: 1, repeats: 1},
		{
			name: "other white space", body: "\n{ \"user\": \"alice\",\t\"notification\":{\"type\":\"x\", \"payload\":\"a b\" } }\r\n",
			headers: []string{"Idempotency-Key", "k"}, code: 200, published: 1, repeats: 1,
		},
		{
			name: "another trace", body: body, headers: []string{"Idempotency-Key", "k", "Traceparent", "00-0af7651916cd43dd8448eb211c80319c-b7ad6b7169203331-01"},
			code: 200, published: 1, repeats: 1,
		},
		{name: "another key", body: body, headers: []string{"Idempotency-Key", "K"}, code: 200, published: 2},
		{name: "no key", body: body, code: 200, published: 2},
		{name: "other white space in a string", body: strings.Replace(body, "a b", "a  b", 1), headers: []string{"Idempotency-Key", "k"}, code: 422, says: `Idempotency-Key \"k\" came before with another body: nothing is published`, published: 1},
		{name: "another user", body: strings.Replace(body, "alice", "bob", 1), headers: []string{"Idempotency-Key", "k"}, code: 422, published: 1},
		{name: "a bad body", body: "{", headers: []string{"Idempotency-Key", "k"}, code: 400, says: "JSON", published: 1},
		{name: "a bad key", body: body, headers: []string{"Idempotency-Key", "ä"}, code: 400, says: "1 to 255 printable characters", published: 1},
	} {
		taken := new(fakePublishing)
		s := newServer(t, Config{Token: publishToken, Publishing: taken.publishing()})
		first := post(s, strings.NewReader(body), "Idempotency-Key", "k")
		w := post(s, strings.NewReader(tt.body), tt.headers...)
		if first.Code != 200 || w.Code != tt.code || !strings.Contains(w.Body.String(), tt.says) || len(taken.published) != tt.published {
			t.Errorf("%s: %d %d %.300s with %d published, want %d, %q and %d", tt.name, first.Code, w.Code, w.Body, len(taken.published), tt.code, tt.says, tt.published)
		}
		if replayed := w.Header().Get("Idempotent-Replayed"); (replayed == "true") != (tt.repeats > 0) || first.Header().Get("Idempotent-Replayed") != "" {
			t.Errorf("%s: Idempotent-Replayed is %q", tt.name, replayed)
		}
		if tt.repeats > 0 && w.Body.String() != first.Body.String() {
			t.Errorf("%s: %s, the first answer was %s", tt.name, w.Body, first.Body)
		}
		stats := s.stats()
		if stats.PublishRepeats != tt.repeats || stats.PublishedOverHTTP["user"] != uint64(tt.published) {
			t.Errorf("%s: counted %d repeats, %v", tt.name, stats.PublishRepeats, stats.PublishedOverHTTP)
		}
	}
}

// A server that remembers nothing says so, and does not publish twice what is to be published once.
func TestPublishWithoutKeys(t *testing.T) {
	t.Parallel()
	taken := &fakePublishing{forgetful: true}
	s := newServer(t, Config{Token: publishToken, Publishing: taken.publishing()})
	const body = `{"user":"alice","notification":{"type":"x"}}`
	if w := post(s, strings.NewReader(body), "Idempotency-Key", "k"); w.Code != 400 || !strings.Contains(w.Body.String(), "HTTP_IDEMPOTENCY_TTL") || len(taken.published) != 0 {
		t.Errorf("%d %s with %d published", w.Code, w.Body, len(taken.published))
	}
	if w := post(s, strings.NewReader(body)); w.Code != 200 {
		t.Errorf("without a key: %d %s", w.Code, w.Body)
	}
}

// Who has a key is told what to do where it is not known what was published; and what was published before is counted once.
func TestPublishFailsWithKey(t *testing.T) {
	t.Parallel()
	taken := &fakePublishing{err: &PublishError{Published: 1, Uncertain: true, Err: errors.New("no")}}
	s := newServer(t, Config{Token: publishToken, Publishing: taken.publishing()})
	const body = `[{"user":"a","notification":{"type":"x"}},{"user":"b","notification":{"type":"x"}}]`
	w := post(s, strings.NewReader(body), "Idempotency-Key", "k")
	if w.Code != 503 || !strings.Contains(w.Body.String(), `Send it again with the same Idempotency-Key: nothing is published twice","published":1,"uncertain":true`) {
		t.Errorf("%d %s", w.Code, w.Body)
	}
	taken.err = nil
	if w := post(s, strings.NewReader(body), "Idempotency-Key", "k"); w.Code != 200 {
		t.Errorf("again: %d %s", w.Code, w.Body)
	}
}
