package roosttest

import (
	"crypto/hmac"
	"crypto/sha256"
	"crypto/sha512"
	"encoding/base64"
	"encoding/json"
	"hash"
	"testing"
	"time"
)

// Secret is what servers of Start check tokens with.
const Secret = "a-secret-of-the-tests-that-is-long-enough"

// Claims are a token's.
type Claims map[string]any

// Token is a good token of a user, for an hour.
func Token(t testing.TB, user string) string {
	t.Helper()
	return Sign(t, "HS256", Secret, Claims{"sub": user, "exp": time.Now().Add(time.Hour).Unix()})
}

// Sign makes a JWT by hand, good or bad: alg is HS256, HS512 or none.
func Sign(t testing.TB, alg, secret string, claims Claims) string {
	t.Helper()
	text := part(t, map[string]string{"alg": alg, "typ": "JWT"}) + "." + part(t, claims)
	var algorithm func() hash.Hash
	switch alg {
	case "none":
		return text + "."
	case "HS512":
		algorithm = sha512.New
	default:
		algorithm = sha256.New
	}
	mac := hmac.New(algorithm, []byte(secret))
	mac.Write([]byte(text))
	return text + "." + base64.RawURLEncoding.EncodeToString(mac.Sum(nil))
}

func part(t testing.TB, v any) string {
	t.Helper()
	b, err := json.Marshal(v)
	if err != nil {
		t.Fatalf("roosttest: a token's part: %v", err)
	}
	return base64.RawURLEncoding.EncodeToString(b)
}
