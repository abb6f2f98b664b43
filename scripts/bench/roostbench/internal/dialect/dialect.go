// Package dialect is what servers differ in on the wire: how a client gives its token, where the server hears of
// notifications and in what form, and what else it tells clients. It does no I/O.
package dialect

import (
	"bytes"
	"encoding/binary"
	"fmt"

	"roost/bench/roostbench/internal/note"
)

// Dialect is how one kind of server is spoken to. The zero value is Roost's, which most of its peers share.
type Dialect struct {
	Name string // "" is roost
	// Query is behind the path of a client's request, with {token} where the token goes; "" is ?token={token}.
	Query string
	// Greets says that a client gets its notifications only after the server's first message.
	Greets bool
	// EachUser says that the server subscribes to the channels of users who are connected, and to no others.
	EachUser bool
	// AdminHealth says that /health is on the port of the metrics, and not on that of clients.
	AdminHealth bool

	channel string                         // before a user's name; "" is Roost's
	message func(dst, note []byte) []byte  // the form of a notification; nil: as it is
	aside   func(message []byte) (is bool) // nil: nothing is
}

// names are those of the dialects that there are.
var names = map[string]Dialect{
	"roost": {Name: "roost", aside: isRoostAside},
	// Unidirectional WebSocket and the user's personal channel. Notifications are published to Redis as Centrifugo's
	// own nodes do it (protobuf's Publication in the channel of its Redis broker).
	"centrifugo": {
		Name: "centrifugo", Query: "?cf_connect=%7B%22token%22%3A%22{token}%22%7D", Greets: true, EachUser: true, AdminHealth: true,
		channel: "centrifugo.client.#", message: appendPublication, aside: isCentrifugoAside,
	},
}

// Named finds a dialect.
func Named(name string) (Dialect, error) {
	d, known := names[name]
	if !known {
		return d, fmt.Errorf("the dialect %q: there are roost and centrifugo", name)
	}
	return d, nil
}

// AppendChannel appends the Redis channel of user number n.
func (d Dialect) AppendChannel(dst []byte, n int) []byte {
	if d.channel == "" {
		return note.AppendUser(append(dst, "user_noti:"...), n)
	}
	return note.AppendUser(append(dst, d.channel...), n)
}

// AppendMessage appends a notification in the form in which it is published.
func (d Dialect) AppendMessage(dst, notification []byte) []byte {
	if d.message == nil {
		return append(dst, notification...)
	}
	return d.message(dst, notification)
}

// Aside says whether a message from the server is something else than a notification.
func (d Dialect) Aside(message []byte) bool { return d.aside != nil && d.aside(message) }

// appendPublication is Centrifugo's protocol.Publication with nothing but its field 4, the data.
func appendPublication(dst, data []byte) []byte {
	dst = append(dst, 4<<3|2)
	dst = binary.AppendUvarint(dst, uint64(len(data)))
	return append(dst, data...)
}

// isRoostAside knows what comes first where clients can resume.
func isRoostAside(message []byte) bool { return bytes.HasPrefix(message, []byte(`{"type":"_hello",`)) }

// isCentrifugoAside knows pings, which are empty, and the answer to the connection.
func isCentrifugoAside(message []byte) bool {
	message = bytes.TrimSpace(message)
	return string(message) == "{}" || bytes.HasPrefix(message, []byte(`{"connect":`))
}
