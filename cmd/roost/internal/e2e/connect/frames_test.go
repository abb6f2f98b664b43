package connect

import (
	"fmt"
	"slices"
	"strings"
	"testing"

	"roost/cmd/roost/internal/e2e"
	"roost/cmd/roost/internal/roosttest"
)

func TestClientFrames(t *testing.T) {
	t.Parallel()
	redis, server := e2e.Start(t, roosttest.Env{"WS_MAX_MESSAGE_SIZE": "100"})

	t.Run("messages are taken and change nothing", func(t *testing.T) {
		client := server.As(t).Connect("alice")
		for range 50 {
			client.Send(strings.Repeat("é", 50))
		}
		client.Ping("are you there?")
		roosttest.WaitFor(t, "the pong", func() bool { return slices.Equal(client.Pongs(), []string{"are you there?"}) })
		e2e.Notify(redis, "alice", e2e.Numbered(1))
		client.WaitMessages(1)
	})
	tests := []struct {
		name   string
		frames string
		code   int
		reason string
	}{
		{"too long a message", roosttest.ClientFrame(1, strings.Repeat("x", 101)), 1009, "message_too_big"},
		{"too long in pieces", noFinal(roosttest.ClientFrame(1, strings.Repeat("x", 60))) + roosttest.ClientFrame(0, strings.Repeat("x", 60)),
			1009, "message_too_big"},
		{"not UTF-8", roosttest.ClientFrame(1, "\xff\xfe"), 1007, "invalid_text"},
		{"not masked", "\x81\x01x", 1002, "protocol_error"},
		{"reserved bit", "\xf1" + roosttest.ClientFrame(1, "x")[1:], 1002, "protocol_error"},
		{"unknown opcode", roosttest.ClientFrame(3, "x"), 1002, "protocol_error"},
		{"continuation of nothing", roosttest.ClientFrame(0, "x"), 1002, "protocol_error"},
		{"close", roosttest.ClientFrame(8, "\x03\xe8bye"), 1000, "client_closed"},
		{"close of an application's own", roosttest.ClientFrame(8, "\x0f\xa0"), 4000, "client_closed"},
	}
	for i, test := range tests {
		t.Run(test.name, func(t *testing.T) {
			user := fmt.Sprintf("user-%d", i)
			raw := server.As(t).Dial()
			raw.MustUpgrade(roosttest.Token(t, user))
			raw.Send(test.frames)
			opcode, payload := raw.Frame()
			if opcode != 8 || len(payload) < 2 || int(payload[0])<<8|int(payload[1]) != test.code {
				t.Fatalf("got opcode %d %q, want a close frame with %d", opcode, payload, test.code)
			}
			if err := raw.End(); err != nil {
				t.Errorf("after the close frame: %v", err)
			}
			server.WaitLine("disconnected", "user_id", user, "reason", test.reason)
		})
	}
}

// noFinal takes the FIN bit from a frame.
func noFinal(frame string) string { return string(frame[0]&0x7f) + frame[1:] }

func TestConnectAndDisconnectAreLogged(t *testing.T) {
	t.Parallel()
	_, server := e2e.Start(t, nil)
	first := server.Connect("alice")
	second := server.Connect("alice")
	bob := server.Connect("bob")
	server.WaitLine("connected", "user_id", "alice", "total_connections", 1.0, "user_connections", 1.0)
	server.WaitLine("connected", "user_id", "alice", "total_connections", 2.0, "user_connections", 2.0)
	server.WaitLine("connected", "user_id", "bob", "total_connections", 3.0, "user_connections", 1.0)

	first.SendClose(1000, "done")
	if code, _ := first.WaitClose(); code != 1000 {
		t.Errorf("the close frame was answered with %d", code)
	}
	server.WaitLine("disconnected", "user_id", "alice", "reason", "client_closed", "total_connections", 2.0, "user_connections", 1.0)
	second.Close()
	server.WaitLine("disconnected", "user_id", "alice", "reason", "client_gone", "total_connections", 1.0, "user_connections", 0.0)
	bob.SendClose(4321, "")
	if code, _ := bob.WaitClose(); code != 4321 {
		t.Errorf("the close frame was answered with %d", code)
	}
	server.WaitMetric(`roost_connections_closed_total{reason="client_closed"}`, 2)
	server.WaitMetric("roost_connections", 0)
	server.WaitMetric("roost_users", 0)
}
