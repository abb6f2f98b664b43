package commands

import (
	"strings"
	"testing"
	"time"

	"roost/cmd/roost/internal/e2e"
	"roost/cmd/roost/internal/roosttest"
	"roost/redisfeed/redistest"
)

// TestNothingSecretIsLogged does all that could bring a token, a secret or a payload into the log, at debug level.
func TestNothingSecretIsLogged(t *testing.T) {
	t.Parallel()
	const password, payload, said = "password-of-redis", "payload-of-alice", "said-by-alice"
	redis := redistest.Start(t)
	if err := redis.Client().ConfigSet(t.Context(), "requirepass", password).Err(); err != nil {
		t.Fatal(err)
	}
	server := roosttest.Start(t, redis, roosttest.Env{"WS_MODE": "debug", "LOGGER_MODE": "development", "REDIS_PASSWORD": password})

	good := roosttest.Token(t, "alice")
	forged := roosttest.Sign(t, "HS256", "wrong", roosttest.Claims{"sub": "alice", "exp": time.Now().Add(time.Hour).Unix()})
	for _, head := range []string{
		roosttest.Head(forged), roosttest.Head(good, "Upgrade:"), roosttest.Head(good, "Content-Length: 9"),
		roosttest.Head(good + "&token=" + forged), strings.Replace(roosttest.Head(good), "GET", "POST", 1),
		strings.Replace(roosttest.Head(good), "token=", "ticket=", 1),
	} {
		server.Dial().Ask(head)
	}
	alice := server.ConnectWith(good, roosttest.Dial{})
	alice.Send(said)
	e2e.Notify(redis, "alice", `{"type":"a","payload":"`+payload+`"}`)
	e2e.Notify(redis, "alice", `{"type":5,"payload":"`+payload+`"}`)
	e2e.Notify(redis, "alice", payload)
	alice.WaitMessages(1)
	server.WaitLine("notification skipped", "reason", "invalid_json")
	raw := server.Dial()
	raw.MustUpgrade(good)
	raw.Send("\x81" + said) // not masked: a protocol violation
	raw.Frame()
	server.WaitLine("protocol violation")
	server.WaitLine("client message ignored", "user_id", "alice")
	server.Health(true)
	redis.Kill()
	server.WaitLine("redis link lost")
	if code := server.Stop(); code != 0 {
		t.Errorf("ended with %d", code)
	}

	log := server.Log.String() + server.Stderr.String()
	for name, secret := range map[string]string{
		"a token": signatureOf(good), "a forged token": signatureOf(forged), "a token's claims": strings.Split(good, ".")[1],
		"the key": roosttest.Secret, "the password of Redis": password, "a payload": payload, "a client's message": said, "a ticket": "ticket=",
	} {
		if i := strings.Index(log, secret); i >= 0 {
			t.Errorf("%s is in the log: %s", name, log[max(0, i-200):min(len(log), i+200)])
		}
	}
}

func signatureOf(token string) string { return token[strings.LastIndexByte(token, '.')+1:] }
