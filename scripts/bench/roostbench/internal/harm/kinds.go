package harm

import "strings"

// mask is the masking key of all frames here.
const mask = 0x37FA213D

// kinds are those that last as long as the configuration says.
func kinds() []kind {
	return []kind{
		{"heads of 64 KiB", "refused or closed", heads("GET /ws HTTP/1.1\r\nHost: x\r\nX: " + strings.Repeat("x", 64<<10) + "\r\n\r\n")},
		{"heads of 5,000 fields", "refused or closed", heads("GET /ws HTTP/1.1\r\nHost: x\r\n" + strings.Repeat("X-A: b\r\n", 5000) + "\r\n")},
		{"heads without end", "refused or closed before 16 MiB", endlessHead},
		{"bodies of a gigabyte", "refused or closed", heads("POST /ws HTTP/1.1\r\nHost: x\r\nContent-Length: 1073741824\r\n\r\n" + strings.Repeat("x", 64<<10))},
		{"noise", "refused or closed", heads(noise(4<<10) + "\r\n\r\n")},
		{"tokens that are not good", "refused", badTokens},
		{"connecting and resetting", "others are let in", resets},
		{"upgrading and shutting the sending side", "closed", halfClosed},
		{"pings without end", "closed, or answered", flood(pings, reading)},
		{"pings without end, not reading", "closed, or held back", flood(pings, notReading)},
		{"messages without end", "closed, or taken", flood(messages, reading)},
		{"a message of 16 MiB", "closed before its end", large(bigMessage)},
		{"a message of endless fragments", "closed before 16 MiB", large(fragments)},
		{"a frame a byte at a time", "closed, or waited for", slowFrames},
	}
}

// slowKinds are those that end when a server loses patience.
func slowKinds() []kind {
	const want = "closed in time"
	return []kind{
		{"sockets that say nothing", want, silent},
		{"handshakes a byte at a time", want, trickling},
	}
}
