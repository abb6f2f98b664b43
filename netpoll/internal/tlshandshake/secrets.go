package tlshandshake

import (
	"encoding/hex"
	"errors"
	"strings"
)

// secrets takes the traffic secrets of one handshake from crypto/tls, which hands them to tls.Config.KeyLogWriter.
// They go nowhere else: each handshake has a configuration of its own with a writer of its own.
type secrets struct {
	client, server                   []byte // application traffic
	clientHandshake, serverHandshake []byte
}

var errKeyLog = errors.New("tls: a key log line is not what it was")

// Write takes a line of the key log: a label, the client's random, the secret.
func (s *secrets) Write(line []byte) (int, error) {
	label, rest, _ := strings.Cut(strings.TrimSpace(string(line)), " ")
	_, text, found := strings.Cut(rest, " ")
	secret, err := hex.DecodeString(text)
	if err != nil || !found {
		return 0, errKeyLog // without the line: it may have a secret in it
	}
	switch label {
	case "CLIENT_TRAFFIC_SECRET_0":
		s.client = secret
	case "SERVER_TRAFFIC_SECRET_0":
		s.server = secret
	case "CLIENT_HANDSHAKE_TRAFFIC_SECRET":
		s.clientHandshake = secret
	case "SERVER_HANDSHAKE_TRAFFIC_SECRET":
		s.serverHandshake = secret
	}
	return len(line), nil
}

func (s *secrets) complete() bool {
	return s.client != nil && s.server != nil && s.clientHandshake != nil && s.serverHandshake != nil
}

func (s *secrets) wipe() {
	for _, secret := range [][]byte{s.client, s.server, s.clientHandshake, s.serverHandshake} {
		clear(secret)
	}
	*s = secrets{}
}

// String hides them from package fmt.
func (s *secrets) String() string   { return "tlshandshake.secrets" }
func (s *secrets) GoString() string { return s.String() }
