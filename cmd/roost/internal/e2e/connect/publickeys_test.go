package connect

import (
	"fmt"
	"net/http"
	"strconv"
	"strings"
	"sync"
	"sync/atomic"
	"testing"
	"time"

	"roost/cmd/roost/internal/e2e"
	"roost/cmd/roost/internal/roosttest"
	"roost/redisfeed/redistest"
)

// Tokens of each kind of key pair, with a file and no secret. The deep health check needs no token.
func TestPublicKeyFile(t *testing.T) {
	t.Parallel()
	pairs := map[string]*roosttest.KeyPair{}
	text := ""
	for _, alg := range []string{"RS256", "ES256", "EdDSA"} {
		pairs[alg] = roosttest.NewKeyPair(t, alg, "")
		text += pairs[alg].PEM(t)
	}
	redis, server := e2e.Start(t, roosttest.Env{"JWT_SECRET_KEY": "", "JWT_PUBLIC_KEY_FILE": e2e.KeyFile(t, text)})
	for alg, pair := range pairs {
		client := server.ConnectWith(pair.Token(t, alg), roosttest.Dial{})
		e2e.Notify(redis, alg, e2e.Numbered(1))
		client.WaitMessages(1)
	}
	claims := roosttest.Claims{"sub": "mallory", "exp": time.Now().Add(time.Hour).Unix()}
	for reason, token := range map[string]string{
		"token_signature": roosttest.NewKeyPair(t, "ES256", "").Token(t, "mallory"),
		"token_algorithm": roosttest.Sign(t, "HS256", text, claims),
	} {
		if answer := server.Dial().Ask(roosttest.Head(token)); answer.StatusCode != http.StatusUnauthorized {
			t.Errorf("%s: answered %s", reason, answer.Status)
		}
		server.WaitMetric(`roost_connections_refused_total{reason="`+reason+`"}`, 1)
	}
	e2e.WaitDeep(t, server)
}

func TestPublicKeyFilesThatAreRefused(t *testing.T) {
	t.Parallel()
	pair := roosttest.NewKeyPair(t, "EdDSA", "")
	private := pair.PrivatePEM(t)
	env := roosttest.ServerEnv(e2e.NoRedis{}, roosttest.Env{"JWT_PUBLIC_KEY_FILE": e2e.KeyFile(t, pair.PEM(t), private)})
	e2e.CheckRefusesToStart(t, env, "JWT_PUBLIC_KEY_FILE", "block 2: a private key", "openssl pkey -pubout")
}

// roost token signs with a secret, which a server with public keys needn't have.
func TestTokenCommandWantsASecret(t *testing.T) {
	t.Parallel()
	process := roosttest.Run(t, roosttest.Command{Args: []string{"token", "--user", "alice"},
		Env: roosttest.Env{"JWT_PUBLIC_KEY_FILE": "keys.pem"}})
	if code := process.Wait(); code != 1 || !strings.Contains(process.Stderr.String(), "JWT_SECRET_KEY is not set") {
		t.Errorf("ended with %d: %s", code, process.Stderr.String())
	}
}

// The issuer changes its keys while clients connect. The first token of the new key has the JWKS fetched: nobody has
// to wait for the next refresh, and nobody is told that a good token is bad.
func TestJWKSRotation(t *testing.T) {
	t.Parallel()
	old, next := roosttest.NewKeyPair(t, "ES256", "old"), roosttest.NewKeyPair(t, "EdDSA", "next")
	issuer := roosttest.NewIssuer(t, old)
	redis, server := e2e.Start(t, roosttest.Env{"JWT_SECRET_KEY": "", "JWT_JWKS_URL": issuer.URL, "JWT_JWKS_REFRESH": "1h"})
	server.WaitLine("the JWKS has been fetched") // at the second try where the first took longer than a start waits
	staying := server.ConnectWith(old.Token(t, "alice"), roosttest.Dial{})
	issuer.Publish(old, next)
	var clients sync.WaitGroup
	for i := range 4 {
		token := old.Token(t, fmt.Sprint("user", i))
		if i%2 == 0 {
			token = next.Token(t, fmt.Sprint("user", i))
		}
		clients.Go(func() {
			for admitted := 0; admitted < 20; {
				switch status := e2e.Connects(server, token); status {
				case http.StatusSwitchingProtocols:
					admitted++
				case http.StatusServiceUnavailable: // comes again
				default:
					t.Errorf("answered %d", status)
					return
				}
			}
		})
	}
	clients.Wait()
	if n := issuer.Fetches.Load(); float64(n) > 2+server.Metrics()[`roost_jwks_refreshes_total{result="failed"}`] {
		t.Errorf("%d fetches, want 2: one at the start and one for the new key", n)
	}
	e2e.Notify(redis, "alice", e2e.Numbered(1))
	staying.WaitMessages(1)
	server.WaitMetric(`roost_jwks_refreshes_total{result="ok"}`, 2)
	server.WaitMetric("roost_jwks_keys", 2)
}

// Keys that are no longer published are no longer good; while the issuer is away they stay.
func TestJWKSRefresh(t *testing.T) {
	t.Parallel()
	old, next := roosttest.NewKeyPair(t, "ES256", "old"), roosttest.NewKeyPair(t, "EdDSA", "next")
	issuer := roosttest.NewIssuer(t, old)
	_, server := e2e.Start(t, roosttest.Env{"JWT_SECRET_KEY": "", "JWT_JWKS_URL": issuer.URL, "JWT_JWKS_REFRESH": "50ms"})
	server.WaitLine("the JWKS has been fetched")
	server.ConnectWith(old.Token(t, "alice"), roosttest.Dial{})
	issuer.Publish(next)
	roosttest.WaitFor(t, "the old key to be refused", func() bool {
		return e2e.Connects(server, old.Token(t, "alice")) == http.StatusUnauthorized
	})
	if server.Metrics()[`roost_connections_refused_total{reason="token_key"}`] == 0 {
		t.Error("it is not counted")
	}
	server.WaitLine("a client was refused", "reason", "token_key", "variable", "JWT_SECRET_KEY, JWT_PUBLIC_KEY_FILE, JWT_JWKS_URL")
	issuer.SetDown(true)
	server.WaitLine("the JWKS could not be fetched; the keys stay as they were")
	roosttest.WaitFor(t, "some more to fail", func() bool {
		return server.Metrics()[`roost_jwks_refreshes_total{result="failed"}`] >= 3
	})
	server.ConnectWith(next.Token(t, "bob"), roosttest.Dial{})
	if h := server.Health(false); h.Code != http.StatusOK {
		t.Errorf("health: %+v", h)
	}
}

// Without the issuer the server starts, tells of it, puts clients off, and goes on as soon as the issuer is there.
func TestJWKSAwayAtTheStart(t *testing.T) {
	t.Parallel()
	pair := roosttest.NewKeyPair(t, "EdDSA", "a")
	issuer := roosttest.NewIssuer(t, pair)
	issuer.SetDown(true)
	_, server := e2e.Start(t, roosttest.Env{"JWT_SECRET_KEY": "", "JWT_JWKS_URL": issuer.URL + "?key=hush", "JWT_JWKS_REFRESH": "100ms"})
	server.WaitLine("the JWKS could not be fetched, and there is no key from it: its tokens are refused", "level", "ERROR")
	answer := server.Dial().Ask(roosttest.Head(pair.Token(t, "alice")))
	if answer.StatusCode != http.StatusServiceUnavailable || answer.Header.Get("Retry-After") == "" {
		t.Errorf("answered %s, Retry-After %q", answer.Status, answer.Header.Get("Retry-After"))
	}
	server.WaitMetric(`roost_connections_refused_total{reason="token_key_pending"}`, 1)
	if code, body := server.Get("/health"); code != http.StatusServiceUnavailable || !strings.Contains(string(body), "JWT_JWKS_URL") {
		t.Errorf("health: %d %s", code, body)
	}
	issuer.SetDown(false)
	roosttest.WaitFor(t, "health", func() bool { return server.Health(false).Code == http.StatusOK })
	server.ConnectWith(pair.Token(t, "alice"), roosttest.Dial{})
	if code := server.Stop(); code != 0 {
		t.Errorf("ended with %d", code)
	}
	if strings.Contains(server.Log.String(), "hush") {
		t.Error("the query of the address is in the log")
	}
}

// A flood of tokens with keys that nobody has costs the issuer one fetch. Each is refused only when its key has been
// looked for since; the others are told when to come again.
func TestUnknownKeysCostOneFetch(t *testing.T) {
	t.Parallel()
	pair, next := roosttest.NewKeyPair(t, "EdDSA", "a"), roosttest.NewKeyPair(t, "EdDSA", "b")
	issuer := roosttest.NewIssuer(t, pair)
	_, server := e2e.Start(t, roosttest.Env{"JWT_SECRET_KEY": "", "JWT_JWKS_URL": issuer.URL, "JWT_JWKS_REFRESH": "1h"})
	claims := roosttest.Claims{"sub": "mallory", "exp": time.Now().Add(time.Hour).Unix()}
	bogus := pair.Sign(t, "bogus", claims)
	server.WaitLine("the JWKS has been fetched")
	// The fetch for the first of them comes later than this, and so no other within a minute, which a busy machine may take here.
	begun := time.Now()
	minutes := func() float64 { return time.Since(begun).Minutes() }
	roosttest.WaitFor(t, "a key that nobody has to be refused", func() bool { return e2e.Connects(server, bogus) == http.StatusUnauthorized })
	for i := range 300 {
		if status := e2e.Connects(server, pair.Sign(t, fmt.Sprint("kid", i), claims)); status != http.StatusServiceUnavailable {
			t.Fatalf("a key that was not looked for: %d", status)
		}
	}
	if status := e2e.Connects(server, bogus); status != http.StatusUnauthorized && minutes() < 1 {
		t.Errorf("the key that was looked for: %d", status)
	}
	// The issuer begins to use a key that nobody has looked for: it is fetched within the minute, which Retry-After says.
	issuer.Publish(pair, next)
	answer := server.Dial().Ask(roosttest.Head(next.Token(t, "alice")))
	seconds, err := strconv.Atoi(answer.Header.Get("Retry-After"))
	if (answer.StatusCode != http.StatusServiceUnavailable || err != nil || seconds < 1 || seconds > 70) && minutes() < 1 {
		t.Errorf("the new key: %s, Retry-After %q", answer.Status, answer.Header.Get("Retry-After"))
	}
	server.ConnectWith(pair.Token(t, "alice"), roosttest.Dial{})
	n, failed := issuer.Fetches.Load(), server.Metrics()[`roost_jwks_refreshes_total{result="failed"}`]
	if most := 2 + minutes(); float64(n) > most+failed {
		t.Errorf("%d fetches, of which %v failed, want %v at most", n, failed, most)
	}
}

// A storm of handshakes with RS256 passes, and who is connected is served meanwhile.
func TestRS256Storm(t *testing.T) {
	t.Parallel()
	const storm, atOnce = 2000, 100
	pair := roosttest.NewKeyPair(t, "RS256", "")
	redis := redistest.Start(t)
	server := roosttest.Start(t, redis, roosttest.Env{"JWT_PUBLIC_KEY_FILE": e2e.KeyFile(t, pair.PEM(t)), "WS_MAX_CONNECTIONS_PER_USER": "0", "WS_HANDSHAKE_TIMEOUT": "5m"}) // however long it takes
	staying := server.Connect("alice")
	token := pair.Token(t, "storm")
	var clients sync.WaitGroup
	// A token is checked within 3 s or refused: a busy machine may not get through a hundred in that time. Nobody is refused sooner, and
	// all the time some get in.
	var refused, admitted atomic.Int64
	admitted.Store(time.Now().UnixNano())
	for range atOnce {
		clients.Go(func() {
			for n := 0; n < storm/atOnce; {
				begun := time.Now()
				raw, err := server.TryDial(0)
				if err == nil {
					err = raw.Upgrade(token)
				}
				switch {
				case err == nil:
					n++
					admitted.Store(time.Now().UnixNano())
				case err.Error() == "503 Service Unavailable" && time.Since(begun) > 2*time.Second && time.Since(time.Unix(0, admitted.Load())) < roosttest.Limit:
					refused.Add(1) // comes again
				default:
					t.Error(err)
					return
				}
			}
		})
	}
	served := 0
	for metrics := server.Metrics(); metrics["roost_connections_accepted_total"] < storm+1 && !t.Failed() && served < 10000; metrics = server.Metrics() {
		e2e.Notify(redis, "alice", e2e.Numbered(served))
		served++
		roosttest.WaitFor(t, "a notification in the storm", func() bool { return len(staying.Messages()) == served })
	}
	clients.Wait()
	server.WaitMetric("roost_connections_accepted_total", storm+1)
	server.WaitMetric("roost_token_checks", 0)
	if n := server.Metrics().Sum("roost_connections_refused_total"); n != float64(refused.Load()) {
		t.Errorf("%v handshakes were refused, %d clients were told so", n, refused.Load())
	}
	if staying.Ended() {
		t.Error("who was connected is not any more")
	}
}
