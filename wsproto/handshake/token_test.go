package handshake

import (
	"crypto/ed25519"
	"crypto/rand"
	"strings"
	"testing"
	"time"

	"github.com/golang-jwt/jwt/v5"

	"roost/wsproto/auth"
)

func TestTokenMissingOrTwice(t *testing.T) {
	t.Parallel()
	upgrader := newUpgrader(t, Config{})
	token := goodToken(t, "alice")
	for _, query := range []string{"", "?", "?token", "?token=", "?Token=" + token, "?tokens=" + token, "?a=token=" + token, "?a=b;token=" + token} {
		checkRefusal(t, upgrader, upgradeHead("/ws"+query), 401, ReasonTokenMissing, `WWW-Authenticate: Bearer realm="roost"`)
	}
	for _, query := range []string{"?token=" + token + "&token=" + token, "?token=&token=" + token, "?token=" + token + "&t%6Fken=x"} {
		checkRefusal(t, upgrader, upgradeHead("/ws"+query), 400, ReasonTokenDuplicate,
			`WWW-Authenticate: Bearer realm="roost", error="invalid_request", error_description="more than one token"`)
	}
}

func TestTokenChallenge(t *testing.T) {
	t.Parallel()
	upgrader := newUpgrader(t, Config{})
	expired := sign(t, jwt.MapClaims{"sub": "alice", "exp": testNow.Add(-time.Minute).Unix()})
	checkRefusal(t, upgrader, upgradeHead("/ws?token="+expired), 401, ReasonTokenExpired,
		`WWW-Authenticate: Bearer realm="roost", error="invalid_token", error_description="token expired"`)
}

// A token that breaks the encoding of the address it is in is no token.
func TestTokenEncoding(t *testing.T) {
	t.Parallel()
	upgrader := newUpgrader(t, Config{})
	good := goodToken(t, "alice")
	for _, more := range []string{"%3D", "%0A", "+", "%", "%0", "%0g", "%22"} {
		checkRefusal(t, upgrader, upgradeHead("/ws?token="+good+more), 401, ReasonTokenMalformed, "")
	}
}

// The request says who may go on, until when, in which groups.
func TestRequestHasTheIdentity(t *testing.T) {
	t.Parallel()
	exp := testNow.Add(time.Hour).Truncate(time.Second)
	upgrader := newUpgrader(t, Config{Authenticator: newAuthenticator(t, auth.Config{Leeway: 7 * time.Second})})
	token := sign(t, jwt.MapClaims{"sub": "alice", "exp": exp.Unix(), "groups": []string{"staff"}})
	request, refusal := decide(upgrader, upgradeHead("/ws?token="+token))
	if refusal != nil || !request.Expires.Equal(exp.Add(7*time.Second)) || len(request.Groups) != 1 || request.Groups[0] != "staff" {
		t.Errorf("%+v, %+v", request, refusal)
	}
}

// signPair makes a token of a key pair.
func signPair(t *testing.T, kid string, key ed25519.PrivateKey) string {
	t.Helper()
	token := jwt.NewWithClaims(jwt.SigningMethodEdDSA, jwt.MapClaims{"sub": "alice", "exp": testNow.Add(time.Hour).Unix()})
	token.Header["kid"] = kid
	text, err := token.SignedString(key)
	if err != nil {
		t.Fatal(err)
	}
	return text
}

// A request that waits for a worker holds no part of the head.
func TestDetachedRequests(t *testing.T) {
	t.Parallel()
	public, private, err := ed25519.GenerateKey(rand.Reader)
	if err != nil {
		t.Fatal(err)
	}
	key, err := auth.NewPublicKey("a", public)
	if err != nil {
		t.Fatal(err)
	}
	upgrader := newUpgrader(t, Config{Authenticator: newAuthenticator(t, auth.Config{Keys: auth.Keys{Public: []auth.PublicKey{key}}})})
	head := upgradeHead("/ws?token="+signPair(t, "a", private), "X-Forwarded-For: 192.0.2.7")
	request, refusal := upgrader.Read(head)
	if refusal != nil {
		t.Fatal(refusal.Text())
	}
	if refusal, later := upgrader.Identify(&request, testNow); !later || refusal != nil || request.Priority != auth.PriorityNamed {
		t.Fatalf("later is %v, %+v", later, refusal)
	}
	request.Detach()
	clear(head)
	if refusal := upgrader.Check(&request, testNow); refusal != nil || request.User != "alice" || request.credential != nil {
		t.Errorf("%+v, %+v", request, refusal)
	}
	if request.forwarded.n != 0 || request.Size() != len("alice") {
		t.Errorf("what else is kept is %+v, %d bytes", request, request.Size())
	}
}

// An issuer's text about a key that can't be used ends no header, and a key that may be on its way is a 503.
func TestAnswersAboutKeys(t *testing.T) {
	t.Parallel()
	_, private, err := ed25519.GenerateKey(rand.Reader)
	if err != nil {
		t.Fatal(err)
	}
	authenticator := newAuthenticator(t, auth.Config{UnknownKey: func(string) (time.Duration, bool) { return 7 * time.Second, true }})
	upgrader := newUpgrader(t, Config{Authenticator: authenticator})
	leftOut := []auth.LeftOut{{ID: "left", Why: "an \"RSA\" key of 1024 bits\r\nX: y ü"}}
	if err := authenticator.SetKeys(auth.Keys{LeftOut: leftOut}); err != nil {
		t.Fatal(err)
	}
	_, refusal := decide(upgrader, upgradeHead("/ws?token="+signPair(t, "left", private)))
	if refusal == nil || refusal.Status != 401 || refusal.Reason != ReasonTokenKey {
		t.Fatalf("%+v", refusal)
	}
	if answer := string(refusal.Append(nil)); strings.Contains(answer, "\r\nX: y") || strings.Count(answer, `"`)%2 != 0 {
		t.Errorf("answers %q", answer)
	}
	_, refusal = decide(upgrader, upgradeHead("/ws?token="+signPair(t, "other", private)))
	if refusal == nil || refusal.Status != 503 || refusal.Reason != ReasonKeyPending || refusal.Wait != 7*time.Second {
		t.Errorf("%+v", refusal)
	}
}

// Each reason of package auth is one of a refusal, under the same name.
func TestTokenReasons(t *testing.T) {
	t.Parallel()
	for reason := auth.Malformed; int(reason) < auth.ReasonCount; reason++ {
		refusal := refuseToken(&auth.Error{Reason: reason, Text: "why"})
		if refusal.Reason.String() != reason.String() || (refusal.Status == 503) != (reason == auth.KeyPending) {
			t.Errorf("%s: %d %s", reason, refusal.Status, refusal.Reason)
		}
	}
}
