package tokenkeys

import (
	"crypto/ecdsa"
	"crypto/ed25519"
	"crypto/elliptic"
	"crypto/rsa"
	"encoding/base64"
	"encoding/json"
	"errors"
	"fmt"
	"math"
	"math/big"
	"slices"
	"strings"

	"roost/wsproto/auth"
)

// members are one key of a JWKS (RFC 7517 section 4), with those of its members that matter here. The others are not looked
// at: issuers in wide use publish certificates and thumbprints (x5c, x5t, x5u) that are wrong, and mean the key all the
// same.
type members map[string]json.RawMessage

// notForTokens is an error about a key that is not meant for signatures: an issuer has such keys for others.
type notForTokens struct{ error }

// readJWK reads one key, for those of its algorithms that are listed. The error says why it can't be used; it is a
// notForTokens where that is as it should be. It prints nothing of the key.
func readJWK(raw json.RawMessage, algorithms []string) (key auth.PublicKey, kid string, err error) {
	var k members
	if json.Unmarshal(raw, &k) != nil || k == nil {
		return key, "", errors.New("not a JWK, which is an object")
	}
	if kid, err = k.text("kid"); err != nil {
		return key, "", err
	}
	alg, err := k.text("alg")
	if err := errors.Join(err, k.purpose(alg)); err != nil {
		return key, kid, err
	}
	public, err := k.public()
	if err != nil {
		return key, kid, err
	}
	if key, err = auth.NewPublicKey(kid, public); err != nil {
		return key, kid, err
	}
	if alg != "" {
		of := key.Algorithms()
		var ok bool
		if key, ok = key.Only(alg); !ok {
			return key, kid, fmt.Errorf("its alg is %.20q, and such a key is for %s", alg, strings.Join(of, ", "))
		}
	}
	key, err = allowed(key, algorithms)
	return key, kid, err
}

// allowed returns a key for those of its algorithms that are listed.
func allowed(key auth.PublicKey, algorithms []string) (auth.PublicKey, error) {
	only, ok := key.Only(algorithms...)
	if !ok {
		return key, fmt.Errorf("it is for %s, and JWT_ALGORITHMS has only %s", strings.Join(key.Algorithms(), ", "), strings.Join(algorithms, ", "))
	}
	return only, nil
}

// text is a member that has to be a string, "" where it is missing.
func (k members) text(name string) (text string, err error) {
	raw, there := k[name]
	if !there || string(raw) == "null" {
		return "", nil
	}
	if json.Unmarshal(raw, &text) != nil {
		return "", fmt.Errorf("its %s is no string", name)
	}
	return text, nil
}

// purpose says that a key is for something else than to check signatures.
func (k members) purpose(alg string) error {
	use, err := k.text("use")
	switch {
	case err != nil:
		return err
	case strings.EqualFold(use, "enc"):
		return notForTokens{errors.New("it is for encryption")}
	case use != "" && !strings.EqualFold(use, "sig"):
		return fmt.Errorf("its use is %.20q, not sig", use)
	case encryption(alg):
		return notForTokens{fmt.Errorf("its alg is %.20q, which is for encryption", alg)}
	}
	if ops := k.operations(); len(ops) > 0 && !slices.Contains(ops, "verify") {
		return notForTokens{errors.New("its key_ops have no verify")}
	}
	return nil
}

// operations are key_ops: a list of strings, and one alone where an issuer writes it so.
func (k members) operations() (all []string) {
	raw := k["key_ops"]
	var one string
	if json.Unmarshal(raw, &one) == nil && one != "" {
		return []string{one}
	}
	_ = json.Unmarshal(raw, &all) // what is neither says nothing
	return all
}

// encryption reports whether an algorithm is one of RFC 7518 section 4.1.
func encryption(alg string) bool {
	if alg == "dir" || len(alg) > 1 && alg[0] == 'A' && '0' <= alg[1] && alg[1] <= '9' {
		return true
	}
	return slices.ContainsFunc([]string{"RSA-OAEP", "RSA1_5", "ECDH-ES", "PBES2-"}, func(p string) bool { return strings.HasPrefix(alg, p) })
}

// public makes the key itself.
func (k members) public() (key any, err error) {
	kty, err := k.text("kty")
	if err != nil {
		return nil, err
	}
	for _, secret := range []string{"d", "k"} {
		if _, there := k[secret]; there {
			return nil, errors.New("it has its private half, or is a secret, which nobody may publish")
		}
	}
	switch strings.ToUpper(kty) {
	case "RSA":
		return k.rsa()
	case "EC":
		return k.ecdsa()
	case "OKP":
		return k.ed25519()
	case "":
		return nil, errors.New("it has no kty")
	}
	return nil, fmt.Errorf("its kty is %.20q: right are RSA, EC and OKP", kty)
}

// rsa is RFC 7518 section 6.3.1.
func (k members) rsa() (*rsa.PublicKey, error) {
	n, err := k.bytes("n")
	if err != nil {
		return nil, err
	}
	e, err := k.bytes("e")
	if err != nil {
		return nil, err
	}
	exponent := new(big.Int).SetBytes(e)
	if !exponent.IsInt64() || exponent.Int64() > math.MaxInt32 {
		return nil, errors.New("its exponent is too large: right is 65537")
	}
	return &rsa.PublicKey{N: new(big.Int).SetBytes(n), E: int(exponent.Int64())}, nil
}

// ecdsa is RFC 7518 section 6.2.1.
func (k members) ecdsa() (*ecdsa.PublicKey, error) {
	curve, err := k.curve()
	if err != nil {
		return nil, err
	}
	size := (curve.Params().BitSize + 7) / 8
	point := make([]byte, 1+2*size)
	point[0] = 4 // uncompressed: SEC 1, section 2.3.3
	for i, name := range []string{"x", "y"} {
		coordinate, err := k.bytes(name)
		if err != nil {
			return nil, err
		}
		// As many bytes as the curve has (section 6.2.1.2), but some issuers write a number without its zeros, or with
		// one more.
		number := new(big.Int).SetBytes(coordinate)
		if number.BitLen() > 8*size {
			return nil, fmt.Errorf("its %s has %d bytes: %d at most", name, len(coordinate), size)
		}
		number.FillBytes(point[1+i*size : 1+(i+1)*size])
	}
	key, err := ecdsa.ParseUncompressedPublicKey(curve, point)
	if err != nil {
		return nil, fmt.Errorf("its point is not on %s", curve.Params().Name)
	}
	return key, nil
}

func (k members) curve() (elliptic.Curve, error) {
	name, err := k.text("crv")
	if err != nil {
		return nil, err
	}
	switch name {
	case "P-256":
		return elliptic.P256(), nil
	case "P-384":
		return elliptic.P384(), nil
	case "P-521":
		return elliptic.P521(), nil
	}
	return nil, fmt.Errorf("its crv is %.20q: right are P-256, P-384 and P-521", name)
}

// ed25519 is RFC 8037 section 2.
func (k members) ed25519() (ed25519.PublicKey, error) {
	name, err := k.text("crv")
	switch {
	case err != nil:
		return nil, err
	case name == "X25519" || name == "X448":
		return nil, notForTokens{fmt.Errorf("its crv is %s, which is for encryption", name)}
	case name != "Ed25519":
		return nil, fmt.Errorf("its crv is %.20q: right is Ed25519", name)
	}
	return k.bytes("x")
}

// bytes is a member that has to be there, in base64url (RFC 7515 section 2). Padding, the other alphabet and line feeds,
// which some libraries write, are read too: none of them can mean something else.
func (k members) bytes(name string) ([]byte, error) {
	text, err := k.text(name)
	switch {
	case err != nil:
		return nil, err
	case text == "":
		return nil, fmt.Errorf("it has no %s", name)
	}
	text = strings.NewReplacer("+", "-", "/", "_", "=", "", "\n", "", "\r", "", " ", "").Replace(text)
	value, err := base64.RawURLEncoding.DecodeString(text)
	if err != nil {
		return nil, fmt.Errorf("its %s is no base64url", name)
	}
	return value, nil
}
