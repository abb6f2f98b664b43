package tokenkeys

import (
	"encoding/json"
	"errors"
	"fmt"
	"slices"

	"github.com/MicahParks/jwkset"

	"roost/wsproto"
)

var errNoJWKS = errors.New(`not a JWKS: an object with a list "keys" is wanted`)

// maxSkipped bounds what is told of keys that were left out.
const maxSkipped = 10

// readJWKS reads the keys of a JWKS (RFC 7517 section 5). Keys that are not for our tokens are left out, as the RFC
// asks, and skipped says why for the first ones; an issuer has others for others.
func readJWKS(document []byte) (keys []wsproto.PublicKey, skipped []string, err error) {
	var set struct {
		Keys *[]json.RawMessage `json:"keys"`
	}
	if err := json.Unmarshal(document, &set); err != nil || set.Keys == nil {
		return nil, nil, errors.Join(errNoJWKS, err)
	}
	for i, raw := range *set.Keys {
		key, kid, err := readJWK(raw)
		if err != nil {
			if len(skipped) < maxSkipped {
				skipped = append(skipped, fmt.Sprintf("key %d (kid %.64q): %v", i+1, kid, err))
			}
			continue
		}
		keys = append(keys, key)
	}
	if len(keys) > wsproto.MaxPublic {
		return nil, nil, fmt.Errorf("%d keys: %d at most", len(keys), wsproto.MaxPublic)
	}
	return keys, skipped, nil
}

// readJWK reads one key, if it is one that checks signatures.
func readJWK(raw json.RawMessage) (key wsproto.PublicKey, kid string, err error) {
	var fields jwkset.JWKMarshal
	if err := json.Unmarshal(raw, &fields); err != nil {
		return key, "", errors.New("not a JWK")
	}
	kid = fields.KID
	switch {
	case fields.KTY == jwkset.KtyOct:
		return key, kid, errors.New("a secret, which nobody may publish")
	case fields.D != "":
		return key, kid, errors.New("a private key, which nobody may publish")
	case fields.USE != "" && fields.USE != jwkset.UseSig:
		return key, kid, fmt.Errorf("its use is %.20q, not sig", fields.USE)
	case len(fields.KEYOPS) > 0 && !slices.Contains(fields.KEYOPS, jwkset.KeyOpsVerify):
		return key, kid, errors.New("its key_ops have no verify")
	}
	jwk, err := jwkset.NewJWKFromMarshal(fields, jwkset.JWKMarshalOptions{}, jwkset.JWKValidateOptions{SkipUse: true, SkipKeyOps: true})
	if err != nil {
		return key, kid, err
	}
	if key, err = wsproto.NewPublicKey(kid, jwk.Key()); err != nil {
		return key, kid, err
	}
	if alg := fields.ALG; alg != "" && string(alg) != key.Algorithm() {
		return key, kid, fmt.Errorf("its alg is %.20q, not %s", alg, key.Algorithm())
	}
	return key, kid, nil
}
