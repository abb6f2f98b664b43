package lifecycle

import (
	"fmt"
	"net/http"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"syscall"
	"testing"
	"time"

	"roost/cmd/roost/internal/e2e"
	"roost/cmd/roost/internal/roosttest"
	"roost/redisfeed/redistest"
)

const otherSecret = "another-secret-of-the-tests-that-is-long-enough"

const (
	reloaded    = "configuration reloaded"
	notReloaded = "the configuration is not reloaded, everything stays as it was"
)

// configured is a server with a file of variables.
type configured struct {
	*roosttest.Server
	redis *redistest.Server
	path  string
}

// startConfigured starts a server whose file says text and, unless that does, the tests' secret. The environment has none of
// it.
func startConfigured(t *testing.T, env roosttest.Env, text ...string) *configured {
	t.Helper()
	c := &configured{redis: redistest.Start(t), path: filepath.Join(t.TempDir(), "roost.env")}
	c.write(t, text...)
	all := roosttest.Env{"ROOST_CONFIG_FILE": c.path}
	for name, value := range env {
		all[name] = value
	}
	c.Server = roosttest.StartWrapped(t, c.redis, all, "env", "-u", "JWT_SECRET_KEY")
	return c
}

// write replaces the file as a careful hand does.
func (c *configured) write(t *testing.T, lines ...string) {
	t.Helper()
	text := strings.Join(lines, "\n") + "\n"
	if !strings.Contains(text, "JWT_SECRET_KEY=") {
		text += "JWT_SECRET_KEY=" + roosttest.Secret + "\n"
	}
	if err := os.WriteFile(c.path+".new", []byte(text), 0o600); err != nil {
		t.Fatal(err)
	}
	if err := os.Rename(c.path+".new", c.path); err != nil {
		t.Fatal(err)
	}
}

// reload replaces the file, sends SIGHUP, and returns the line that says what came of it.
func (c *configured) reload(t *testing.T, lines ...string) roosttest.Line {
	t.Helper()
	c.write(t, lines...)
	return hangUp(t, c.Server)
}

func hangUp(t *testing.T, server *roosttest.Server) roosttest.Line {
	t.Helper()
	said := func() []roosttest.Line {
		return slices.DeleteFunc(server.Log.Lines(), func(l roosttest.Line) bool {
			return l.Message() != reloaded && l.Message() != notReloaded
		})
	}
	before := len(said())
	server.Signal(syscall.SIGHUP)
	roosttest.WaitFor(t, "the log to say what came of a reload", func() bool { return len(said()) > before })
	return said()[before]
}

// list is a field that is a list of texts.
func list(line roosttest.Line, field string) []string {
	var texts []string
	values, _ := line[field].([]any)
	for _, v := range values {
		texts = append(texts, fmt.Sprint(v))
	}
	return texts
}

func checkChanged(t *testing.T, line roosttest.Line, want ...string) {
	t.Helper()
	if got := list(line, "changed"); line.Message() != reloaded || !slices.Equal(got, want) {
		t.Errorf("the log says %q changed %q\nwant %q", line.Message(), got, want)
	}
}

func signed(t *testing.T, secret, user string) string {
	t.Helper()
	return roosttest.Sign(t, "HS256", secret, roosttest.Claims{"sub": user, "exp": time.Now().Add(time.Hour).Unix()})
}

// A secret is replaced in two steps, and nobody is disconnected.
func TestReloadRotatesTheSecret(t *testing.T) {
	t.Parallel()
	server := startConfigured(t, nil)
	alice := server.Connect("alice")
	line := server.reload(t, "JWT_SECRET_KEY="+otherSecret, "JWT_SECRET_KEY_PREVIOUS="+roosttest.Secret)
	checkChanged(t, line, "JWT_SECRET_KEY changed", "JWT_SECRET_KEY_PREVIOUS changed")
	server.ConnectWith(signed(t, otherSecret, "bob"), roosttest.Dial{})
	server.Connect("carol")
	checkChanged(t, server.reload(t, "JWT_SECRET_KEY="+otherSecret), "JWT_SECRET_KEY_PREVIOUS changed")
	if code := e2e.Connects(server.Server, roosttest.Token(t, "dave")); code != http.StatusUnauthorized {
		t.Errorf("a token of the old secret is answered %d", code)
	}
	server.ConnectWith(signed(t, otherSecret, "dave"), roosttest.Dial{})
	e2e.Notify(server.redis, "alice", e2e.Numbered(1))
	alice.WaitMessages(1)
	server.WaitMetric(`roost_config_reloads_total{result="ok"}`, 2) // the line comes before the count
	if m := server.Metrics(); m["roost_connections"] != 4 || m[`roost_config_reloads_total{result="failed"}`] != 0 {
		t.Errorf("%v connections, %v failed reloads", m["roost_connections"], m[`roost_config_reloads_total{result="failed"}`])
	}
	e2e.WaitDeep(t, server.Server)
	for _, secret := range []string{roosttest.Secret, otherSecret} {
		if strings.Contains(server.Log.String(), secret) {
			t.Error("the log shows a secret")
		}
	}
}

// Lowered limits let those stay who are there, and refuse new ones.
func TestReloadLimits(t *testing.T) {
	t.Parallel()
	server := startConfigured(t, nil, "WS_MAX_CONNECTIONS=3")
	alice := server.Connect("alice")
	server.Connect("alice")
	bob := server.Connect("bob")
	refused := func(user string, want int) {
		t.Helper()
		if code := e2e.Connects(server.Server, roosttest.Token(t, user)); code != want {
			t.Errorf("%s is answered %d, want %d", user, code, want)
		}
	}
	refused("carol", http.StatusServiceUnavailable)
	line := server.reload(t, "WS_MAX_CONNECTIONS=2", "WS_MAX_NOTIFICATION_SIZE=40")
	checkChanged(t, line, "WS_MAX_NOTIFICATION_SIZE 65536 → 40", "WS_MAX_CONNECTIONS 3 → 2")
	if m := server.Metrics(); m["roost_connections"] != 3 || m["roost_connections_limit"] != 2 {
		t.Errorf("%v connections of %v", m["roost_connections"], m["roost_connections_limit"])
	}
	refused("carol", http.StatusServiceUnavailable)
	e2e.Notify(server.redis, "bob", `{"type":"n","payload":"`+strings.Repeat("x", 40)+`"}`)
	e2e.Notify(server.redis, "bob", e2e.Numbered(1))
	bob.WaitMessages(1)
	server.WaitMetric(`roost_notifications_invalid_total{reason="too_big"}`, 1)
	line = server.reload(t, "WS_MAX_CONNECTIONS=5", "WS_MAX_CONNECTIONS_PER_USER=2")
	checkChanged(t, line, "WS_MAX_NOTIFICATION_SIZE 40 → 65536", "WS_MAX_CONNECTIONS 2 → 5", "WS_MAX_CONNECTIONS_PER_USER 100 → 2")
	refused("alice", http.StatusTooManyRequests)
	server.reload(t, "WS_MAX_CONNECTIONS=5", "WS_MAX_CONNECTIONS_PER_USER=2", "WS_USER_LIMIT=replace", "WS_MAX_CONNECTIONS_PER_IP=1")
	server.Connect("alice")
	alice.WaitClose()
	refused("carol", http.StatusTooManyRequests) // those from before the bound don't count, alice's newest does
	server.reload(t, "WS_HANDSHAKE_RATE=1", "WS_HANDSHAKE_BURST=1")
	refused("carol", http.StatusSwitchingProtocols)
	// One a second may come: on a busy machine that is how fast they do.
	roosttest.WaitFor(t, "somebody to come too soon", func() bool {
		return e2e.Connects(server.Server, roosttest.Token(t, "dave")) == http.StatusServiceUnavailable
	})
	server.WaitMetric(`roost_connections_refused_total{reason="handshake_rate"}`, 1)
}

// Of what is wrong nothing is taken over, not even what is right beside it, and the log has all of it.
func TestReloadOfWrongValues(t *testing.T) {
	t.Parallel()
	server := startConfigured(t, nil)
	for _, tt := range []struct {
		name  string
		lines []string
		want  []string
	}{
		{"values", []string{"JWT_SECRET_KEY=" + otherSecret, "WS_MAX_CONNECTIONS=none", "LOGGER_LEVEL=loud", "JWT_SECRET_KEY_PREVIOUS=s3cret,hush"}, []string{
			`WS_MAX_CONNECTIONS="none" (` + server.path + `, line 2): want`,
			`JWT_SECRET_KEY_PREVIOUS="********" (` + server.path + `, line 4): want`,
			`LOGGER_LEVEL="loud" (` + server.path + `, line 3): want`}},
		{"the authenticator", []string{"JWT_SECRET_KEY=" + otherSecret, "WS_ALLOWED_ORIGINS=https://", "WS_TRUSTED_PROXIES=here", "WS_MAX_CONNECTIONS_PER_USER=1"},
			[]string{"WS_ALLOWED_ORIGINS: ", "WS_TRUSTED_PROXIES: "}},
		{"all at once", []string{"JWT_PUBLIC_KEY_FILE=/none", "WS_ALLOWED_ORIGINS=https://", "WS_TRUSTED_PROXIES=here", "LOGGER_LEVEL=loud"},
			[]string{`LOGGER_LEVEL="loud" (`, "JWT_PUBLIC_KEY_FILE: ", "WS_ALLOWED_ORIGINS: ", "WS_TRUSTED_PROXIES: "}},
		{"a key file", []string{"JWT_SECRET_KEY=" + otherSecret, "JWT_PUBLIC_KEY_FILE=/none", "WS_MAX_CONNECTIONS_PER_USER=1"}, []string{"JWT_PUBLIC_KEY_FILE: stat /none"}},
		{"the syntax", []string{"JWT_SECRET_KEY=" + otherSecret, "JWT_SECRET_KEY_PREVIOUS='s3cret"},
			[]string{"ROOST_CONFIG_FILE: " + server.path + ": line 2: JWT_SECRET_KEY_PREVIOUS: a quote is opened"}},
		{"beside what stays", []string{"JWT_SECRET_KEY=", "JWT_JWKS_URL=http://127.0.0.1:1/jwks"}, []string{`JWT_SECRET_KEY="": want`}},
	} {
		line := server.reload(t, tt.lines...)
		problems := list(line, "problems")
		if line.Message() != notReloaded || line.Text("level") != "ERROR" || len(problems) != len(tt.want) {
			t.Errorf("%s: the log says %v", tt.name, line)
			continue
		}
		for i, want := range tt.want {
			if !strings.HasPrefix(problems[i], want) {
				t.Errorf("%s: problem %d is %q\nwant %q", tt.name, i, problems[i], want)
			}
		}
		server.Connect("alice")
	}
	server.WaitMetric(`roost_config_reloads_total{result="failed"}`, 6)
	if strings.Contains(server.Log.String(), "s3cret") {
		t.Error("the log shows a secret")
	}
	if err := os.Remove(server.path); err != nil {
		t.Fatal(err)
	}
	if line := hangUp(t, server.Server); line.Message() != notReloaded {
		t.Errorf("without the file the log says %v", line)
	}
	checkChanged(t, server.reload(t))
}

// The level changes at once, and the line that says so is there whichever level is higher.
func TestReloadLogLevel(t *testing.T) {
	t.Parallel()
	server := startConfigured(t, nil)
	e2e.Connects(server.Server, "x")
	checkChanged(t, server.reload(t, "LOGGER_LEVEL=debug"), "LOGGER_LEVEL info → debug")
	server.WaitMetric(`roost_config_reloads_total{result="ok"}`, 1)
	e2e.Connects(server.Server, "x")
	server.WaitLine("refused")
	checkChanged(t, server.reload(t, "LOGGER_LEVEL=error"), "LOGGER_LEVEL debug → error")
	server.WaitMetric(`roost_config_reloads_total{result="ok"}`, 2) // the line comes before the level, or it might not come
	e2e.Connects(server.Server, "x")
	server.Connect("alice")
	checkChanged(t, server.reload(t), "LOGGER_LEVEL error → info")
	server.WaitMetric(`roost_config_reloads_total{result="ok"}`, 3)
	server.Connect("bob")
	server.WaitLine("connected", "user_id", "bob")
	if n := len(server.Log.Find("refused")); n != 1 || len(server.Log.Find("connected", "user_id", "alice")) != 0 {
		t.Errorf("%d refusals in the log", n)
	}
}

// Origins, issuer, audience, and the admin server's token.
func TestReloadWhoMayCome(t *testing.T) {
	t.Parallel()
	server := startConfigured(t, nil, "WS_ALLOWED_ORIGINS=https://a.example", "HTTP_TOKEN=")
	ask := func(origin string, claims roosttest.Claims) int {
		all := roosttest.Claims{"sub": "alice", "exp": time.Now().Add(time.Hour).Unix()}
		for name, value := range claims {
			all[name] = value
		}
		return server.Dial().Ask(roosttest.Head(roosttest.Sign(t, "HS256", roosttest.Secret, all), "Origin: "+origin)).StatusCode
	}
	check := func(origin string, claims roosttest.Claims, want int) {
		t.Helper()
		if code := ask(origin, claims); code != want {
			t.Errorf("%s with %v is answered %d, want %d", origin, claims, code, want)
		}
	}
	check("https://a.example", nil, 101)
	check("https://b.example", nil, 403)
	line := server.reload(t, "WS_ALLOWED_ORIGINS=https://b.example", "JWT_ISSUER=me", "JWT_AUDIENCE=roost", "HTTP_TOKEN=sixteen-letters-at-least")
	checkChanged(t, line, "WS_ALLOWED_ORIGINS https://a.example → https://b.example", `JWT_ISSUER "" → me`, `JWT_AUDIENCE "" → roost`, "HTTP_TOKEN changed")
	check("https://a.example", roosttest.Claims{"iss": "me", "aud": "roost"}, 403)
	check("https://b.example", roosttest.Claims{"iss": "me", "aud": "roost"}, 101)
	check("https://b.example", roosttest.Claims{"iss": "you", "aud": "roost"}, 401)
	check("https://b.example", roosttest.Claims{"iss": "me", "aud": "other"}, 401)
	if code, _ := server.Get("/metrics"); code != http.StatusUnauthorized {
		t.Errorf("/metrics without the token is answered %d", code)
	}
	server.reload(t)
	if code, _ := server.Get("/metrics"); code != http.StatusOK {
		t.Errorf("/metrics is answered %d when no token is wanted any more", code)
	}
	server.reload(t, "JWT_ISSUER='`me`'")
	server.WaitLine("JWT_ISSUER is in quotes, and that counts as part of it")
}

// The key file's content is read again, also without a file of variables, and what can't change is named.
func TestReloadKeyFile(t *testing.T) {
	t.Parallel()
	old, next := roosttest.NewKeyPair(t, "ES256", "a"), roosttest.NewKeyPair(t, "EdDSA", "b")
	path := e2e.KeyFile(t, old.PEM(t))
	_, server := e2e.Start(t, roosttest.Env{"JWT_SECRET_KEY": "", "JWT_PUBLIC_KEY_FILE": path})
	staying := server.ConnectWith(old.Token(t, "alice"), roosttest.Dial{})
	if err := os.WriteFile(path, []byte("-----BEGIN"), 0o600); err != nil {
		t.Fatal(err)
	}
	if line := hangUp(t, server); line.Message() != notReloaded || !strings.HasPrefix(list(line, "problems")[0], "JWT_PUBLIC_KEY_FILE: "+path) {
		t.Errorf("the log says %v", line)
	}
	server.ConnectWith(old.Token(t, "alice"), roosttest.Dial{})
	if err := os.WriteFile(path, []byte(next.PEM(t)), 0o600); err != nil {
		t.Fatal(err)
	}
	checkChanged(t, hangUp(t, server), "JWT_PUBLIC_KEY_FILE has other keys in it")
	server.WaitLine("without a ROOST_CONFIG_FILE only keys and certificates are read again: the environment of a running process can't change")
	server.ConnectWith(next.Token(t, "bob"), roosttest.Dial{})
	if code := e2e.Connects(server, old.Token(t, "carol")); code != http.StatusUnauthorized {
		t.Errorf("a token of the old key is answered %d", code)
	}
	if staying.Ended() {
		t.Error("who was connected is not any more")
	}
	checkChanged(t, hangUp(t, server))
}

// Keys of the JWKS outlive a reload, and it has them fetched.
func TestReloadWithJWKS(t *testing.T) {
	t.Parallel()
	pair := roosttest.NewKeyPair(t, "ES256", "a")
	issuer := roosttest.NewIssuer(t, pair)
	server := startConfigured(t, roosttest.Env{"JWT_JWKS_URL": issuer.URL})
	fetches := func(result string) float64 {
		return server.Metrics()[`roost_jwks_refreshes_total{result="`+result+`"}`]
	}
	roosttest.WaitFor(t, "the first fetch", func() bool { return fetches("ok") > 0 }) // the start waits for it for a few seconds only
	server.ConnectWith(pair.Token(t, "alice"), roosttest.Dial{})
	issuer.SetDown(true)
	failed, fetched := fetches("failed"), fetches("ok")
	server.reload(t, "JWT_SECRET_KEY="+otherSecret)
	server.ConnectWith(pair.Token(t, "bob"), roosttest.Dial{})
	roosttest.WaitFor(t, "the reload to have the keys fetched", func() bool { return fetches("failed") > failed })
	next := roosttest.NewKeyPair(t, "ES256", "b")
	issuer.Publish(next)
	issuer.SetDown(false)
	roosttest.WaitFor(t, "the keys to be fetched", func() bool { return fetches("ok") > fetched })
	server.ConnectWith(next.Token(t, "carol"), roosttest.Dial{}) // what was fetched went into the new authenticator
	server.ConnectWith(signed(t, otherSecret, "dave"), roosttest.Dial{})
	if code := e2e.Connects(server.Server, roosttest.Token(t, "erin")); code != http.StatusUnauthorized {
		t.Errorf("a token of the old secret is answered %d after the fetch", code)
	}
}

// The log names variables that can't change while the server runs, and those that the environment overrides, once.
func TestReloadSaysWhatNeedsARestart(t *testing.T) {
	t.Parallel()
	server := startConfigured(t, roosttest.Env{"WS_MESSAGE_RATE": "7"}, "WS_MESSAGE_RATE=8")
	overridden := "WS_MESSAGE_RATE is in the environment too, which counts: what " + server.path + " says in line 1 has no effect, and a reload can't change it"
	server.WaitLine(overridden)
	checkChanged(t, server.reload(t, "WS_MESSAGE_RATE=9", "WS_PONG_WAIT=90s", "WS_GAP_NOTICE=true", "WS_MAX_CONNECTION=7"))
	line := server.WaitLine("variables that have changed need a restart, and stay as they were")
	if got := list(line, "variables"); !slices.Equal(got, []string{"WS_PONG_WAIT", "WS_GAP_NOTICE"}) {
		t.Errorf("in need of a restart are %q", got)
	}
	server.WaitLine("WS_MAX_CONNECTION is not a variable of roost and has no effect; did you mean WS_MAX_CONNECTIONS? (" + server.path + ", line 4)")
	server.Stop()
	if n := len(server.Log.Find(overridden)); n != 1 {
		t.Errorf("what is overridden is said %d times", n)
	}
}

// While it drains nothing is reloaded, and SIGHUP doesn't end it.
func TestNoReloadWhileStopping(t *testing.T) {
	t.Parallel()
	server := startConfigured(t, roosttest.Env{"WS_DRAIN_DELAY": "20s", "WS_SHUTDOWN_TIMEOUT": "30s"})
	server.Signal(syscall.SIGTERM)
	server.WaitLine("draining: clients are still served")
	server.write(t, "WS_MAX_CONNECTIONS=1")
	server.Signal(syscall.SIGHUP)
	server.WaitLine("SIGHUP: nothing is reloaded, the service stops")
	server.Signal(syscall.SIGTERM) // now it means the end, at once
	if server.Wait(); len(server.Log.Find(reloaded)) != 0 {
		t.Error("it was reloaded")
	}
}

// The process after an upgrade reads the file as it is then.
func TestUpgradeReadsTheFile(t *testing.T) {
	t.Parallel()
	server := startConfigured(t, roosttest.Env{"WS_SHUTDOWN_TIMEOUT": "20s"})
	e2e.EndLast(t, server.Server)
	server.write(t, "JWT_SECRET_KEY="+otherSecret, "WS_GAP_NOTICE=true")
	upgradeOnce(t, server.Server, 1)
	server.ConnectWith(signed(t, otherSecret, "alice"), roosttest.Dial{})
	server.write(t, "WS_GAP_NOTICE=true")
	e2e.SignalLast(server.Server, syscall.SIGHUP)
	checkChanged(t, server.WaitLine(reloaded), "JWT_SECRET_KEY changed")
	server.Connect("bob")
	e2e.SignalLast(server.Server, syscall.SIGTERM)
	server.Wait()
}
