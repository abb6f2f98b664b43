package auth

import (
	"crypto/elliptic"
	"encoding/base64"
	"strings"
	"testing"

	"github.com/golang-jwt/jwt/v5"
)

// withSignature is a token with a signature of so many bytes, of nobody.
func withSignature(token string, size int) string {
	return token[:strings.LastIndexByte(token, '.')+1] + base64.RawURLEncoding.EncodeToString(make([]byte, size))
}

// Whose key is known goes first, and a signature that can't be its key's costs no check at all.
func TestPriorities(t *testing.T) {
	t.Parallel()
	rsa, ec, ed := rsaPairs()[0], newECPair(t, jwt.SigningMethodES256, elliptic.P256()), newEdPair(t)
	keys := []PublicKey{rsa.public(t, "rsa"), ec.public(t, "ec"), ed.public(t, ""), ed.public(t, "ed")}
	a := newTest(t, Config{Keys: Keys{Public: keys}})
	for name, tt := range map[string]struct {
		token    string
		priority Priority
		why      Reason // 0: it is to be checked
	}{
		"RS256 by name":             {rsa.token(t, "rsa"), PriorityNamed, 0},
		"ES256 by name":             {ec.token(t, "ec"), PriorityNamed, 0},
		"EdDSA by name":             {ed.token(t, "ed"), PriorityNamed, 0},
		"junk by name":              {withSignature(rsa.token(t, "rsa"), 256), PriorityNamed, 0},
		"without a name":            {rsa.token(t, ""), PriorityTried, 0},
		"a name that is not known":  {rsa.token(t, "other"), PriorityUnknown, 0},
		"one that keys without fit": {ed.token(t, "other"), PriorityTried, 0},
		"of another family":         {ec.token(t, "rsa"), PriorityUnknown, 0},
		"an escape in the name":     {rsa.sign(t, `{"alg":"RS256","kid":"\u0072sa"}`, pairClaims), PriorityNamed, 0},
		"two names":                 {rsa.sign(t, `{"alg":"RS256","kid":"rsa","kid":"ec"}`, pairClaims), PriorityUnknown, 0},
		"a number for a name":       {rsa.sign(t, `{"alg":"RS256","kid":1}`, pairClaims), PriorityUnknown, 0},
		"extensions":                {rsa.sign(t, `{"alg":"RS256","kid":"rsa","crit":["x"]}`, pairClaims), PriorityUnknown, 0},
		"more than JSON":            {rsa.sign(t, `{"alg":"RS256","kid":"rsa"} x`, pairClaims), 0, Malformed},
		"no algorithm":              {rsa.sign(t, `{"kid":"rsa"}`, pairClaims), 0, BadAlgorithm},
		"not an algorithm":          {rsa.sign(t, `{"alg":"none","kid":"rsa"}`, pairClaims), 0, BadAlgorithm},

		"RS256, too short":   {withSignature(rsa.token(t, "rsa"), 255), 0, BadSignature},
		"RS256, too long":    {withSignature(rsa.token(t, ""), 257), 0, BadSignature},
		"RS256, none":        {withSignature(rsa.token(t, "rsa"), 0), 0, BadSignature},
		"ES256, as in ASN.1": {withSignature(ec.token(t, "ec"), 71), 0, BadSignature},
		"EdDSA, too long":    {withSignature(ed.token(t, "ed"), 65), 0, BadSignature},
		"four parts":         {rsa.token(t, "rsa") + ".x", 0, Malformed},
		"two parts":          {"x.y", 0, Malformed},
		"no header":          {"!.e30." + strings.Repeat("A", 342), 0, Malformed},
		"a large header": {rsa.sign(t, `{"alg":"RS256","x":"`+strings.Repeat("x", maxTokenHeader)+`"}`, pairClaims), 0,
			Malformed},
	} {
		_, problem, priority, later := a.Identify([]byte(tt.token), testNow)
		switch {
		case later != (tt.why == 0) || later && priority != tt.priority:
			t.Errorf("%s: later is %v, priority is %d, want %d; %+v", name, later, priority, tt.priority, problem)
		case problem != nil && problem.Reason != tt.why:
			t.Errorf("%s: refused for %s, want %s", name, problem.Reason, tt.why)
		}
	}
}

// Nobody is refused by a look at the outside who would be let in.
func FuzzTriage(f *testing.F) {
	rsa, ec, ed := rsaPairs()[0], newECPair(f, jwt.SigningMethodES256, elliptic.P256()), newEdPair(f)
	ring, err := newKeyring(Keys{Public: []PublicKey{rsa.public(f, "rsa"), ec.public(f, "ec"), ed.public(f, "")}}, DefaultAlgorithms())
	if err != nil {
		f.Fatal(err)
	}
	pairs := []pair{rsa, ec, ed}
	for i, header := range []string{`{"alg":"RS256","kid":"rsa"}`, `{"kid":"ec","alg":"ES256"}`, `{"alg":"EdDSA"}`, `{"alg":"RS256","kid":"\u0072sa"}`} {
		f.Add(header, i%len(pairs))
	}
	f.Fuzz(func(t *testing.T, header string, signer int) {
		if signer < 0 {
			return
		}
		a := authenticatorOf(t, rsa.public(t, "rsa"), ec.public(t, "ec"), ed.public(t, ""))
		text := []byte(pairs[signer%len(pairs)].sign(t, header, pairClaims))
		var parsed token
		if problem := parsed.parse(text); problem != nil {
			return
		}
		if _, problem := ring.triage(&parsed); problem == nil {
			return
		}
		if _, problem := a.check(ring, &parsed, testNow); problem == nil {
			t.Errorf("%q is refused for its outside, and is good", header)
		}
	})
}

func BenchmarkTriage(b *testing.B) {
	ed := newEdPair(b)
	ring, err := newKeyring(Keys{Public: []PublicKey{ed.public(b, "ed")}}, DefaultAlgorithms())
	if err != nil {
		b.Fatal(err)
	}
	text := []byte(ed.token(b, "ed"))
	b.ReportAllocs()
	for b.Loop() {
		var parsed token
		if problem := parsed.parse(text); problem != nil {
			b.Fatal(problem)
		}
		if _, problem := ring.triage(&parsed); problem != nil {
			b.Fatal(problem.Text)
		}
	}
}
