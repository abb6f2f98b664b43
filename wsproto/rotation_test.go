package wsproto

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

// Secrets are replaced without a cut: tokens of the old one are good until it is taken out. Both
// ways of reading a token agree.
func TestPreviousSecrets(t *testing.T) {
	t.Parallel()
	// The second spelling is odd, so that the library judges it.
	for _, claims := range []string{`{"sub":"alice","exp":99999999999}`, `{"sub":"\u0061lice","exp":99999999999}`} {
		older, old, other := signWith(t, "the older secret", claims), signWith(t, "the old secret", claims), signWith(t, "nobody's secret", claims)
		current := sign(t, jwt.MapClaims{"sub": "alice", "exp": 99999999999})
		gate := newTestGate(t, GateConfig{Previous: [][]byte{[]byte("the old secret"), []byte("the older secret")}})
		for name, token := range map[string]string{"current": current, "old": old, "older": older} {
			request, refusal := decide(gate, upgradeHead("/ws?token="+token))
			if refusal != nil || request.User != "alice" {
				t.Errorf("%s: %q, %+v", name, request.User, refusal)
			}
			if user, ok := checkPlain(t, gate, token, testNow); !ok && !strings.Contains(claims, "u0061") {
				t.Errorf("%s: the quick way is not sure of it (%q)", name, user)
			}
		}
		checkRefusal(t, gate, upgradeHead("/ws?token="+other), 401, ReasonTokenSignature, "")
		checkRefusal(t, newTestGate(t, GateConfig{}), upgradeHead("/ws?token="+old), 401, ReasonTokenSignature, "")
	}
}

// What a stranger signed is refused for what is wrong with it, although its claims are never read.
func TestStrangersTokens(t *testing.T) {
	t.Parallel()
	gate := strangersGate(t, 2)
	for header, reason := range map[string]RefusalReason{
		`{"alg":"HS256"}`: ReasonTokenSignature, `{"alg":"HS256","n":1}`: ReasonTokenSignature,
		`{"alg":"none"}`: ReasonTokenAlgorithm, `{"alg":"HS512"}`: ReasonTokenAlgorithm, `{}`: ReasonTokenAlgorithm,
		`{"alg":"HS256","crit":["exp"]}`: ReasonTokenMalformed, `{"alg":"HS256"`: ReasonTokenMalformed, `x`: ReasonTokenMalformed,
		`{"alg":"HS256","kid":"` + strings.Repeat("x", maxTokenHeader) + `"}`: ReasonTokenMalformed,
	} {
		for _, claims := range []string{`{"sub":"alice","exp":99999999999}`, `{"sub":"alice"}`, `no JSON`} {
			token := signJSON(t, header, claims)
			checkTokenReason(t, gate, token, reason)
			if reason != ReasonTokenMalformed {
				checkTokenReason(t, gate, token+".x", ReasonTokenMalformed)
				checkTokenReason(t, gate, "%22"+token, ReasonTokenMalformed)
			}
		}
	}
}

func TestPreviousSecretsAreBounded(t *testing.T) {
	t.Parallel()
	config := GateConfig{Secret: testSecret}
	for i := range MaxPrevious + 1 {
		config.Previous = append(config.Previous, fmt.Append(nil, "secret ", i))
	}
	if _, err := NewGate(config); !errors.Is(err, ErrPrevious) {
		t.Errorf("too many: %v", err)
	}
	config.Previous = [][]byte{nil}
	if _, err := NewGate(config); !errors.Is(err, ErrNoKeys) {
		t.Errorf("an empty one: %v", err)
	}
}

func TestIssuerAndAudience(t *testing.T) {
	t.Parallel()
	for name, test := range map[string]struct {
		issuer   string
		audience []string
		claims   string
		reason   RefusalReason // 0 is none
	}{
		"issuer":                        {"https://a.example", nil, `"iss":"https://a.example"`, 0},
		"issuer with escapes":           {"https://a.example", nil, `"iss":"https:\/\/a.example"`, 0},
		"another issuer":                {"https://a.example", nil, `"iss":"https://b.example"`, ReasonTokenIssuer},
		"issuer with more":              {"https://a.example", nil, `"iss":"https://a.example/"`, ReasonTokenIssuer},
		"no issuer":                     {"https://a.example", nil, `"x":1`, ReasonTokenIssuer},
		"issuer of another type":        {"5", nil, `"iss":5`, ReasonTokenIssuer},
		"issuer of no matter":           {"", nil, `"iss":5`, 0},
		"audience":                      {"", []string{"roost"}, `"aud":"roost"`, 0},
		"one of two that are asked for": {"", []string{"roost", "push"}, `"aud":"push"`, 0},
		"one of a list":                 {"", []string{"roost"}, `"aud":["api","roost"]`, 0},
		"another audience":              {"", []string{"roost"}, `"aud":"api"`, ReasonTokenAudience},
		"none of a list":                {"", []string{"roost"}, `"aud":["api","web"]`, ReasonTokenAudience},
		"empty list":                    {"", []string{"roost"}, `"aud":[]`, ReasonTokenAudience},
		"no audience":                   {"", []string{"roost"}, `"x":1`, ReasonTokenAudience},
		"audience of another type":      {"", []string{"5"}, `"aud":5`, ReasonTokenAudience},
		"audience of no matter":         {"", nil, `"aud":{"a":1}`, 0},
		"both":                          {"a", []string{"b"}, `"iss":"a","aud":"b"`, 0},
		"no issuer, another audience":   {"a", []string{"b"}, `"aud":"c"`, ReasonTokenIssuer},
		"issuer, no audience":           {"a", []string{"b"}, `"iss":"a"`, ReasonTokenAudience},
		"issuer that is not UTF-8":      {"a\xff", nil, `"iss":"a` + "\xff" + `"`, ReasonTokenIssuer},
		"the second of two counts":      {"a", nil, `"iss":"a","iss":"b"`, ReasonTokenIssuer},
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			gate := newTestGate(t, GateConfig{Issuer: test.issuer, Audience: test.audience})
			token := signJSON(t, `{"alg":"HS256"}`, `{"sub":"alice","exp":99999999999,`+test.claims+`}`)
			checkPlain(t, gate, token, testNow)
			if test.reason != 0 {
				checkRefusal(t, gate, upgradeHead("/ws?token="+token), 401, test.reason, "")
				return
			}
			request, refusal := decide(gate, upgradeHead("/ws?token="+token))
			if refusal != nil || request.User != "alice" {
				t.Errorf("%q, refused with %+v", request.User, refusal)
			}
		})
	}
}

// The request says from when on its token would be refused.
func TestRequestExpires(t *testing.T) {
	t.Parallel()
	gate := newTestGate(t, GateConfig{Leeway: 7 * time.Second})
	exp := testNow.Add(time.Hour).Truncate(time.Second)
	for _, claims := range []string{`{"sub":"alice","exp":%d}`, `{"sub":"alice","exp":%d.5}`} {
		token := signJSON(t, `{"alg":"HS256"}`, fmt.Sprintf(claims, exp.Unix()))
		request, refusal := decide(gate, upgradeHead("/ws?token="+token))
		if refusal != nil || !request.Expires.Equal(exp.Add(7*time.Second)) {
			t.Errorf("expires %s, %+v, want %s", request.Expires, refusal, exp.Add(7*time.Second))
		}
	}
}
