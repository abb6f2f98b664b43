package auth

import (
	"crypto"
	"crypto/ecdsa"
	"crypto/ed25519"
	"crypto/elliptic"
	"crypto/rand"
	"crypto/rsa"
	"crypto/x509"
	"encoding/pem"
	"errors"
	"fmt"
	"math/big"
	"strings"
	"sync"
	"testing"
	"time"

	"github.com/golang-jwt/jwt/v5"
)

// pair is a key pair of an issuer.
type pair struct {
	method  jwt.SigningMethod
	private crypto.Signer
}

// rsaPairs are made once: it takes long.
var rsaPairs = sync.OnceValue(func() (pairs [2]pair) {
	for i := range pairs {
		key, err := rsa.GenerateKey(rand.Reader, minRSA)
		if err != nil {
			panic(err)
		}
		pairs[i] = pair{jwt.SigningMethodRS256, key}
	}
	return pairs
})

func newECPair(t testing.TB, method jwt.SigningMethod, curve elliptic.Curve) pair {
	t.Helper()
	key, err := ecdsa.GenerateKey(curve, rand.Reader)
	if err != nil {
		t.Fatal(err)
	}
	return pair{method, key}
}

func newEdPair(t testing.TB) pair {
	t.Helper()
	_, key, err := ed25519.GenerateKey(rand.Reader)
	if err != nil {
		t.Fatal(err)
	}
	return pair{jwt.SigningMethodEdDSA, key}
}

// public is the pair's public half under a kid.
func (p pair) public(t testing.TB, id string) PublicKey {
	t.Helper()
	key, err := NewPublicKey(id, p.private.Public())
	if err != nil {
		t.Fatal(err)
	}
	return key
}

const pairClaims = `{"sub":"alice","exp":99999999999}`

// sign makes a token with a header that is spelled out, whatever algorithm that names.
func (p pair) sign(t testing.TB, header, claims string) string {
	t.Helper()
	var token jwt.Token
	text := token.EncodeSegment([]byte(header)) + "." + token.EncodeSegment([]byte(claims))
	sum, err := p.method.Sign(text, p.private)
	if err != nil {
		t.Fatal(err)
	}
	return text + "." + token.EncodeSegment(sum)
}

// token is a good one, with a kid unless that is empty.
func (p pair) token(t testing.TB, kid string) string {
	t.Helper()
	if kid == "" {
		return p.sign(t, `{"alg":"`+p.method.Alg()+`"}`, pairClaims)
	}
	return p.sign(t, fmt.Sprintf(`{"alg":%q,"typ":"JWT","kid":%q}`, p.method.Alg(), kid), pairClaims)
}

// authenticatorOf has public keys and no secret.
func authenticatorOf(t testing.TB, keys ...PublicKey) *Authenticator {
	t.Helper()
	a, err := New(Config{Keys: Keys{Public: keys}})
	if err != nil {
		t.Fatal(err)
	}
	return a
}

// Each algorithm lets in what its key signed, and nothing that another did, or that was changed.
func TestKeyPairs(t *testing.T) {
	t.Parallel()
	for name, pairs := range map[string][2]pair{
		"RS256": rsaPairs(),
		"ES256": {newECPair(t, jwt.SigningMethodES256, elliptic.P256()), newECPair(t, jwt.SigningMethodES256, elliptic.P256())},
		"EdDSA": {newEdPair(t), newEdPair(t)},
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			for _, kid := range []string{"", "a"} {
				a := authenticatorOf(t, pairs[0].public(t, kid))
				if got := pairs[0].public(t, kid).Algorithms(); got[0] != name {
					t.Errorf("the key is for %s", got)
				}
				good := pairs[0].token(t, kid)
				checkTokenReason(t, a, good, 0)
				checkTokenReason(t, a, pairs[1].token(t, kid), BadSignature)
				text, signature := good[:strings.LastIndexByte(good, '.')], good[strings.LastIndexByte(good, '.'):]
				checkTokenReason(t, a, text+".", BadSignature)
				checkTokenReason(t, a, text+".AAAA", BadSignature)
				checkTokenReason(t, a, text+"."+strings.Repeat("A", len(signature)-1), BadSignature)
				other := pairs[0].sign(t, `{"alg":"`+name+`"}`, `{"sub":"bob","exp":99999999999}`)
				checkTokenReason(t, a, other[:strings.LastIndexByte(other, '.')]+signature, BadSignature)
				expired := pairs[0].sign(t, `{"alg":"`+name+`"}`, `{"sub":"alice","exp":1}`)
				checkTokenReason(t, a, expired, Expired)
				checkTokenReason(t, a, pairs[0].sign(t, `{"alg":"`+name+`","crit":["exp"]}`, pairClaims), Malformed)
			}
		})
	}
}

// The confusions of algorithms and keys that have let strangers in elsewhere (RFC 8725 section 2.1).
func TestKeyConfusion(t *testing.T) {
	t.Parallel()
	rsa, ec, ed := rsaPairs()[0], newECPair(t, jwt.SigningMethodES256, elliptic.P256()), newEdPair(t)
	onP384 := newECPair(t, jwt.SigningMethodES384, elliptic.P384())
	rsaKey, ecKey, edKey := rsa.public(t, "rsa"), ec.public(t, "ec"), ed.public(t, "ed")
	every, err := New(Config{Keys: Keys{Secret: testSecret, Public: []PublicKey{rsaKey, ecKey, edKey}}})
	if err != nil {
		t.Fatal(err)
	}
	authenticators := map[string]*Authenticator{"public keys": authenticatorOf(t, rsaKey, ecKey, edKey), "and a secret": every,
		"RSA": authenticatorOf(t, rsaKey), "ECDSA": authenticatorOf(t, ecKey), "Ed25519": authenticatorOf(t, edKey),
		"RSA without kid": authenticatorOf(t, rsa.public(t, ""), ecKey, edKey)}
	der, err := x509.MarshalPKIXPublicKey(rsa.private.Public())
	if err != nil {
		t.Fatal(err)
	}
	text := string(pem.EncodeToMemory(&pem.Block{Type: "PUBLIC KEY", Bytes: der}))
	tokens := map[string]string{
		"signed with the PEM as secret":        signHeader(t, text, `{"alg":"HS256"}`, pairClaims),
		"with the PEM, trimmed":                signHeader(t, strings.TrimSpace(text), `{"alg":"HS256","kid":"rsa"}`, pairClaims),
		"signed with the DER as secret":        signHeader(t, string(der), `{"alg":"HS256","kid":"rsa"}`, pairClaims),
		"signed with the raw key as secret":    signHeader(t, string(ed.private.Public().(ed25519.PublicKey)), `{"alg":"HS256","kid":"ed"}`, pairClaims),
		"PEM as secret that says RS256":        signHeader(t, text, `{"alg":"RS256","kid":"rsa"}`, pairClaims),
		"none":                                 unsigned(t, pairClaims),
		"none with a kid":                      strings.TrimRight(rsa.sign(t, `{"alg":"none","kid":"rsa"}`, pairClaims), "-_ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz0123456789"),
		"none, signed":                         rsa.sign(t, `{"alg":"none","kid":"rsa"}`, pairClaims),
		"RS256 with the kid of an ECDSA key":   rsa.token(t, "ec"),
		"RS256 with the kid of an Ed25519 key": rsa.token(t, "ed"),
		"ES256 with the kid of an RSA key":     ec.token(t, "rsa"),
		"ES256 with the kid of an Ed25519 key": ec.token(t, "ed"),
		"EdDSA with the kid of an ECDSA key":   ed.token(t, "ec"),
		"ES256 that says RS256":                ec.sign(t, `{"alg":"RS256","kid":"ec"}`, pairClaims),
		"RS256 that says ES256":                rsa.sign(t, `{"alg":"ES256","kid":"rsa"}`, pairClaims),
		"RS512 of the RSA key":                 pair{jwt.SigningMethodRS512, rsa.private}.token(t, "rsa"),
		"PS256 of the RSA key":                 pair{jwt.SigningMethodPS256, rsa.private}.token(t, "rsa"),
		"PS256 that says RS256":                pair{jwt.SigningMethodPS256, rsa.private}.sign(t, `{"alg":"RS256","kid":"rsa"}`, pairClaims),
		"ES384 on P-384":                       onP384.token(t, "ec"),
		"ES256 on P-384":                       onP384.sign(t, `{"alg":"ES256","kid":"ec"}`, pairClaims),
		"a key of its own in the header":       newEdPair(t).sign(t, `{"alg":"EdDSA","jwk":{"kty":"OKP","crv":"Ed25519","x":"AAAA"}}`, pairClaims),
	}
	for authenticatorName, a := range authenticators {
		for name, token := range tokens {
			if id, problem := decide(a, token); problem == nil {
				t.Errorf("%s, %s: let in as %q", authenticatorName, name, id.User)
			}
		}
	}
	// And why.
	for name, reason := range map[string]Reason{
		"signed with the PEM as secret": BadAlgorithm, "none": BadAlgorithm, "RS512 of the RSA key": BadAlgorithm,
		"RS256 with the kid of an ECDSA key": BadAlgorithm, "ES256 on P-384": BadSignature,
		"PS256 that says RS256": BadSignature,
	} {
		checkTokenReason(t, authenticators["public keys"], tokens[name], reason)
	}
	checkTokenReason(t, every, tokens["signed with the PEM as secret"], BadSignature)
	checkTokenReason(t, every, goodToken(t, "alice"), 0)
}

// A problem for the algorithm says which would be right.
func TestAlgorithmRefusalNamesTheRightOnes(t *testing.T) {
	t.Parallel()
	ed := newEdPair(t)
	for want, a := range map[string]*Authenticator{
		"right is HS256": newTest(t, Config{}),
		"right is EdDSA": authenticatorOf(t, ed.public(t, "")),
		"right is HS256 or RS256 or EdDSA": newTest(t, Config{Keys: Keys{Public: []PublicKey{
			rsaPairs()[0].public(t, ""), ed.public(t, "a"), ed.public(t, "b")}}}),
	} {
		_, problem := decide(a, unsigned(t, pairClaims))
		if problem == nil || !strings.HasSuffix(problem.Text, want) || len(problem.Text) > 123 {
			t.Errorf("got %+v, want %s", problem, want)
		}
	}
}

// The kid chooses: a key that has it is the only one tried, without such a key those are that have none.
func TestKeyIDs(t *testing.T) {
	t.Parallel()
	a, b, c := newEdPair(t), newEdPair(t), newEdPair(t)
	many := []PublicKey{}
	for i := range maxTries + 1 {
		many = append(many, newEdPair(t).public(t, fmt.Sprint("k", i)))
	}
	many = append(many, a.public(t, "a"))
	ab := []PublicKey{a.public(t, "a"), b.public(t, "b")}
	abNone := append([]PublicKey{c.public(t, "")}, ab...)
	for name, test := range map[string]struct {
		keys   []PublicKey
		token  string
		reason Reason // 0 is none
	}{
		"its key":                          {ab, b.token(t, "b"), 0},
		"another's kid":                    {ab, b.token(t, "a"), BadSignature},
		"no kid":                           {ab, b.token(t, ""), 0},
		"no kid, a key without":            {abNone, c.token(t, ""), 0},
		"no kid, all fail":                 {ab, c.token(t, ""), BadSignature},
		"an empty kid":                     {ab, b.sign(t, `{"alg":"EdDSA","kid":""}`, pairClaims), 0},
		"unknown kid":                      {ab, b.token(t, "x"), UnknownKey},
		"unknown kid, a key without":       {abNone, c.token(t, "x"), 0},
		"unknown kid, not the one without": {abNone, b.token(t, "x"), BadSignature},
		"known kid, but the key without":   {abNone, c.token(t, "a"), BadSignature},
		"two keys of a kid":                {[]PublicKey{a.public(t, "a"), b.public(t, "a")}, b.token(t, "a"), 0},
		"kid that is a number":             {ab, b.sign(t, `{"alg":"EdDSA","kid":5}`, pairClaims), Malformed},
		"kid null":                         {ab, b.sign(t, `{"alg":"EdDSA","kid":null}`, pairClaims), Malformed},
		"kid in other letters":             {ab, b.token(t, "B"), UnknownKey},
		"many keys, kid":                   {many, a.token(t, "a"), 0},
		"many keys, no kid":                {many, a.token(t, ""), UnknownKey},
		"no key of the algorithm":          {[]PublicKey{rsaPairs()[0].public(t, "a")}, a.token(t, ""), BadAlgorithm},
		"nor of the kid":                   {[]PublicKey{rsaPairs()[0].public(t, "a")}, a.token(t, "b"), UnknownKey},
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			checkTokenReason(t, authenticatorOf(t, test.keys...), test.token, test.reason)
		})
	}
}

func TestPublicKeysThatAreRefused(t *testing.T) {
	t.Parallel()
	modulus := func(bits uint) *big.Int {
		return new(big.Int).Add(new(big.Int).Lsh(big.NewInt(1), bits-1), big.NewInt(1))
	}
	p224 := newECPair(t, jwt.SigningMethodES256, elliptic.P224())
	for name, test := range map[string]struct {
		key  any
		want string
	}{
		"short RSA":     {&rsa.PublicKey{N: modulus(1024), E: 65537}, "an RSA key of 1024 bits: 2048 at least, 8192 at most"},
		"nearly RSA":    {&rsa.PublicKey{N: modulus(2047), E: 65537}, "an RSA key of 2047 bits"},
		"huge RSA":      {&rsa.PublicKey{N: modulus(16384), E: 65537}, "an RSA key of 16384 bits"},
		"exponent 1":    {&rsa.PublicKey{N: modulus(2048), E: 1}, "exponent 1: right is 65537"},
		"even exponent": {&rsa.PublicKey{N: modulus(2048), E: 65536}, "exponent 65536"},
		"P-224":         {p224.private.Public(), "an ECDSA key on P-224: right are P-256"},
		"short Ed25519": {ed25519.PublicKey("short"), "an Ed25519 key of 5 bytes"},
		"secret":        {[]byte("secret"), "a []uint8: right are RSA, ECDSA and Ed25519 keys"},
		"private key":   {newEdPair(t).private, "a ed25519.PrivateKey: right are"},
		"nothing":       {nil, "a <nil>: right are"},
	} {
		if _, err := NewPublicKey("a", test.key); !errors.Is(err, ErrPublicKey) || !strings.Contains(err.Error(), test.want) {
			t.Errorf("%s: %v, want %s", name, err, test.want)
		}
	}
}

// Keys are replaced in one go: what is gone is refused, what is new is let in, and a set that can't be leaves all as
// it was.
func TestSetKeys(t *testing.T) {
	t.Parallel()
	old, next := newEdPair(t), newEdPair(t)
	a := authenticatorOf(t, old.public(t, "1"))
	checkTokenReason(t, a, next.token(t, "2"), UnknownKey)
	if err := a.SetKeys(Keys{Public: []PublicKey{next.public(t, "2")}, Secret: testSecret}); err != nil {
		t.Fatal(err)
	}
	checkTokenReason(t, a, next.token(t, "2"), 0)
	checkTokenReason(t, a, old.token(t, "1"), UnknownKey)
	checkTokenReason(t, a, goodToken(t, "alice"), 0)
	for name, keys := range map[string]Keys{
		"none":     {},
		"too many": {Public: make([]PublicKey, MaxPublic+1)},
		"previous": {Secret: testSecret, Previous: make([][]byte, MaxPrevious+1)},
	} {
		if err := a.SetKeys(keys); err == nil {
			t.Errorf("%s: no error", name)
		}
	}
	checkTokenReason(t, a, next.token(t, "2"), 0)
	if err := a.SetKeys(Keys{Previous: [][]byte{testSecret}}); err != nil {
		t.Fatal(err)
	}
	checkTokenReason(t, a, goodToken(t, "alice"), 0)
	checkTokenReason(t, a, next.token(t, "2"), BadAlgorithm)
}

// A token of a key that is not here yet is put off while keys are on their way, and judged by them once they are
// there.
func TestUnknownKey(t *testing.T) {
	t.Parallel()
	one, two := newEdPair(t), newEdPair(t)
	asked, pending, arrives := 0, true, false
	var a *Authenticator
	a, err := New(Config{UnknownKey: func(name string) (time.Duration, bool) {
		asked++
		if arrives {
			if err := a.SetKeys(Keys{Public: []PublicKey{one.public(t, "a"), two.public(t, "b")}}); err != nil {
				t.Error(err)
			}
		}
		return 7 * time.Second, pending
	}})
	if err != nil {
		t.Fatalf("keys may come later: %v", err)
	}
	putOff := func(token string) {
		t.Helper()
		_, problem := decide(a, token)
		if problem == nil || problem.Reason != KeyPending || problem.Wait != 7*time.Second {
			t.Errorf("got %+v, want a wait of 7 s", problem)
		}
	}
	putOff(one.token(t, "a"))
	putOff(one.token(t, ""))
	checkTokenReason(t, a, unsigned(t, pairClaims), BadAlgorithm)
	checkTokenReason(t, a, goodToken(t, "alice"), BadAlgorithm)
	if asked != 2 {
		t.Errorf("asked %d times, want 2", asked)
	}
	if err := a.SetKeys(Keys{Public: []PublicKey{one.public(t, "a")}}); err != nil {
		t.Fatal(err)
	}
	checkTokenReason(t, a, one.token(t, "a"), 0)
	putOff(two.token(t, "b"))
	putOff(rsaPairs()[0].token(t, "b"))
	checkTokenReason(t, a, two.token(t, "a"), BadSignature)
	checkTokenReason(t, a, rsaPairs()[0].token(t, "a"), BadAlgorithm)
	if asked != 4 {
		t.Errorf("asked %d times, want 4", asked)
	}
	pending = false
	checkTokenReason(t, a, two.token(t, "b"), UnknownKey)
	arrives = true
	checkTokenReason(t, a, two.token(t, "b"), 0)
}

// A loop checks what a secret signed, and nothing that takes longer.
func TestOnlyPublicKeysAreForLater(t *testing.T) {
	t.Parallel()
	ed := newEdPair(t)
	both := newTest(t, Config{Keys: Keys{Public: []PublicKey{ed.public(t, "")}}})
	only := newTest(t, Config{})
	for name, test := range map[string]struct {
		a     *Authenticator
		token string
		later bool
	}{
		"secret":                 {both, goodToken(t, "alice"), false},
		"stranger's secret":      {both, signWith(t, "nobody's", pairClaims), false},
		"key pair":               {both, ed.token(t, ""), true},
		"key pair, secrets only": {only, ed.token(t, ""), false},
		"nonsense, secrets only": {only, "x", false},
	} {
		if _, _, _, later := test.a.Identify([]byte(test.token), testNow); later != test.later {
			t.Errorf("%s: later is %v", name, later)
		}
	}
}

// FuzzPublicToken changes the parts of tokens of key pairs: who gets in must have a token as it was signed.
func FuzzPublicToken(f *testing.F) {
	rsa, ec, ed := rsaPairs()[0], newECPair(f, jwt.SigningMethodES256, elliptic.P256()), newEdPair(f)
	a := authenticatorOf(f, rsa.public(f, "rsa"), ec.public(f, "ec"), ed.public(f, "ed"))
	good := map[string]bool{}
	for kid, p := range map[string]pair{"rsa": rsa, "ec": ec, "ed": ed} {
		token := p.token(f, kid)
		good[token[:strings.LastIndexByte(token, '.')]] = true
		f.Add(token)
		f.Add(p.sign(f, `{"alg":"HS256","kid":"`+kid+`"}`, pairClaims))
	}
	f.Fuzz(func(t *testing.T, token string) {
		id, problem := a.Check([]byte(token), testNow)
		text, _, _ := strings.Cut(token, "\x00")
		if dot := strings.LastIndexByte(text, '.'); dot >= 0 {
			text = text[:dot]
		}
		if problem == nil && !good[text] {
			t.Fatalf("%q lets %+v in", token, id)
		}
	})
}
