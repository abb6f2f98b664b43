package auth

import (
	"testing"
	"time"

	"github.com/golang-jwt/jwt/v5"
)

var (
	testNow    = time.Date(2026, 3, 4, 5, 6, 7, 0, time.UTC)
	testSecret = []byte("a secret of thirty-two bytes or so")
)

// newTest makes an authenticator with the test secret.
func newTest(t testing.TB, config Config) *Authenticator {
	t.Helper()
	config.Keys.Secret = testSecret
	a, err := New(config)
	if err != nil {
		t.Fatal(err)
	}
	return a
}

// sign makes a token of claims with the test secret.
func sign(t testing.TB, claims jwt.MapClaims) string {
	t.Helper()
	token, err := jwt.NewWithClaims(jwt.SigningMethodHS256, claims).SignedString(testSecret)
	if err != nil {
		t.Fatal(err)
	}
	return token
}

// signJSON makes a token of claims that are spelled out.
func signJSON(t testing.TB, header, claims string) string {
	t.Helper()
	var token jwt.Token
	text := token.EncodeSegment([]byte(header)) + "." + token.EncodeSegment([]byte(claims))
	return text + "." + signature(t, text)
}

// signature is that of a token's first two parts.
func signature(t testing.TB, text string) string {
	t.Helper()
	sum, err := jwt.SigningMethodHS256.Sign(text, testSecret)
	if err != nil {
		t.Fatal(err)
	}
	return new(jwt.Token).EncodeSegment(sum)
}

func goodToken(t testing.TB, user string) string {
	t.Helper()
	return sign(t, jwt.MapClaims{"sub": user, "exp": testNow.Add(time.Hour).Unix()})
}

// usualToken is a token of usual length.
func usualToken(t testing.TB) []byte {
	t.Helper()
	return []byte(sign(t, jwt.MapClaims{"sub": "user-0123456789", "email": "user@example.com",
		"iat": testNow.Unix(), "exp": testNow.Unix() + 3600}))
}

// decide asks the way a loop and its worker do.
func decide[T string | []byte](a *Authenticator, token T) (Identity, *Error) {
	id, problem, _, later := a.Identify([]byte(token), testNow)
	if later {
		id, problem = a.Check([]byte(token), testNow)
	}
	return id, problem
}
