package wire

import (
	"bytes"
	"crypto/sha1"
	"encoding/base64"
	"errors"
	"fmt"
	"math/rand/v2"
	"slices"
	"strings"
)

// Key is a Sec-WebSocket-Key: 16 random bytes in base64.
type Key [24]byte

// NewKey makes a key. It needs not be secret, only not the same each time.
func NewKey() Key {
	var raw [16]byte
	for i := range raw {
		raw[i] = byte(rand.Uint32())
	}
	var key Key
	base64.StdEncoding.Encode(key[:], raw[:])
	return key
}

// accept is what a server has to answer to the key (RFC 6455 section 4.2.2).
func (k Key) accept() string {
	sum := sha1.Sum(append(k[:], "258EAFA5-E914-47DA-95CA-C5AB0DC85B11"...))
	return base64.StdEncoding.EncodeToString(sum[:])
}

// placeholder is where a path has the token.
const placeholder = "{token}"

// AppendRequest appends the head with which a browser asks for a WebSocket. The token goes where path has {token}, or
// behind it as ?token=. Other headers of browsers are there too, because reading it is a part of the cost.
func AppendRequest(dst []byte, host, path string, token []byte, key Key) []byte {
	dst = append(dst, "GET "...)
	before, after, found := strings.Cut(path, placeholder)
	dst = append(dst, before...)
	if !found {
		dst = append(dst, "?token="...)
	}
	dst = append(dst, token...)
	dst = append(dst, after...)
	dst = append(dst, " HTTP/1.1\r\nHost: "...)
	dst = append(dst, host...)
	dst = append(dst, "\r\nConnection: Upgrade\r\nPragma: no-cache\r\nCache-Control: no-cache\r\n"+
		"User-Agent: roostbench\r\nUpgrade: websocket\r\nOrigin: http://localhost\r\nSec-WebSocket-Version: 13\r\n"+
		"Accept-Encoding: gzip, deflate\r\nAccept-Language: en\r\nSec-WebSocket-Key: "...)
	dst = append(dst, key[:]...)
	return append(dst, "\r\n\r\n"...)
}

// maxAnswer is how long the head of an answer may be.
const maxAnswer = 16 << 10

// ErrRefused is wrapped by the error of ReadAnswer when the server did not
// switch protocols. The text has its status line.
var ErrRefused = errors.New("refused")

// ErrBadAnswer is wrapped when the server switched, but not as RFC 6455 requires.
var ErrBadAnswer = errors.New("not a proper handshake")

// ReadAnswer looks for the server's answer to a request that had key and offered
// sub-protocols. It returns its length, or 0 while it is incomplete; what follows
// it are frames.
func ReadAnswer(buf []byte, key Key, offered ...string) (int, error) {
	end := bytes.Index(buf, []byte("\r\n\r\n"))
	if end < 0 {
		if len(buf) > maxAnswer {
			return 0, fmt.Errorf("%w: a head of more than %d bytes", ErrBadAnswer, maxAnswer)
		}
		return 0, nil
	}
	status, headers, _ := bytes.Cut(buf[:end], []byte("\r\n"))
	if !bytes.HasPrefix(status, []byte("HTTP/1.1 101")) {
		return 0, fmt.Errorf("%w: %q", ErrRefused, status)
	}
	if err := checkHeaders(headers, key, offered); err != nil {
		return 0, err
	}
	return end + 4, nil
}

// checkHeaders does the checks of an answer that RFC 6455 section 4.1 requires of a client. We never offer
// extensions, so none may be chosen.
func checkHeaders(headers []byte, key Key, offered []string) error {
	var upgrade, connection, accept bool
	for line := range bytes.SplitSeq(headers, []byte("\r\n")) {
		name, value, _ := bytes.Cut(line, []byte(":"))
		value = bytes.TrimSpace(value)
		switch string(bytes.ToLower(name)) {
		case "upgrade":
			upgrade = bytes.EqualFold(value, []byte("websocket"))
		case "connection":
			connection = bytes.EqualFold(value, []byte("Upgrade"))
		case "sec-websocket-accept":
			accept = string(value) == key.accept()
		case "sec-websocket-protocol":
			if !slices.Contains(offered, string(value)) {
				return fmt.Errorf("%w: sub-protocol %q, which nobody offered", ErrBadAnswer, value)
			}
		case "sec-websocket-extensions":
			return fmt.Errorf("%w: %s that nobody offered", ErrBadAnswer, name)
		}
	}
	if !upgrade || !connection || !accept {
		return fmt.Errorf("%w: upgrade %t, connection %t, accept %t", ErrBadAnswer, upgrade, connection, accept)
	}
	return nil
}
