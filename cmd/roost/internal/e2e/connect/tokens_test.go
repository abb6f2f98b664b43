package connect

import (
	"errors"
	"net/http"
	"testing"
	"time"

	"roost/cmd/roost/internal/e2e"
	"roost/cmd/roost/internal/roosttest"
)

// A secret is replaced: tokens of the old one are good until it is taken out.
func TestSecretRotation(t *testing.T) {
	t.Parallel()
	const old = "the-secret-of-before-which-is-long-too"
	redis, server := e2e.Start(t, roosttest.Env{
		"JWT_SECRET_KEY_PREVIOUS": "an-even-older-secret-that-is-long, " + old, "JWT_ISSUER": "https://a.example", "JWT_AUDIENCE": "roost,push",
	})
	claims := roosttest.Claims{
		"sub": "alice", "iss": "https://a.example", "aud": []string{"api", "push"}, "exp": time.Now().Add(time.Hour).Unix(),
	}
	client := server.ConnectWith(roosttest.Sign(t, "HS256", old, claims), roosttest.Dial{})
	server.ConnectWith(roosttest.Sign(t, "HS256", roosttest.Secret, claims), roosttest.Dial{})
	e2e.Notify(redis, "alice", e2e.Numbered(1))
	client.WaitMessages(1)
	for reason, token := range map[string]string{
		"token_signature": roosttest.Sign(t, "HS256", "nobody's-secret-that-is-long-as-well", claims),
		"token_issuer":    roosttest.Token(t, "alice"),
	} {
		if answer := server.Dial().Ask(roosttest.Head(token)); answer.StatusCode != http.StatusUnauthorized {
			t.Errorf("%s: answered %s", reason, answer.Status)
		}
		server.WaitMetric(`roost_connections_refused_total{reason="`+reason+`"}`, 1)
	}
}

// A connection ends with its token, and not before; without the setting it stays.
func TestCloseOnExpiry(t *testing.T) {
	t.Parallel()
	_, closing := e2e.Start(t, roosttest.Env{"WS_CLOSE_ON_EXPIRY": "true"})
	_, keeping := e2e.Start(t, nil)
	const leeway = 5 * time.Second
	stays := closing.Connect("bob")
	var end time.Time
	var ends, other *roosttest.Client
	for left := 2 * time.Second; ends == nil; left *= 2 { // it may be over before a client has connected, on a machine that stands still
		end = time.Now().Add(left - leeway).Truncate(time.Second) // has expired, and is good for as long as clocks may be off
		short := roosttest.Sign(t, "HS256", roosttest.Secret, roosttest.Claims{"sub": "alice", "exp": end.Unix()})
		var err, otherErr error
		if other, otherErr = keeping.TryConnect(short, roosttest.Dial{}); otherErr == nil {
			ends, err = closing.TryConnect(short, roosttest.Dial{})
		}
		if err = errors.Join(otherErr, err); err != nil && left > roosttest.Limit {
			t.Fatalf("a token that is good for %s: %v", left, err)
		}
	}
	if code, text := ends.WaitClose(); code != 4401 || text != "token expired" {
		t.Errorf("closed with %d %q, want 4401", code, text)
	}
	if early := time.Until(end.Add(leeway)); early > 0 {
		t.Errorf("closed %s early", early)
	}
	if stays.Ended() || other.Ended() {
		t.Error("others were closed too")
	}
	closing.WaitMetric(`roost_connections_closed_total{reason="token_expired"}`, 1)
}
