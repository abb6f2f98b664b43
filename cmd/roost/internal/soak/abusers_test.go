package soak

import (
	"strings"
	"time"

	"roost/cmd/roost/internal/roosttest"
)

// abusers break the rules.
func abusers() []troublemaker {
	const p100 = 100 * time.Millisecond
	say := func(text string) func(*peer) {
		return func(p *peer) {
			p.send(text)
			p.takeAll()
		}
	}
	flood := func(frame string) func(*peer) {
		return func(p *peer) {
			go p.takeAll() // ends with the socket
			for range 200 {
				if !p.send(frame) {
					return
				}
			}
			p.wait(time.Second)
		}
	}
	const violation, handshakeTimeout = "protocol_error", "handshake_timeout"
	return []troublemaker{
		{name: "not masked", user: "abusive", pause: p100, shows: closedAs(violation), act: say("\x81\x01x")},
		{name: "reserved bits", user: "abusive", pause: p100, shows: closedAs(violation), act: say("\xf1\x80\x01\x02\x03\x04")},
		{name: "unknown opcode", user: "abusive", pause: p100, shows: closedAs(violation), act: say(roosttest.ClientFrame(3, "x"))},
		{name: "continues nothing", user: "abusive", pause: p100, shows: closedAs(violation), act: say(roosttest.ClientFrame(0, "x"))},
		{name: "a length of 2^63", user: "abusive", pause: p100, shows: closedAs(violation), act: say("\x82\xff\x80\x00\x00\x00\x00\x00\x00\x00\x01\x02\x03\x04")},
		{name: "a large message", user: "abusive", pause: p100, shows: closedAs("message_too_big"),
			act: say("\x82\xff\x00\x00\x00\x00\x00\x10\x00\x00\x01\x02\x03\x04" + padding)},
		{name: "text that is not UTF-8", user: "abusive", pause: p100, shows: closedAs("invalid_text"), act: say(roosttest.ClientFrame(1, "\xff\xfe"))},
		{name: "ping flood", user: "abusive", pause: p100, shows: closedAs("message_rate"), act: flood(strings.Repeat(roosttest.ClientFrame(9, "are you there"), 100))},
		{name: "message flood", user: "abusive", pause: p100, shows: closedAs("message_rate"), act: flood(strings.Repeat(roosttest.ClientFrame(1, "hello"), 100))},
		{name: "ping flood without reading", user: "abusive", receive: 4096, pause: p100, shows: closedAs("message_rate"), act: func(p *peer) {
			for range 200 {
				if !p.send(strings.Repeat(roosttest.ClientFrame(9, "are you there"), 100)) {
					return
				}
			}
		}},
		{name: "a frame a byte at a time, without end", user: "abusive", shows: "roost_received_bytes_total", act: func(p *peer) {
			p.send("\x81\xfe\x01\x00\x01\x02\x03\x04")
			for range 200 {
				if !p.send("x") {
					return
				}
				p.wait(10 * time.Millisecond)
			}
		}},
		{name: "a head a byte at a time, without end", shows: refusedAs(handshakeTimeout), takes: 10 * time.Second,
			act: func(p *peer) { p.trickle("GET /ws HTTP/1.1\r\n"+strings.Repeat("x", 1<<14), 20*time.Millisecond) }},
		{name: "silent", shows: refusedAs(handshakeTimeout), takes: 10 * time.Second, act: func(p *peer) { p.takeAll() }},
		{name: "garbage", pause: p100, shows: refusedAs("bad_request"), act: say("\x00\x01\x02 hello\r\n\r\n")},
		{name: "TLS", pause: p100, shows: "roost_received_bytes_total", act: func(p *peer) {
			p.send("\x16\x03\x01\x02\x00\x01\x00\x01\xfc\x03\x03")
			p.takeFor(p100)
		}},
		{name: "a head of 64 KiB", pause: p100, shows: refusedAs("head_too_large"), act: say("GET /ws HTTP/1.1\r\nX: " + strings.Repeat("x", 64<<10))},
		{name: "a body that is never read", pause: p100, shows: refusedAs("bad_request"),
			act: say("POST /ws HTTP/1.1\r\nHost: x\r\nContent-Length: 65536\r\n\r\n" + strings.Repeat("x", 64<<10))},
		{name: "wrong path", pause: p100, shows: refusedAs("not_found"), act: say("GET /.env HTTP/1.1\r\nHost: x\r\n\r\n")},
	}
}
