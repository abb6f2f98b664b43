package auth

import (
	"errors"
	"fmt"
	"strings"
	"testing"
	"time"

	"github.com/golang-jwt/jwt/v5"
)

// signWith makes a token with a secret of its own.
func signWith(t testing.TB, secret, claims string) string {
	t.Helper()
	return signHeader(t, secret, `{"alg":"HS256"}`, claims)
}

// signHeader is signWith with a header that is spelled out.
func signHeader(t testing.TB, secret, header, claims string) string {
	t.Helper()
	var token jwt.Token
	text := token.EncodeSegment([]byte(header)) + "." + token.EncodeSegment([]byte(claims))
	sum, err := jwt.SigningMethodHS256.Sign(text, []byte(secret))
	if err != nil {
		t.Fatal(err)
	}
	return text + "." + token.EncodeSegment(sum)
}

// Secrets are replaced without a cut: tokens of the old one are good until it is taken out.
func TestPreviousSecrets(t *testing.T) {
	t.Parallel()
	for _, claims := range []string{`{"sub":"alice","exp":99999999999}`, `{"sub":"\u0061lice","exp":99999999999}`} {
		older, old, other := signWith(t, "the older secret", claims), signWith(t, "the old secret", claims), signWith(t, "nobody's secret", claims)
		current := sign(t, jwt.MapClaims{"sub": "alice", "exp": 99999999999})
		a := newTest(t, Config{Keys: Keys{Previous: [][]byte{[]byte("the old secret"), []byte("the older secret")}}})
		for name, token := range map[string]string{"current": current, "old": old, "older": older} {
			id, problem := decide(a, token)
			if problem != nil || id.User != "alice" {
				t.Errorf("%s: %q, %+v", name, id.User, problem)
			}
		}
		checkTokenReason(t, a, other, BadSignature)
		checkTokenReason(t, newTest(t, Config{}), old, BadSignature)
	}
}

// A stranger's token is refused with the right reason, although its claims are never read.
func TestStrangersTokens(t *testing.T) {
	t.Parallel()
	a := stranger(t, 2)
	for header, reason := range map[string]Reason{
		`{"alg":"HS256"}`: BadSignature, `{"alg":"HS256","n":1}`: BadSignature,
		`{"alg":"none"}`: BadAlgorithm, `{"alg":"HS512"}`: BadAlgorithm, `{}`: BadAlgorithm,
		`{"alg":"HS256","crit":["exp"]}`: Malformed, `{"alg":"HS256"`: Malformed, `x`: Malformed,
		`{"alg":"HS256","kid":"` + strings.Repeat("x", maxTokenHeader) + `"}`: Malformed,
	} {
		for _, claims := range []string{`{"sub":"alice","exp":99999999999}`, `{"sub":"alice"}`, `no JSON`} {
			token := signJSON(t, header, claims)
			checkTokenReason(t, a, token, reason)
			if reason != Malformed {
				checkTokenReason(t, a, token+".x", Malformed)
				checkTokenReason(t, a, `"`+token, Malformed)
			}
		}
	}
}

func TestPreviousSecretsAreBounded(t *testing.T) {
	t.Parallel()
	config := Config{Keys: Keys{Secret: testSecret}}
	for i := range MaxPrevious + 1 {
		config.Keys.Previous = append(config.Keys.Previous, fmt.Append(nil, "secret ", i))
	}
	if _, err := New(config); !errors.Is(err, ErrPrevious) {
		t.Errorf("too many: %v", err)
	}
	config.Keys.Previous = [][]byte{nil}
	if _, err := New(config); !errors.Is(err, ErrNoKeys) {
		t.Errorf("an empty one: %v", err)
	}
}

func TestIssuerAndAudience(t *testing.T) {
	t.Parallel()
	for name, test := range map[string]struct {
		issuer   string
		audience []string
		claims   string
		reason   Reason // 0 is none
	}{
		"issuer":                        {"https://a.example", nil, `"iss":"https://a.example"`, 0},
		"issuer with escapes":           {"https://a.example", nil, `"iss":"https:\/\/a.example"`, 0},
		"another issuer":                {"https://a.example", nil, `"iss":"https://b.example"`, BadIssuer},
		"issuer with more":              {"https://a.example", nil, `"iss":"https://a.example/"`, BadIssuer},
		"no issuer":                     {"https://a.example", nil, `"x":1`, BadIssuer},
		"issuer of another type":        {"5", nil, `"iss":5`, BadIssuer},
		"issuer of no matter":           {"", nil, `"iss":5`, 0},
		"audience":                      {"", []string{"roost"}, `"aud":"roost"`, 0},
		"one of two that are asked for": {"", []string{"roost", "push"}, `"aud":"push"`, 0},
		"one of a list":                 {"", []string{"roost"}, `"aud":["api","roost"]`, 0},
		"another audience":              {"", []string{"roost"}, `"aud":"api"`, BadAudience},
		"none of a list":                {"", []string{"roost"}, `"aud":["api","web"]`, BadAudience},
		"empty list":                    {"", []string{"roost"}, `"aud":[]`, BadAudience},
		"no audience":                   {"", []string{"roost"}, `"x":1`, BadAudience},
		"audience of another type":      {"", []string{"5"}, `"aud":5`, BadAudience},
		"audience of no matter":         {"", nil, `"aud":{"a":1}`, 0},
		"both":                          {"a", []string{"b"}, `"iss":"a","aud":"b"`, 0},
		"no issuer, another audience":   {"a", []string{"b"}, `"aud":"c"`, BadIssuer},
		"issuer, no audience":           {"a", []string{"b"}, `"iss":"a"`, BadAudience},
		"issuer that is not UTF-8":      {"a\xff", nil, `"iss":"a` + "\xff" + `"`, BadIssuer},
		"the second of two counts":      {"a", nil, `"iss":"a","iss":"b"`, BadIssuer},
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			a := newTest(t, Config{Issuer: test.issuer, Audience: test.audience})
			token := signJSON(t, `{"alg":"HS256"}`, `{"sub":"alice","exp":99999999999,`+test.claims+`}`)
			if test.reason != 0 {
				checkTokenReason(t, a, token, test.reason)
				return
			}
			id, problem := decide(a, token)
			if problem != nil || id.User != "alice" {
				t.Errorf("%q, refused with %+v", id.User, problem)
			}
		})
	}
}

// An identity says from when on its token would be refused.
func TestIdentityExpires(t *testing.T) {
	t.Parallel()
	a := newTest(t, Config{Leeway: 7 * time.Second})
	exp := testNow.Add(time.Hour).Truncate(time.Second)
	for _, claims := range []string{`{"sub":"alice","exp":%d}`, `{"sub":"alice","exp":%d.5}`} {
		token := signJSON(t, `{"alg":"HS256"}`, fmt.Sprintf(claims, exp.Unix()))
		id, problem := decide(a, token)
		if problem != nil || !id.Expires.Equal(exp.Add(7*time.Second)) {
			t.Errorf("expires %s, %+v, want %s", id.Expires, problem, exp.Add(7*time.Second))
		}
	}
}
