package deliver

import (
	"crypto/hmac"
	"crypto/sha256"
	"encoding/base64"
	"encoding/json"
	"io"
	"maps"
	"net/http"
	"net/http/httptest"
	"slices"
	"strconv"
	"strings"
	"sync"
	"testing"

	"roost/cmd/roost/internal/e2e"
	"roost/cmd/roost/internal/roosttest"
	"roost/redisfeed/redistest"
)

const webhookSecret = "whsec_MfKQ9r8GKYqrTwjUPD8ILPZIo2LaLaSw"

// backend is a webhook's endpoint as a backend has it.
type backend struct {
	*httptest.Server
	t *testing.T

	mu     sync.Mutex
	status int                  // guarded by mu: to answer with
	events map[string][]string  // guarded by mu: types by user
	newest map[string][2]string // guarded by mu: timestamp and type by user, as a backend keeps them
	ids    map[string]bool      // guarded by mu: of events
}

func startBackend(t *testing.T) *backend {
	t.Helper()
	b := &backend{t: t, status: http.StatusNoContent, events: make(map[string][]string), newest: make(map[string][2]string), ids: make(map[string]bool)}
	b.Server = httptest.NewServer(b)
	t.Cleanup(b.Close)
	return b
}

// env has a server post here.
func (b *backend) env(more roosttest.Env) roosttest.Env {
	env := roosttest.Env{"REDIS_PRESENCE": "true", "WEBHOOK_URL": b.URL + "/hooks", "WEBHOOK_SECRET": webhookSecret,
		"WEBHOOK_TIMEOUT": "1m"} // what is given up after a shorter time may have arrived, and comes again
	maps.Copy(env, more)
	return env
}

func (b *backend) ServeHTTP(w http.ResponseWriter, r *http.Request) {
	body, err := io.ReadAll(r.Body)
	if err != nil {
		return // given up
	}
	key, _ := base64.StdEncoding.DecodeString(strings.TrimPrefix(webhookSecret, "whsec_"))
	mac := hmac.New(sha256.New, key)
	mac.Write([]byte(r.Header.Get("webhook-id") + "." + r.Header.Get("webhook-timestamp") + "." + string(body)))
	signature := "v1," + base64.StdEncoding.EncodeToString(mac.Sum(nil))
	var events []struct{ ID, Type, Timestamp, User string }
	if err := json.Unmarshal(body, &events); err != nil || r.Header.Get("webhook-signature") != signature || r.URL.Path != "/hooks" {
		b.t.Errorf("%s %v: %s (%v)", r.URL, r.Header, body, err)
	}
	b.mu.Lock()
	defer b.mu.Unlock()
	w.WriteHeader(b.status)
	if b.status != http.StatusNoContent {
		return
	}
	for _, e := range events {
		if b.ids[e.ID] || e.Timestamp == "" {
			b.t.Errorf("%+v comes again, or without a time", e)
		}
		b.ids[e.ID] = true
		kind := strings.TrimPrefix(e.Type, "user.")
		b.events[e.User] = append(b.events[e.User], kind)
		if e.Timestamp > b.newest[e.User][0] {
			b.newest[e.User] = [2]string{e.Timestamp, kind}
		}
	}
}

func (b *backend) answer(status int) {
	b.mu.Lock()
	defer b.mu.Unlock()
	b.status = status
}

// of are the events of a user.
func (b *backend) of(user string) string {
	b.mu.Lock()
	defer b.mu.Unlock()
	return strings.Join(b.events[user], " ")
}

func (b *backend) wait(user, want string) {
	b.t.Helper()
	roosttest.WaitFor(b.t, "the events of "+user+": "+want, func() bool { return b.of(user) == want })
}

// Each change comes once, whichever of two servers has made it, and also from one that stops.
func TestWebhookOfTwoServers(t *testing.T) {
	t.Parallel()
	redis := redistest.Start(t)
	b := startBackend(t)
	one, two := roosttest.Start(t, redis, b.env(nil)), roosttest.Start(t, redis, b.env(nil))
	odd := `o"d<d>`
	first, second := one.Connect("alice"), two.Connect("alice")
	one.Connect(odd)
	b.wait("alice", "online")
	b.wait(odd, "online")
	waitOnInstances(t, redis, "alice", 2)
	first.Close()
	waitOnInstances(t, redis, "alice", 1)
	one.Connect("bob")
	b.wait("bob", "online")
	second.Close()
	b.wait("alice", "online offline")
	if code := one.Stop(); code != 0 {
		t.Errorf("ended with %d", code)
	}
	switch got := b.of("bob") + ", " + b.of(odd); { // one has ended: nothing waits there
	case strings.Contains(one.Log.String(), "webhook events are lost: the endpoint did not take them before the end"), leftLate(one):
		t.Log("this machine is too busy to post within 5 s")
	case got != "online offline, online offline":
		t.Errorf("after the stop: %s", got)
	}
	two.WaitMetric("roost_webhook_waiting", 0) // once the answer is there, of which the backend does not know
	if m := two.Metrics(); m.Sum("roost_webhook_events_total") != m[`roost_webhook_events_total{fate="sent"}`] || m["roost_webhook_waiting"] != 0 {
		t.Errorf("%v events, %v of them sent, %v wait", m.Sum("roost_webhook_events_total"), m[`roost_webhook_events_total{fate="sent"}`], m["roost_webhook_waiting"])
	}
	for _, server := range []*roosttest.Server{one, two} {
		if log := server.Log.String(); strings.Contains(log, webhookSecret[6:]) {
			t.Error("the secret is in the log")
		}
	}
}

// waitOnInstances waits until so many instances have a user whose time there has not run out.
func waitOnInstances(t *testing.T, redis *redistest.Server, user string, instances int64) {
	t.Helper()
	roosttest.WaitFor(t, "the user's instances", func() bool {
		now := redis.Client().Time(t.Context()).Val().UnixMilli()
		return redis.Client().ZCount(t.Context(), "user_online:"+user, strconv.FormatInt(now, 10), "+inf").Val() == instances
	})
}

// An endpoint that fails gets everything once it works, in order; one that refuses costs the events, and the log says why.
func TestWebhookFails(t *testing.T) {
	t.Parallel()
	redis := redistest.Start(t)
	b := startBackend(t)
	b.answer(http.StatusServiceUnavailable)
	server := roosttest.Start(t, redis, b.env(nil))
	alice := server.Connect("alice")
	waitOnline(t, redis, "alice", true)
	alice.Close()
	waitOnline(t, redis, "alice", false)
	server.WaitLine("the webhook fails, and is tried again")
	server.WaitMetric("roost_webhook_waiting", 2)
	if m := server.Metrics(); m["roost_webhook_failing_seconds"] == 0 || m[`roost_webhook_requests_total{result="server_error"}`] == 0 || m["roost_webhook_waiting_bytes"] == 0 {
		t.Errorf("metrics %v", m)
	}
	b.answer(http.StatusNoContent)
	b.wait("alice", "online offline")
	server.WaitLine("the webhook works again")
	b.answer(http.StatusUnauthorized)
	server.Connect("bob")
	server.WaitMetric(`roost_webhook_events_total{fate="refused"}`, 1)
	line := server.WaitLine("webhook events are lost: the endpoint does not take them")
	if line["error"] != "answered 401" || line["events"] != 1.0 {
		t.Errorf("the line is %v", line)
	}
}

// The end comes in time while the endpoint is gone, and says what is lost.
func TestWebhookIsGoneAtTheEnd(t *testing.T) {
	t.Parallel()
	redis := redistest.Start(t)
	b := startBackend(t)
	b.answer(http.StatusServiceUnavailable)
	server := roosttest.Start(t, redis, b.env(nil))
	server.Connect("alice")
	server.WaitMetric("roost_webhook_waiting", 1)
	if code := server.Stop(); code != 0 {
		t.Errorf("ended with %d", code)
	}
	line := server.WaitLine("webhook events are lost: the endpoint did not take them before the end")
	if line["events"] != 2.0 && !leftLate(server) { // that alice was online, and is offline
		t.Errorf("the line is %v", line)
	}
}

// In an upgrade users are not offline in between, and what waits goes to the new process.
func TestWebhookThroughAnUpgrade(t *testing.T) {
	t.Parallel()
	redis := redistest.Start(t)
	b := startBackend(t)
	b.answer(http.StatusServiceUnavailable)
	server := roosttest.Start(t, redis, b.env(nil))
	e2e.EndLast(t, server)
	stays := server.Connect("stays")
	server.WaitMetric("roost_webhook_waiting", 1)
	upgrade(t, server)
	if stays.Ended() {
		t.Fatal("the connection was not handed over")
	}
	b.answer(http.StatusNoContent)
	b.wait("stays", "online")
	stays.Close()
	b.wait("stays", "online offline")
	var fates []string
	for name, n := range server.Metrics() {
		if strings.HasPrefix(name, "roost_webhook_events_total") && n > 0 {
			fates = append(fates, name)
		}
	}
	if !slices.Equal(fates, []string{`roost_webhook_events_total{fate="sent"}`}) {
		t.Errorf("fates in the new process %q", fates)
	}
	for _, line := range server.Log.Lines() {
		if strings.Contains(line.Message(), "webhook events are lost") {
			t.Errorf("%v", line)
		}
	}
}

// upgrade has a new process take over.
func upgrade(t *testing.T, server *roosttest.Server) {
	t.Helper()
	e2e.AskUpgrade(t, server, func() bool { return len(server.Log.Find("stopped")) > 0 })
}

// An old process that waits for a request to the webhook drains no connections meanwhile, and does not say so: the new one has them.
func TestUpgradeWhileTheWebhookHangs(t *testing.T) {
	t.Parallel()
	redis := redistest.Start(t)
	asked := make(chan struct{}, 100)
	hangs := httptest.NewServer(http.HandlerFunc(func(_ http.ResponseWriter, r *http.Request) {
		_, _ = io.Copy(io.Discard, r.Body) // or its end would not be noticed
		asked <- struct{}{}
		<-r.Context().Done()
	}))
	t.Cleanup(hangs.Close)
	server := roosttest.Start(t, redis, roosttest.Env{"REDIS_PRESENCE": "true", "WEBHOOK_URL": hangs.URL, "WEBHOOK_SECRET": webhookSecret, "WEBHOOK_TIMEOUT": "1m"})
	e2e.EndLast(t, server)
	stays := server.Connect("stays")
	<-asked
	upgrade(t, server)
	if stays.Ended() {
		t.Error("the connection was not handed over")
	}
	if lines := server.Log.Find("draining"); len(lines) > 0 {
		t.Errorf("%v", lines)
	}
	server.WaitMetric("roost_webhook_waiting", 1)
}
