package auth

import (
	"crypto/elliptic"
	"errors"
	"slices"
	"strings"
	"testing"
	"time"

	"github.com/golang-jwt/jwt/v5"
)

// signer makes good tokens of one algorithm.
type signer struct {
	alg  string
	key  any
	keys Keys // what checks them
}

func signers(t *testing.T) (all []signer) {
	t.Helper()
	for _, alg := range []string{"HS256", "HS384", "HS512"} {
		all = append(all, signer{alg, testSecret, Keys{Secret: testSecret}})
	}
	rsa := rsaPairs()[0]
	for _, alg := range []string{"RS256", "RS384", "RS512", "PS256", "PS384", "PS512"} {
		all = append(all, signer{alg, rsa.private, Keys{Public: []PublicKey{rsa.public(t, "")}}})
	}
	for alg, curve := range map[string]elliptic.Curve{"ES256": elliptic.P256(), "ES384": elliptic.P384(), "ES512": elliptic.P521()} {
		pair := newECPair(t, jwt.GetSigningMethod(alg), curve)
		all = append(all, signer{alg, pair.private, Keys{Public: []PublicKey{pair.public(t, "")}}})
	}
	ed := newEdPair(t)
	return append(all, signer{"EdDSA", ed.private, Keys{Public: []PublicKey{ed.public(t, "")}}})
}

func (s signer) token(t testing.TB, user string) string {
	t.Helper()
	claims := jwt.MapClaims{"sub": user, "exp": testNow.Add(time.Hour).Unix()}
	token, err := jwt.NewWithClaims(jwt.GetSigningMethod(s.alg), claims).SignedString(s.key)
	if err != nil {
		t.Fatal(err)
	}
	return token
}

// Each algorithm is good where it is allowed, with a key of its kind, and nowhere else.
func TestAlgorithms(t *testing.T) {
	t.Parallel()
	all := signers(t)
	if len(all) != len(KnownAlgorithms()) {
		t.Fatalf("%d signers for %d algorithms", len(all), len(KnownAlgorithms()))
	}
	for _, s := range all {
		good := s.token(t, "alice")
		for _, list := range [][]string{nil, KnownAlgorithms(), {s.alg}, slices.DeleteFunc(KnownAlgorithms(), func(a string) bool { return a == s.alg })} {
			a, err := New(Config{Algorithms: list, Keys: Keys{Secret: s.keys.Secret, Public: s.keys.Public}, UnknownKey: func(string) (time.Duration, bool) { return 0, false }})
			if err != nil {
				t.Fatal(err)
			}
			allowed := list
			if list == nil {
				allowed = DefaultAlgorithms()
			}
			var want Reason
			if !slices.Contains(allowed, s.alg) {
				want = BadAlgorithm
			}
			checkTokenReason(t, a, good, want)
			if want != 0 {
				continue
			}
			// Tokens that others signed, or that were changed, are not.
			for _, other := range all {
				if other.alg != s.alg && slices.Contains(allowed, other.alg) {
					_, problem := decide(a, other.token(t, "mallory"))
					sameKey := other.alg[0] == s.alg[0] && s.alg[0] != 'E' || other.alg[1:2] == "S" && s.alg[1:2] == "S" && strings.ContainsAny(other.alg[:1], "RP") && strings.ContainsAny(s.alg[:1], "RP")
					if (problem == nil) != sameKey {
						t.Errorf("%s of a a for %s with %v: %+v", other.alg, s.alg, list, problem)
					}
				}
			}
			cut := strings.LastIndexByte(good, '.')
			checkTokenReason(t, a, good[:cut]+"."+strings.Repeat("A", len(good)-cut-1), BadSignature)
		}
	}
}

// A key is good for what it says alone.
func TestOnly(t *testing.T) {
	t.Parallel()
	rsa := rsaPairs()[0]
	key, ok := rsa.public(t, "a").Only("PS256", "ES256")
	if !ok || !slices.Equal(key.Algorithms(), []string{"PS256"}) || key.ID() != "a" {
		t.Fatalf("%v, %v", key.Algorithms(), ok)
	}
	if _, ok := key.Only("RS256"); ok {
		t.Error("a key for PS256 is one for RS256")
	}
	a, err := New(Config{Algorithms: KnownAlgorithms(), Keys: Keys{Public: []PublicKey{key}}})
	if err != nil {
		t.Fatal(err)
	}
	for alg, want := range map[string]Reason{"PS256": 0, "RS256": BadAlgorithm, "PS512": BadAlgorithm} {
		checkTokenReason(t, a, signer{alg: alg, key: rsa.private}.token(t, "alice"), want)
	}
	if key.Equal(rsa.public(t, "a")) {
		t.Error("keys for other algorithms are equal")
	}
}

func TestUnknownAlgorithms(t *testing.T) {
	t.Parallel()
	for _, list := range [][]string{{"none"}, {"HS256", "hs256"}, {""}, {"ES256K"}} {
		if _, err := New(Config{Algorithms: list, Keys: Keys{Secret: testSecret}}); !errors.Is(err, ErrAlgorithm) {
			t.Errorf("%q: %v", list, err)
		}
	}
	if _, err := New(Config{Algorithms: []string{"RS256"}, Keys: Keys{Secret: testSecret}}); err != ErrNoKeys {
		t.Errorf("a secret where none counts: %v", err)
	}
}

// The answer says what would be right.
func TestAlgorithmsInTheAnswer(t *testing.T) {
	t.Parallel()
	a, err := New(Config{Algorithms: []string{"HS512", "RS256", "PS256"}, Keys: Keys{Secret: testSecret, Public: []PublicKey{rsaPairs()[0].public(t, "")}}})
	if err != nil {
		t.Fatal(err)
	}
	_, problem := decide(a, goodToken(t, "alice"))
	if problem == nil || !strings.HasSuffix(problem.Text, "right is HS512 or RS256 or PS256") {
		t.Errorf("%+v", problem)
	}
}

// The length of the signature and alg have to agree.
func TestSecretTokens(t *testing.T) {
	t.Parallel()
	a, err := New(Config{Algorithms: []string{"HS256", "HS384", "HS512"}, Keys: Keys{Secret: []byte("new"), Previous: [][]byte{testSecret}}})
	if err != nil {
		t.Fatal(err)
	}
	for _, s := range signers(t)[:3] {
		checkTokenReason(t, a, s.token(t, "alice"), 0)
		checkTokenReason(t, a, signer{alg: s.alg, key: []byte("another")}.token(t, "alice"), BadSignature)
	}
	checkTokenReason(t, a, signJSON(t, `{"alg":"HS512"}`, pairClaims), BadSignature)
}

// A key that the issuer publishes and that can't be used is named to whoever comes with its token.
func TestLeftOutKeys(t *testing.T) {
	t.Parallel()
	used, left := newEdPair(t), newEdPair(t)
	var asked []string
	a, err := New(Config{UnknownKey: func(name string) (time.Duration, bool) { asked = append(asked, name); return 0, true }})
	if err != nil {
		t.Fatal(err)
	}
	out := []LeftOut{{"left", "an \"RSA\" key of 1024 bits\r\nX: y ü"}, {"used", "its other half"}}
	for _, public := range [][]PublicKey{nil, {used.public(t, "used")}} {
		if err := a.SetKeys(Keys{Public: public, LeftOut: out}); err != nil {
			t.Fatal(err)
		}
		_, problem := decide(a, left.token(t, "left"))
		if problem == nil || problem.Reason != UnknownKey || !strings.HasSuffix(problem.Text, "can't be used here: an 'RSA' key of 1024 bits??X: y ?") {
			t.Errorf("%+v", problem)
		}
		if len(asked) == 0 || asked[len(asked)-1] != "EdDSA left" {
			t.Errorf("asked for %q: it may be mended", asked)
		}
	}
	checkTokenReason(t, a, used.token(t, "used"), 0)
}
