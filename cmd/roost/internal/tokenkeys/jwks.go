package tokenkeys

import (
	"bytes"
	"encoding/json"
	"encoding/pem"
	"errors"
	"fmt"
	"maps"
	"slices"
	"strings"

	"roost/cmd/roost/internal/textfile"
	"roost/wsproto/auth"
)

var errNoJWKS = errors.New(`not a JWKS: an object with a list "keys" is wanted`)

// maxLeftOut bounds how many keys are told of that were left out.
const maxLeftOut = 10

// readJWKS reads the keys of a JWKS (RFC 7517 section 5), for those of their algorithms that are listed. Keys that are
// not meant for signatures are passed over, as the RFC asks; those that look as if they were and can't be used are left
// out, and leftOut says why.
//
// The other forms that issuers publish their keys in are read as well: a list of keys, a key alone, and an object of
// certificates in PEM by their kid.
func readJWKS(document []byte, algorithms []string) (keys []auth.PublicKey, leftOut []auth.LeftOut, err error) {
	list, err := keysOf(textfile.Decode(document))
	if err != nil {
		return nil, nil, err
	}
	for _, raw := range list {
		key, kid, err := readOne(raw, algorithms)
		switch {
		case err == nil:
			keys = append(keys, key)
		case !errors.As(err, new(notForTokens)):
			leftOut = append(leftOut, auth.LeftOut{ID: kid, Why: err.Error()})
		}
	}
	if len(keys) > auth.MaxPublic {
		return nil, nil, fmt.Errorf("%d keys: %d at most", len(keys), auth.MaxPublic)
	}
	return keys, leftOut, nil
}

// published is a key of a document: a JWK, or a certificate under its name.
type published struct {
	jwk json.RawMessage // nil: it is a certificate
	kid string
	pem string
}

func readOne(p published, algorithms []string) (key auth.PublicKey, kid string, err error) {
	if p.jwk != nil {
		return readJWK(p.jwk, algorithms)
	}
	block, _ := pem.Decode([]byte(p.pem))
	if block == nil {
		return key, p.kid, errors.New("it is no PEM")
	}
	public, err := parseBlock(block)
	if err != nil {
		return key, p.kid, err
	}
	if key, err = auth.NewPublicKey(p.kid, public); err != nil {
		return key, p.kid, err
	}
	key, err = allowed(key, algorithms)
	return key, p.kid, err
}

// keysOf finds the keys of a document.
func keysOf(document []byte) (all []published, err error) {
	var list []json.RawMessage
	if json.Unmarshal(document, &list) == nil && len(list) > 0 {
		return jwks(list), nil
	}
	var members map[string]json.RawMessage
	if err := json.Unmarshal(document, &members); err != nil {
		if bytes.HasPrefix(bytes.TrimSpace(document), []byte("<")) {
			return nil, fmt.Errorf("%w, and this is a page of HTML", errNoJWKS)
		}
		return nil, errors.Join(errNoJWKS, err)
	}
	switch {
	case members["keys"] != nil:
		if json.Unmarshal(members["keys"], &list) != nil || list == nil {
			return nil, errNoJWKS
		}
		return jwks(list), nil
	case members["jwks_uri"] != nil:
		return nil, fmt.Errorf("%w, and this is the issuer's OpenID configuration: JWT_JWKS_URL has to be its jwks_uri, %.300s", errNoJWKS, members["jwks_uri"])
	case members["kty"] != nil:
		return jwks([]json.RawMessage{document}), nil
	}
	for _, kid := range slices.Sorted(maps.Keys(members)) {
		var text string
		if json.Unmarshal(members[kid], &text) != nil || !strings.HasPrefix(text, "-----BEGIN ") {
			return nil, errNoJWKS
		}
		all = append(all, published{kid: kid, pem: text})
	}
	if len(all) == 0 {
		return nil, errNoJWKS
	}
	return all, nil
}

func jwks(list []json.RawMessage) (all []published) {
	for _, raw := range list {
		all = append(all, published{jwk: raw})
	}
	return all
}

// told is what the log says of keys that were left out.
func told(leftOut []auth.LeftOut) (all []string) {
	for i, key := range leftOut {
		if i == maxLeftOut {
			return append(all, fmt.Sprintf("and %d more", len(leftOut)-i))
		}
		all = append(all, fmt.Sprintf("kid %.64q: %s", key.ID, key.Why))
	}
	return all
}
