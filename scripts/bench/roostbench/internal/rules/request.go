package rules

import (
	"slices"
	"strings"
)

// properLines are a proper request.
var properLines = []string{
	"GET {path}?token={token} HTTP/1.1", "Host: {host}", "Connection: Upgrade", "Upgrade: websocket",
	"Sec-WebSocket-Version: 13", "Sec-WebSocket-Key: {key}",
}

// request is a proper request but for some lines: "Name: value" stands in for the
// field of that name or is added, "-Name" takes it away, "+line" is added as it
// is, and what begins with ">" is the first line.
func request(edits ...string) string {
	head := slices.Clone(properLines)
	for _, edit := range edits {
		head = edited(head, edit)
	}
	return strings.Join(head, "\r\n") + "\r\n\r\n"
}

func edited(head []string, edit string) []string {
	rest := edit[1:]
	switch edit[0] {
	case '>':
		head[0] = rest
		return head
	case '+':
		return append(head, rest)
	case '-':
		return slices.DeleteFunc(head, func(line string) bool { return strings.HasPrefix(line, rest+":") })
	}
	name, _, _ := strings.Cut(edit, ":")
	at := slices.IndexFunc(head, func(line string) bool { return strings.HasPrefix(line, name+":") })
	if at < 0 {
		return append(head, edit)
	}
	head[at] = edit
	return head
}
