package tokenkeys

import (
	"crypto/elliptic"
	"errors"
	"strings"
	"testing"
)

func TestReadJWKS(t *testing.T) {
	t.Parallel()
	rsaKey, ec, ed := newRSA().Public(), newEC(t, elliptic.P256()).Public(), newEd(t)
	public := ed.Public()
	for name, test := range map[string]struct {
		key     string
		want    string // algorithm and kid of the key that is read; empty: it is left out
		because string
	}{
		"RSA":                 {jwk(t, rsaKey, `,"kid":"a","use":"sig","alg":"RS256"`), "RS256 a", ""},
		"EC":                  {jwk(t, ec, `,"kid":"b","key_ops":["verify"]`), "ES256 b", ""},
		"Ed25519":             {jwk(t, public, `,"kid":"c","alg":"EdDSA","more":{"than":"that"}`), "EdDSA c", ""},
		"no kid":              {jwk(t, public, ``), "EdDSA ", ""},
		"for encryption":      {jwk(t, rsaKey, `,"kid":"a","use":"enc"`), "", `its use is "enc", not sig`},
		"unknown use":         {jwk(t, rsaKey, `,"use":"both"`), "", `its use is "both"`},
		"other operations":    {jwk(t, rsaKey, `,"key_ops":["encrypt","wrapKey"]`), "", "no verify"},
		"for RS512":           {jwk(t, rsaKey, `,"alg":"RS512"`), "", `its alg is "RS512", not RS256`},
		"for PS256":           {jwk(t, rsaKey, `,"alg":"PS256"`), "", `its alg is "PS256", not RS256`},
		"RSA for HS256":       {jwk(t, rsaKey, `,"alg":"HS256"`), "", `its alg is "HS256", not RS256`},
		"for RSA-OAEP":        {jwk(t, rsaKey, `,"alg":"RSA-OAEP"`), "", `its alg is`},
		"secret":              {`{"kty":"oct","k":"c2VjcmV0LXNlY3JldC1zZWNyZXQtc2VjcmV0LXNlY3JldA","alg":"HS256","kid":"s"}`, "", "a secret, which nobody may publish"},
		"private":             {jwk(t, public, `,"d":"`+b64(ed.Seed())+`"`), "", "a private key, which nobody may publish"},
		"P-384":               {jwk(t, newEC(t, elliptic.P384()).Public(), `,"alg":"ES384"`), "", "P-384: ES256 needs P-256"},
		"not on the curve":    {`{"kty":"EC","crv":"P-256","x":"AAAA","y":"AAAA"}`, "", "not on the specified curve"},
		"another curve":       {`{"kty":"OKP","crv":"Ed448","x":"AAAA"}`, "", "Ed448"},
		"another kind":        {`{"kty":"new"}`, "", "new"},
		"short RSA":           {`{"kty":"RSA","e":"AQAB","n":"` + b64([]byte(strings.Repeat("x", 128))) + `"}`, "", "2048 at least"},
		"half of an RSA key":  {`{"kty":"RSA","e":"AQAB"}`, "", `"n"`},
		"no base64":           {`{"kty":"OKP","crv":"Ed25519","x":"*"}`, "", "base64"},
		"kid that is no text": {jwk(t, public, `,"kid":5`), "", "not a JWK"},
		"no object":           {`"key"`, "", "not a JWK"},
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			// One that can't be used does no harm to the next.
			keys, skipped, err := readJWKS([]byte(`{"keys":[` + test.key + `,` + jwk(t, public, `,"kid":"last"`) + `]}`))
			if err != nil || len(keys) == 0 {
				t.Fatalf("%v, %v", keys, err)
			}
			last := keys[len(keys)-1]
			if last.ID() != "last" {
				t.Errorf("the last is %+v", last)
			}
			switch {
			case test.want == "" && (len(keys) != 1 || len(skipped) != 1 || !strings.Contains(skipped[0], test.because)):
				t.Errorf("%d keys, left out %q, want %s", len(keys), skipped, test.because)
			case test.want != "" && (len(skipped) != 0 || len(keys) != 2 || keys[0].Algorithm()+" "+keys[0].ID() != test.want):
				t.Errorf("%+v, left out %q, want %s", keys, skipped, test.want)
			}
		})
	}
}

func TestBadJWKS(t *testing.T) {
	t.Parallel()
	for _, document := range []string{``, `null`, `[]`, `{}`, `{"keys":null}`, `{"keys":{}}`, `{"keys":[`, `<html>`, `{"keys":[]}x`} {
		if keys, _, err := readJWKS([]byte(document)); !errors.Is(err, errNoJWKS) {
			t.Errorf("%q: %v, %v", document, keys, err)
		}
	}
	if keys, skipped, err := readJWKS([]byte(`{"keys":[]}`)); err != nil || len(keys)+len(skipped) != 0 {
		t.Errorf("an empty one: %v, %v, %v", keys, skipped, err)
	}
	one := jwk(t, newEd(t).Public(), "")
	if _, _, err := readJWKS([]byte(`{"keys":[` + strings.Repeat(one+",", 64) + one + `]}`)); err == nil || err.Error() != "65 keys: 64 at most" {
		t.Errorf("too many: %v", err)
	}
	if _, skipped, err := readJWKS([]byte(`{"keys":[` + strings.Repeat(`{},`, 99) + `{}]}`)); err != nil || len(skipped) != maxSkipped {
		t.Errorf("%d are told of, %v", len(skipped), err)
	}
}
