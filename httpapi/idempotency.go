package httpapi

import (
	"bytes"
	"crypto/sha256"
	"encoding/json"
	"errors"
	"fmt"
	"net/http"
	"strings"
)

// idempotencyHeader has the key of a request that may be sent again (draft-ietf-httpapi-idempotency-key-header-07). Header values that
// many clients send are not the quoted string of the draft, so both forms are taken, and "a" is the same key as a.
const idempotencyHeader = "Idempotency-Key"

// replayedHeader says of an answer that nothing was published for it: it is that to an earlier request.
const replayedHeader = "Idempotent-Replayed"

// maxIdempotencyKey is how many characters a key may have.
const maxIdempotencyKey = 255

// ErrKeyUsed is wrapped by errors of Publishing.Publish: the key is that of another request, and nothing is published.
var ErrKeyUsed = errors.New("the key was used for another request")

// Idempotency says that a request is published once, however often it is sent.
type Idempotency struct {
	Key     string            // 1 to 255 printable characters of ASCII
	Content [sha256.Size]byte // a digest of the body, in which white space outside of strings does not count
}

// What is wrong with a key.
var (
	errKeyTwice  = errors.New(idempotencyHeader + " comes more than once: a request has one key")
	errKeyString = errors.New(idempotencyHeader + ` begins with a quotation mark and is no string like "8e03978e-40d5-43e8-bc93-6894a57f9324"`)
	errKeyForm   = fmt.Errorf("%s has to be 1 to %d printable characters of ASCII, such as a UUID", idempotencyHeader, maxIdempotencyKey)
)

// readKey returns the key of a request; "": it has none.
func readKey(header http.Header) (key string, err error) {
	values := header.Values(idempotencyHeader)
	switch {
	case len(values) == 0:
		return "", nil
	case len(values) > 1:
		return "", errKeyTwice
	}
	key = values[0]
	if strings.HasPrefix(key, `"`) {
		if key, err = unquoted(key); err != nil {
			return "", err
		}
	}
	if key == "" || len(key) > maxIdempotencyKey || strings.ContainsFunc(key, func(r rune) bool { return r < ' ' || r > '~' }) {
		return "", errKeyForm
	}
	return key, nil
}

// unquoted reads a string as structured fields have it (RFC 9651 section 4.2.5), and nothing behind it.
func unquoted(s string) (string, error) {
	var text strings.Builder
	for i := 1; i < len(s); i++ {
		switch {
		case s[i] == '"' && i == len(s)-1:
			return text.String(), nil
		case s[i] == '"':
			return "", errKeyString
		case s[i] == '\\':
			if i++; i == len(s) || s[i] != '"' && s[i] != '\\' {
				return "", errKeyString
			}
		}
		text.WriteByte(s[i])
	}
	return "", errKeyString
}

// contentOf returns Idempotency.Content of a body that is JSON.
func contentOf(body []byte) [sha256.Size]byte {
	var compact bytes.Buffer
	if json.Compact(&compact, body) != nil {
		return sha256.Sum256(body)
	}
	return sha256.Sum256(compact.Bytes())
}
