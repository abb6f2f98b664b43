package httpapi

import (
	"context"
	"errors"
	"fmt"
	"io"
	"log/slog"
	"mime"
	"net/http"
	"os"
	"strconv"
	"strings"
	"sync/atomic"
	"time"

	"roost/internal/loglimit"
	"roost/internal/plural"
)

// Bounds on the requests to /publish together.
const (
	// publishAtOnce requests are read and published at a time; others are told to come back. With maxPublishBody it bounds
	// the memory, and well below MaxConnections it leaves the admin server to those who ask about the server.
	publishAtOnce = 16
	// publishBodyTimeout is for the body, once the head is there.
	publishBodyTimeout = 5 * time.Second
	// publishTimeout is for Redis. Both fit into writeTimeout.
	publishTimeout = 5 * time.Second
	// publishRetryAfter is how long clients are told to wait, in seconds.
	publishRetryAfter = 2
)

// Publishing is how /publish publishes. Any goroutine.
type Publishing struct {
	// Check says why servers would skip a publication, or that it can reach nobody; nil where neither is so.
	Check func(Publication) error
	// Publish publishes in order. The error may be a *PublishError, which says how far it got. With a key, which may be nil, what an
	// earlier request with the same key published is not published again; ErrKeyUsed: that request had another content.
	Publish func(context.Context, []Publication, *Idempotency) (Published, error)
	// Keys reports whether requests may have an idempotency key. Nil: they may not.
	Keys func() bool
}

// Published is what became of publications.
type Published struct {
	Receivers []int64 // for each how many servers got it from Redis; -1 where Redis does not say it
	Before    int     // so many were published by an earlier request with the same key
}

// PublishError is why not all publications of a request were published.
type PublishError struct {
	Published int  // the first so many are published for certain
	Uncertain bool // some of the others may be published
	Err       error
}

// Error returns the text of Err.
func (e *PublishError) Error() string { return e.Err.Error() }

// far says how far a request with so many publications got.
func (e *PublishError) far(all int) string {
	switch {
	case e.Published == 0 && !e.Uncertain:
		return "nothing is published"
	case e.Published == 0:
		return fmt.Sprintf("some of the %d publications may be published", all)
	case !e.Uncertain:
		return fmt.Sprintf("of %d publications %s published, and no others", all, plural.FirstAre(e.Published))
	}
	return fmt.Sprintf("of %d publications %s published, and some of the others may be", all, plural.FirstAre(e.Published))
}

// Unwrap is the cause.
func (e *PublishError) Unwrap() error { return e.Err }

// publishCodes are the answers of /publish, and the label values of its metric.
var publishCodes = []int{200, 400, 401, 403, 408, 413, 415, 422, 503}

// publishKinds are the label values of the metric that counts publications.
var publishKinds = []string{"user", "group", "everyone", "disconnect", "groups"}

// publisher answers /publish.
type publisher struct {
	Publishing                   // static
	redis      func() RedisState // static
	log        *slog.Logger      // static
	said       *loglimit.Limit   // any goroutine: of requests that published
	refused    *loglimit.Limit   // any goroutine: of those that did not
	slots      chan struct{}     // any goroutine

	requests  map[int]*atomic.Uint64    // by code; the map is static
	published map[string]*atomic.Uint64 // by kind; the map is static
	repeated  atomic.Uint64             // requests
}

func newPublisher(cfg Config) *publisher {
	p := &publisher{
		Publishing: *cfg.Publishing, redis: cfg.Redis, log: cfg.Logger,
		said: loglimit.New(time.Second, 10), refused: loglimit.New(time.Second, 10),
		slots:    make(chan struct{}, publishAtOnce),
		requests: make(map[int]*atomic.Uint64), published: make(map[string]*atomic.Uint64),
	}
	for _, code := range publishCodes {
		p.requests[code] = new(atomic.Uint64)
	}
	for _, kind := range publishKinds {
		p.published[kind] = new(atomic.Uint64)
	}
	return p
}

// publishedJSON is the answer to a request whose publications are published.
type publishedJSON struct {
	Published int      `json:"published"`
	Receivers []*int64 `json:"receivers"` // null where Redis does not say it
}

// refusedJSON is any other answer.
type refusedJSON struct {
	Error     string `json:"error"`
	Index     *int   `json:"index,omitempty"`     // of the publication that is wrong
	Published *int   `json:"published,omitempty"` // so many, from the first on
	Uncertain *bool  `json:"uncertain,omitempty"` // some of the others may be
}

// failure is a request that did not publish all.
type failure struct {
	code   int
	answer refusedJSON
}

func failed(code int, format string, args ...any) *failure {
	return &failure{code, refusedJSON{Error: fmt.Sprintf(format, args...)}}
}

// serve answers POST /publish, for those who have the token.
func (p *publisher) serve(w http.ResponseWriter, r *http.Request) {
	select {
	case p.slots <- struct{}{}:
		defer func() { <-p.slots }()
	default:
		p.refuse(w, r, failed(http.StatusServiceUnavailable, "%d requests are being published: try again", publishAtOnce))
		return
	}
	all, key, wrong := p.read(w, r)
	if wrong != nil {
		p.refuse(w, r, wrong)
		return
	}
	done, wrong := p.publish(context.WithoutCancel(r.Context()), all, key) // whoever hangs up has published all the same
	if wrong != nil {
		p.refuse(w, r, wrong)
		return
	}
	p.count(http.StatusOK)
	p.tell(r, all, done.Before)
	if done.Before == len(all) {
		w.Header().Set(replayedHeader, "true")
	}
	answer := publishedJSON{Published: len(all), Receivers: make([]*int64, len(all))}
	for i, n := range done.Receivers {
		if n >= 0 {
			answer.Receivers[i] = &n
		}
	}
	writeJSON(w, http.StatusOK, marshal(answer))
}

// read reads the publications, and checks all of them. key is nil for a request that has none.
func (p *publisher) read(w http.ResponseWriter, r *http.Request) (all []Publication, key *Idempotency, wrong *failure) {
	name, wrong := p.readKey(r)
	if wrong != nil {
		return nil, nil, wrong
	}
	body, wrong := readBody(w, r)
	if wrong != nil {
		return nil, nil, wrong
	}
	all, bad := readPublications(string(body))
	traceAll(all, r.Header.Get("Traceparent"))
	for i := 0; bad == nil && i < len(all); i++ {
		if err := p.Check(all[i]); err != nil {
			bad = &bodyError{index: i, err: err}
		}
	}
	if bad != nil {
		return nil, nil, bad.failure()
	}
	if name != "" {
		key = &Idempotency{Key: name, Content: contentOf(body)}
	}
	return all, key, nil
}

// readKey returns the idempotency key; "": the request has none.
func (p *publisher) readKey(r *http.Request) (string, *failure) {
	name, err := readKey(r.Header)
	switch {
	case err != nil:
		return "", failed(http.StatusBadRequest, "%s; nothing is published", err)
	case name != "" && (p.Keys == nil || !p.Keys()):
		return "", failed(http.StatusBadRequest, "this server remembers no %s (HTTP_IDEMPOTENCY_TTL is 0s): nothing is published", idempotencyHeader)
	}
	return name, nil
}

// readBody reads a body that may be JSON.
func readBody(w http.ResponseWriter, r *http.Request) ([]byte, *failure) {
	kind, _, err := mime.ParseMediaType(r.Header.Get("Content-Type"))
	switch {
	case err != nil || kind != "application/json":
		return nil, failed(http.StatusUnsupportedMediaType, "Content-Type has to be application/json")
	case r.Header.Get("Content-Encoding") != "":
		return nil, failed(http.StatusUnsupportedMediaType, "the body may not be compressed (Content-Encoding)")
	case r.ContentLength > maxPublishBody:
		return nil, failed(http.StatusRequestEntityTooLarge, "the body may have %d bytes: send it in several requests", maxPublishBody)
	}
	_ = http.NewResponseController(w).SetReadDeadline(time.Now().Add(publishBodyTimeout)) // without one, as in tests, no client is slow
	body, err := io.ReadAll(http.MaxBytesReader(w, r.Body, maxPublishBody))
	switch {
	case errors.As(err, new(*http.MaxBytesError)):
		return nil, failed(http.StatusRequestEntityTooLarge, "the body may have %d bytes: send it in several requests", maxPublishBody)
	case errors.Is(err, os.ErrDeadlineExceeded):
		return nil, failed(http.StatusRequestTimeout, "the body did not come within %s", publishBodyTimeout)
	case err != nil:
		return nil, failed(http.StatusBadRequest, "the body can't be read: %s", err)
	}
	return body, nil
}

// traceAll gives each notification that has none the traceparent of the request. One that is not valid is left out by the servers.
func traceAll(all []Publication, traceparent string) {
	if len(traceparent) != len("00-0af7651916cd43dd8448eb211c80319c-b7ad6b7169203331-01") || strings.Trim(traceparent, "0123456789abcdef-") != "" {
		return
	}
	for i := range all {
		rest, object := strings.CutPrefix(all[i].Notification, "{")
		if object && !strings.Contains(rest, `"traceparent"`) && strings.TrimSpace(rest) != "}" {
			all[i].Notification = `{"traceparent":"` + traceparent + `",` + rest
		}
	}
}

// failure is the answer.
func (e *bodyError) failure() *failure {
	f := failed(http.StatusUnprocessableEntity, "%s", e.Error())
	switch {
	case e.syntax:
		f.code = http.StatusBadRequest
	case e.many:
		f.code = http.StatusRequestEntityTooLarge
	case !e.whole:
		f.answer.Index = &e.index
	}
	return f
}

// publish publishes, and counts what is published.
func (p *publisher) publish(ctx context.Context, all []Publication, key *Idempotency) (Published, *failure) {
	if redis := p.redis(); !redis.Connected {
		none, certain := 0, false
		f := failed(http.StatusServiceUnavailable, "Redis is not connected: nothing is published, try again")
		f.answer.Published, f.answer.Uncertain = &none, &certain
		return Published{}, f
	}
	ctx, cancel := context.WithTimeout(ctx, publishTimeout)
	defer cancel()
	done, err := p.Publish(ctx, all, key)
	if done.Before > 0 {
		p.repeated.Add(1)
	}
	if err == nil {
		p.countPublished(all[done.Before:])
		return done, nil
	}
	if key != nil && errors.Is(err, ErrKeyUsed) {
		return done, failed(http.StatusUnprocessableEntity,
			"%s %q came before with another body: nothing is published. Each request needs a key of its own, and the same body when it is sent again",
			idempotencyHeader, key.Key)
	}
	far := &PublishError{Uncertain: true}
	if !errors.As(err, &far) {
		far.Err = err
	}
	p.countPublished(all[min(done.Before, far.Published):far.Published])
	says := far.far(len(all))
	if key != nil {
		says += ". Send it again with the same " + idempotencyHeader + ": nothing is published twice"
	}
	f := failed(http.StatusServiceUnavailable, "%s; %s", err, says)
	f.answer.Published, f.answer.Uncertain = &far.Published, &far.Uncertain
	return done, f
}

// refuse answers and logs.
func (p *publisher) refuse(w http.ResponseWriter, r *http.Request, f *failure) {
	p.count(f.code)
	if leftOut, ok := p.refused.Allow(); ok {
		p.log.Warn("request to publish failed", "remote", r.RemoteAddr, "status", f.code, "cause", f.answer.Error, "left_out", leftOut)
	}
	if f.code == http.StatusServiceUnavailable {
		w.Header().Set("Retry-After", strconv.Itoa(publishRetryAfter))
	}
	writeJSON(w, f.code, marshal(f.answer))
}

// tell logs who published for whom, without what. before were published by an earlier request.
func (p *publisher) tell(r *http.Request, all []Publication, before int) {
	leftOut, ok := p.said.Allow()
	if !ok {
		return
	}
	kinds := make(map[string]int)
	for i := range all {
		kinds[all[i].kind()]++
	}
	if before == len(all) {
		p.log.Info("request to publish repeated, it was published before", "remote", r.RemoteAddr, "publications", len(all), "left_out", leftOut)
		return
	}
	p.log.Info("published over HTTP", "remote", r.RemoteAddr, "publications", len(all), "users", kinds["user"],
		"groups", kinds["group"], "everyone", kinds["everyone"], "disconnects", kinds["disconnect"],
		"first", first(all[0]), "left_out", leftOut)
}

// first is the recipient in the log.
func first(p Publication) string {
	if p.Everyone {
		return "everyone"
	}
	return p.kind() + " " + p.User + p.Group
}

func (p *publisher) count(code int) { p.requests[code].Add(1) }

func (p *publisher) countPublished(all []Publication) {
	for i := range all {
		p.published[all[i].kind()].Add(1)
	}
}

// counts reads the counters.
func (p *publisher) counts() (requests, published map[string]uint64, repeated uint64) {
	requests, published = make(map[string]uint64), make(map[string]uint64)
	for code, n := range p.requests {
		requests[strconv.Itoa(code)] = n.Load()
	}
	for kind, n := range p.published {
		published[kind] = n.Load()
	}
	return requests, published, p.repeated.Load()
}

// serveOpenAPI answers with the description of /publish.
func (s *Server) serveOpenAPI(w http.ResponseWriter, _ *http.Request) {
	w.Header().Set("Content-Type", "application/yaml")
	write(w, http.StatusOK, []byte(s.cfg.OpenAPI))
}
