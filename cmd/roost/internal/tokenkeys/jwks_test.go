package tokenkeys

import (
	"crypto/elliptic"
	"encoding/base64"
	"encoding/json"
	"errors"
	"math/big"
	"strings"
	"testing"

	"roost/wsproto/auth"
)

func TestReadJWKS(t *testing.T) {
	t.Parallel()
	rsaKey, ec, ed := newRSA().Public(), newEC(t, elliptic.P256()).Public(), newEd(t)
	public := ed.Public()
	p384, p521 := newEC(t, elliptic.P384()).Public(), newEC(t, elliptic.P521()).Public()
	all, defaults := auth.KnownAlgorithms(), []string(nil)
	const nothing = "" // it is not meant for tokens, and nothing is said of it
	for name, test := range map[string]struct {
		key        string
		algorithms []string // nil: the defaults
		want       string   // algorithms and kid of the key that is read; empty: there is none
		because    string
	}{
		"RSA":                   {jwk(t, rsaKey, `,"kid":"a","use":"sig","alg":"RS256"`), defaults, "RS256 a", ""},
		"EC":                    {jwk(t, ec, `,"kid":"b","key_ops":["verify"]`), defaults, "ES256 b", ""},
		"Ed25519":               {jwk(t, public, `,"kid":"c","alg":"EdDSA","more":{"than":"that"}`), defaults, "EdDSA c", ""},
		"no kid":                {jwk(t, public, ``), defaults, "EdDSA ", ""},
		"no alg":                {jwk(t, rsaKey, `,"kid":"a"`), all, "RS256/RS384/RS512/PS256/PS384/PS512 a", ""},
		"P-384":                 {jwk(t, p384, `,"alg":"ES384"`), all, "ES384 ", ""},
		"P-521":                 {jwk(t, p521, ``), all, "ES512 ", ""},
		"for PS256":             {jwk(t, rsaKey, `,"alg":"PS256"`), all, "PS256 ", ""},
		"use in capitals":       {jwk(t, public, `,"use":"SIG"`), defaults, "EdDSA ", ""},
		"one operation":         {jwk(t, public, `,"key_ops":"verify"`), defaults, "EdDSA ", ""},
		"odd operations":        {jwk(t, public, `,"key_ops":7`), defaults, "EdDSA ", ""},
		"members that are null": {jwk(t, public, `,"kid":null,"use":null,"alg":null,"key_ops":null`), defaults, "EdDSA ", ""},

		// Members that widely used issuers publish beside the key, and that are of no use here.
		"a wrong x5t":                  {jwk(t, rsaKey, `,"kid":"a","x5t":"NjVBRjY5MDlCMUIwNzU4RTA2QzZFMDQ4QzQ2MDAyQjVDNjk1RTM2Qg"`), defaults, "RS256 a", ""},
		"a wrong x5t#S256":             {jwk(t, rsaKey, `,"kid":"a","x5t#S256":"short"`), defaults, "RS256 a", ""},
		"a certificate that is none":   {jwk(t, rsaKey, `,"kid":"a","x5c":["MIIC"]`), defaults, "RS256 a", ""},
		"a certificate of another key": {jwk(t, rsaKey, `,"kid":"a","x5c":[],"x5u":"not an URL"`), defaults, "RS256 a", ""},
		"x5c as a string":              {jwk(t, rsaKey, `,"kid":"a","x5c":"MIIC","x5t":5,"x5u":["a"]`), defaults, "RS256 a", ""},
		"an exp, an iat":               {jwk(t, public, `,"exp":"soon","iat":1.5,"ext":true,"revoked":{}`), defaults, "EdDSA ", ""},

		"for encryption":   {jwk(t, rsaKey, `,"kid":"a","use":"enc"`), defaults, "", nothing},
		"other operations": {jwk(t, rsaKey, `,"key_ops":["encrypt","wrapKey"]`), defaults, "", nothing},
		"for RSA-OAEP":     {jwk(t, rsaKey, `,"alg":"RSA-OAEP"`), defaults, "", nothing},
		"for ECDH":         {jwk(t, ec, `,"alg":"ECDH-ES+A128KW"`), defaults, "", nothing},
		"for A128KW":       {jwk(t, rsaKey, `,"alg":"A128KW"`), defaults, "", nothing},
		"for dir":          {jwk(t, rsaKey, `,"alg":"dir"`), defaults, "", nothing},
		"X25519":           {`{"kty":"OKP","crv":"X25519","x":"AAAA"}`, defaults, "", nothing},

		"unknown use":         {jwk(t, rsaKey, `,"use":"both"`), defaults, "", `its use is "both", not sig`},
		"for RS512":           {jwk(t, rsaKey, `,"alg":"RS512"`), defaults, "", `it is for RS512, and JWT_ALGORITHMS has only HS256, RS256, ES256, EdDSA`},
		"P-384, not allowed":  {jwk(t, p384, ``), defaults, "", "it is for ES384, and JWT_ALGORITHMS has only"},
		"RSA for HS256":       {jwk(t, rsaKey, `,"alg":"HS256"`), all, "", `its alg is "HS256", and such a key is for RS256, RS384, RS512, PS256, PS384, PS512`},
		"RSA for ES256":       {jwk(t, rsaKey, `,"alg":"ES256"`), all, "", `its alg is "ES256"`},
		"secret":              {`{"kty":"oct","k":"c2VjcmV0LXNlY3JldC1zZWNyZXQtc2VjcmV0LXNlY3JldA","alg":"HS256","kid":"s"}`, defaults, "", "is a secret, which nobody may publish"},
		"private":             {jwk(t, public, `,"d":"`+b64(ed.Seed())+`"`), defaults, "", "has its private half"},
		"not on the curve":    {`{"kty":"EC","crv":"P-256","x":"AAAA","y":"AAAA"}`, defaults, "", "its point is not on P-256"},
		"at infinity":         {`{"kty":"EC","crv":"P-256","x":"AA","y":"AA"}`, defaults, "", "its point is not on P-256"},
		"too long":            {`{"kty":"EC","crv":"P-256","x":"` + b64([]byte(strings.Repeat("x", 33))) + `","y":"AAAA"}`, defaults, "", "its x has 33 bytes: 32 at most"},
		"another curve":       {`{"kty":"OKP","crv":"Ed448","x":"AAAA"}`, defaults, "", "Ed448"},
		"bitcoin's curve":     {`{"kty":"EC","crv":"secp256k1","x":"AAAA","y":"AAAA"}`, defaults, "", "secp256k1"},
		"another kind":        {`{"kty":"AKP"}`, defaults, "", "AKP"},
		"no kind":             {`{"kid":"a"}`, defaults, "", "no kty"},
		"short RSA":           {`{"kty":"RSA","e":"AQAB","n":"` + b64([]byte(strings.Repeat("x", 128))) + `"}`, defaults, "", "2048 at least"},
		"a huge exponent":     {`{"kty":"RSA","e":"` + b64([]byte(strings.Repeat("x", 9))) + `","n":"AAAA"}`, defaults, "", "exponent"},
		"half of an RSA key":  {`{"kty":"RSA","e":"AQAB"}`, defaults, "", "it has no n"},
		"short Ed25519":       {`{"kty":"OKP","crv":"Ed25519","x":"AAAA"}`, defaults, "", "an Ed25519 key of 3 bytes"},
		"no base64":           {`{"kty":"OKP","crv":"Ed25519","x":"*"}`, defaults, "", "its x is no base64url"},
		"kid that is no text": {jwk(t, public, `,"kid":5`), defaults, "", "its kid is no string"},
		"use that is no text": {jwk(t, public, `,"use":["sig"]`), defaults, "", "its use is no string"},
		"alg that is no text": {jwk(t, public, `,"alg":{}`), defaults, "", "its alg is no string"},
		"kty that is no text": {`{"kty":7}`, defaults, "", "its kty is no string"},
		"no exponent":         {`{"kty":"RSA","n":"AAAA"}`, defaults, "", "it has no e"},
		"x that is no text":   {`{"kty":"OKP","crv":"Ed25519","x":1}`, defaults, "", "its x is no string"},
		"no y":                {`{"kty":"EC","crv":"P-256","x":"AAAA"}`, defaults, "", "it has no y"},
		"EC, crv is no text":  {`{"kty":"EC","crv":256}`, defaults, "", "its crv is no string"},
		"OKP, crv is no text": {`{"kty":"OKP","crv":[]}`, defaults, "", "its crv is no string"},
		"no object":           {`"key"`, defaults, "", "not a JWK"},
		"null":                {`null`, defaults, "", "not a JWK"},
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			algorithms := test.algorithms
			if algorithms == nil {
				algorithms = auth.DefaultAlgorithms()
			}
			// One that can't be used does no harm to the next.
			keys, leftOut, err := readJWKS([]byte(`{"keys":[`+test.key+`,`+jwk(t, public, `,"kid":"last"`)+`]}`), algorithms)
			if err != nil || len(keys) == 0 {
				t.Fatalf("%v, %v", keys, err)
			}
			if last := keys[len(keys)-1]; last.ID() != "last" {
				t.Errorf("the last is %+v", last)
			}
			got, said := "", ""
			if len(keys) == 2 {
				got = strings.Join(keys[0].Algorithms(), "/") + " " + keys[0].ID()
			}
			if len(leftOut) > 0 {
				said = leftOut[0].Why
			}
			if got != test.want || (said == "") != (test.because == "") || !strings.Contains(said, test.because) {
				t.Errorf("read %q, left out %q; want %q, %q", got, said, test.want, test.because)
			}
		})
	}
}

// Numbers as libraries write them, which is not always as RFC 7518 has it.
func TestNumbersAsIssuersWriteThem(t *testing.T) {
	t.Parallel()
	rsaKey, ec := newRSA().Public(), newEC(t, elliptic.P256()).Public()
	for len(decoded(t, jwk(t, ec, ""), "x")) == 0 || decoded(t, jwk(t, ec, ""), "x")[0] != 0 { // one that begins with a zero
		ec = newEC(t, elliptic.P256()).Public()
	}
	for name, write := range map[string]func([]byte) string{
		"padded":                 func(b []byte) string { return base64.URLEncoding.EncodeToString(b) },
		"the other alphabet":     func(b []byte) string { return base64.StdEncoding.EncodeToString(b) },
		"over several lines":     func(b []byte) string { s := b64(b); return s[:len(s)/2] + "\n" + s[len(s)/2:] },
		"with a zero in front":   func(b []byte) string { return b64(append([]byte{0}, b...)) },
		"without zeros in front": func(b []byte) string { return b64(new(big.Int).SetBytes(b).Bytes()) },
	} {
		for _, key := range []struct {
			jwk     string
			members []string
		}{{jwk(t, rsaKey, ""), []string{"n", "e"}}, {jwk(t, ec, ""), []string{"x", "y"}}} {
			var members map[string]string
			if err := json.Unmarshal([]byte(key.jwk), &members); err != nil {
				t.Fatal(err)
			}
			for _, m := range key.members {
				members[m] = write(decoded(t, key.jwk, m))
			}
			text, err := json.Marshal(members)
			if err != nil {
				t.Fatal(err)
			}
			want, _, err := readJWK(json.RawMessage(key.jwk), auth.KnownAlgorithms())
			if err != nil {
				t.Fatal(err)
			}
			if got, _, err := readJWK(text, auth.KnownAlgorithms()); err != nil || !got.Equal(want) {
				t.Errorf("%s: %s is read as %+v, %v", name, text, got, err)
			}
		}
	}
}

func decoded(t *testing.T, key, member string) []byte {
	t.Helper()
	var members map[string]string
	if err := json.Unmarshal([]byte(key), &members); err != nil {
		t.Fatal(err)
	}
	value, err := base64.RawURLEncoding.DecodeString(members[member])
	if err != nil {
		t.Fatal(err)
	}
	return value
}

// The forms in which issuers publish their keys.
func TestDocuments(t *testing.T) {
	t.Parallel()
	ed := newEd(t)
	a, b := jwk(t, ed.Public(), `,"kid":"a"`), jwk(t, newEd(t).Public(), `,"kid":"b"`)
	certificate, err := json.Marshal(certificatePEM(t, newRSA()))
	if err != nil {
		t.Fatal(err)
	}
	for name, test := range map[string]struct {
		document string
		want     string // kids
	}{
		"a JWKS":                      {`{"keys":[` + a + `,` + b + `]}`, "a b"},
		"with more members":           {`{"issuer":"x","keys":[` + a + `]}`, "a"},
		"with a byte order mark":      {"\ufeff" + `{"keys":[` + a + `]}`, "a"},
		"a list":                      {`[` + a + `,` + b + `]`, "a b"},
		"a key":                       {a, "a"},
		"certificates by their names": {`{"c":` + string(certificate) + `,"d":` + string(certificate) + `}`, "c d"},
		"one that is broken":          {`{"c":` + string(certificate) + `,"d":"-----BEGIN CERTIFICATE-----"}`, "c"},
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			keys, _, err := readJWKS([]byte(test.document), auth.DefaultAlgorithms())
			var got []string
			for _, k := range keys {
				got = append(got, k.ID())
			}
			if err != nil || strings.Join(got, " ") != test.want {
				t.Errorf("%q, %v, want %s", got, err, test.want)
			}
		})
	}
}

// Certificates that can't be used are left out, and the others are read.
func TestCertificatesLeftOut(t *testing.T) {
	t.Parallel()
	good := certificatePEM(t, newEd(t))
	for name, test := range map[string]struct{ text, want string }{
		"cut off":        {"-----BEGIN CERTIFICATE-----", "it is no PEM"},
		"something else": {block("CERTIFICATE REQUEST", nil, nil), `a "CERTIFICATE REQUEST"`},
		"a private key":  {block("PRIVATE KEY", nil, nil), "a private key"},
		"a P-224 key":    {certificatePEM(t, newEC(t, elliptic.P224())), "P-224"},
		"not allowed":    {certificatePEM(t, newEC(t, elliptic.P384())), "it is for ES384, and JWT_ALGORITHMS has only"},
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			document, err := json.Marshal(map[string]string{"good": good, "other": test.text})
			if err != nil {
				t.Fatal(err)
			}
			keys, leftOut, err := readJWKS(document, auth.DefaultAlgorithms())
			if err != nil || len(keys) != 1 || keys[0].ID() != "good" {
				t.Fatalf("%v, %v", keys, err)
			}
			if len(leftOut) != 1 || leftOut[0].ID != "other" || !strings.Contains(leftOut[0].Why, test.want) {
				t.Errorf("left out %+v, want other: %s", leftOut, test.want)
			}
		})
	}
}

func TestBadJWKS(t *testing.T) {
	t.Parallel()
	for document, want := range map[string]string{
		``: "", `null`: "", `[]`: "", `{}`: "", `{"keys":null}`: "", `{"keys":{}}`: "", `{"keys":[`: "", `{"keys":[]}x`: "", `{"a":"b"}`: "", `{"a":1}`: "",
		" <html>": "a page of HTML",
		`{"issuer":"https://id.example","jwks_uri":"https://id.example/jwks"}`: `JWT_JWKS_URL has to be its jwks_uri, "https://id.example/jwks"`,
	} {
		if keys, _, err := readJWKS([]byte(document), auth.DefaultAlgorithms()); !errors.Is(err, errNoJWKS) || !strings.Contains(err.Error(), want) {
			t.Errorf("%q: %v, %v", document, keys, err)
		}
	}
	if keys, leftOut, err := readJWKS([]byte(`{"keys":[]}`), auth.DefaultAlgorithms()); err != nil || len(keys)+len(leftOut) != 0 {
		t.Errorf("an empty one: %v, %v, %v", keys, leftOut, err)
	}
	one := jwk(t, newEd(t).Public(), "")
	if _, _, err := readJWKS([]byte(`{"keys":[`+strings.Repeat(one+",", 64)+one+`]}`), auth.DefaultAlgorithms()); err == nil || err.Error() != "65 keys: 64 at most" {
		t.Errorf("too many: %v", err)
	}
	_, leftOut, err := readJWKS([]byte(`{"keys":[`+strings.Repeat(`{},`, 99)+`{}]}`), auth.DefaultAlgorithms())
	if err != nil || len(leftOut) != 100 {
		t.Errorf("%d are left out, %v", len(leftOut), err)
	}
	if lines := told(leftOut); len(lines) != maxLeftOut+1 || lines[maxLeftOut] != "and 90 more" {
		t.Errorf("the log says %q", lines)
	}
}

// Any bytes from an issuer are read or refused, and a key that is read can be used.
func FuzzReadJWKS(f *testing.F) {
	f.Add([]byte(`{"keys":[{"kty":"EC","crv":"P-256","x":"AAAA","y":"AAAA","kid":"a"}]}`))
	f.Add([]byte(`[{"kty":"RSA","n":"AAAA","e":"AQAB"}]`))
	f.Add([]byte("\xff\xfe{\x00}\x00"))
	f.Fuzz(func(t *testing.T, document []byte) {
		keys, _, err := readJWKS(document, auth.KnownAlgorithms())
		if err != nil && len(keys) > 0 {
			t.Error("keys and an error")
		}
		for _, key := range keys {
			if len(key.Algorithms()) == 0 || !key.Equal(key) {
				t.Errorf("%+v is good for nothing", key)
			}
		}
	})
}
