package resp

import (
	"bytes"
	"errors"
	"fmt"
	"strings"
	"testing"
)

// push is an array of bulk strings, and of numbers where a part begins with a colon.
func push(parts ...string) string {
	var s strings.Builder
	fmt.Fprintf(&s, "*%d\r\n", len(parts))
	for _, part := range parts {
		if strings.HasPrefix(part, ":") {
			s.WriteString(part + "\r\n")
		} else {
			fmt.Fprintf(&s, "$%d\r\n%s\r\n", len(part), part)
		}
	}
	return s.String()
}

// A reply is read, and each part of it is incomplete and says no more than what is missing.
func TestParse(t *testing.T) {
	t.Parallel()
	long := strings.Repeat("x", 100_000)
	for _, tt := range []struct {
		name, input      string
		kind             Kind
		channel, payload string
	}{
		{"message", push("message", "user_noti:a", "{}"), Message, "user_noti:a", "{}"},
		{"pmessage", push("pmessage", "user_noti:*", "user_noti:a", "{}"), Message, "user_noti:a", "{}"},
		{"smessage", push("smessage", "user_noti:a", "{}"), Message, "user_noti:a", "{}"},
		{"empty message", push("message", "", ""), Message, "", ""},
		{"binary message", push("message", "a\r\nb", "\r\n$1\r\n\x00\xff"), Message, "a\r\nb", "\r\n$1\r\n\x00\xff"},
		{"long message", push("message", "a", long), Message, "a", long},
		{"subscribe", push("subscribe", "a", ":1"), Subscribe, "a", ""},
		{"psubscribe", push("psubscribe", "a*", ":12345"), PSubscribe, "a*", ""},
		{"ssubscribe", push("ssubscribe", "a", ":1"), SSubscribe, "a", ""},
		{"unsubscribe", push("unsubscribe", "a", ":0"), Unsubscribe, "a", ""},
		{"punsubscribe", push("punsubscribe", "a*", ":0"), PUnsubscribe, "a*", ""},
		{"sunsubscribe", push("sunsubscribe", "a", ":0"), SUnsubscribe, "a", ""},
		{"unsubscribe of nothing", "*3\r\n$11\r\nunsubscribe\r\n$-1\r\n:0\r\n", Unsubscribe, "", ""},
		{"pong", push("pong", "x"), Pong, "", "x"},
		{"empty pong", push("pong", ""), Pong, "", ""},
		{"pong without subscriptions", "$3\r\nabc\r\n", Pong, "", "abc"},
		{"status", "+OK\r\n", Status, "", "OK"},
		{"error", "-ERR no\r\n", Error, "", "ERR no"},
	} {
		t.Run(tt.name, func(t *testing.T) {
			t.Parallel()
			input := []byte(tt.input)
			r, n, err := Parse(append(bytes.Clone(input), "+next"...))
			if err != nil || n != len(input) || r.Kind != tt.kind || string(r.Channel) != tt.channel || string(r.Payload) != tt.payload {
				t.Fatalf("got %s %q %q, %d bytes, %v", r.Kind, r.Channel, r.Payload, n, err)
			}
			if r.Kind == Message {
				if channel, payload := r.Strings(); channel != tt.channel || payload != tt.payload {
					t.Errorf("as strings %q %q", channel, payload)
				}
			}
			for end := range input {
				if end > 200 && end < len(input)-200 {
					continue // in the middle of the long one all are alike
				}
				if r, n, err := Parse(input[:end]); err != nil || n <= end || n > len(input) {
					t.Fatalf("of %d bytes: %s, needs %d of %d, %v", end, r.Kind, n, len(input), err)
				}
			}
		})
	}
}

func TestParseRefuses(t *testing.T) {
	t.Parallel()
	for name, tt := range map[string]struct {
		input string
		want  error // that is wrapped; nil: any
	}{
		"an integer":             {":1\r\n", nil},
		"HTTP":                   {"HTTP/1.1 200 OK\r\n\r\n", nil},
		"an empty line":          {"\r\n", nil},
		"an empty array":         {"*0\r\n", nil},
		"a null array":           {"*-1\r\n", nil},
		"too few elements":       {push("pmessage"), nil},
		"a message of two":       {push("message", "a"), nil},
		"a pmessage of three":    {push("pmessage", "a", "b"), nil},
		"too many elements":      {push("message", "a", "b", "c"), nil},
		"five elements":          {"*5\r\n", nil},
		"a number for a kind":    {"*3\r\n:1\r\n:2\r\n:3\r\n", nil},
		"an unknown kind":        {push("hello", "a", "b"), nil},
		"an empty kind":          {push("", "a", "b"), nil},
		"a number for a payload": {"*3\r\n$7\r\nmessage\r\n$1\r\na\r\n:7\r\n", nil},
		"a null payload":         {"*3\r\n$7\r\nmessage\r\n$1\r\na\r\n$-1\r\n", nil},
		"a null channel":         {"*3\r\n$7\r\nmessage\r\n$-1\r\n$1\r\na\r\n", nil},
		"no count":               {push("subscribe", "a", "b"), nil},
		"an absurd length":       {"*3\r\n$999999999999999\r\n", ErrTooLong},
		"a length with zeros":    {"$00000000001\r\nx\r\n", ErrTooLong},
		"more than is taken":     {"$1073741825\r\n", ErrTooLong},
		"an absurd count":        {"*99999999999\r\n", ErrTooLong},
		"a length without CR":    {"$1\nx\r\n", nil},
		"a length without LF":    {"$1\rx\r\n", nil},
		"a length without digit": {"$\r\n", nil},
		"a string too long":      {"$1\r\nxyz", nil},
		"a string without LF":    {"$1\r\nx\ry", nil},
		"a line without CR":      {"+OK\n", nil},
		"an empty line's LF":     {"+\n", nil},
		"a line without end":     {"-" + strings.Repeat("x", maxLine+1), ErrTooLong},
	} {
		var syntax *SyntaxError
		if r, n, err := Parse([]byte(tt.input)); !errors.As(err, &syntax) || tt.want != nil && !errors.Is(err, tt.want) {
			t.Errorf("%s: %s, %d bytes, %v", name, r.Kind, n, err)
		}
	}
}

func TestParseAllocatesNothing(t *testing.T) {
	input := []byte(push("pmessage", "user_noti:*", "user_noti:alice", strings.Repeat("x", 200)))
	if n := testing.AllocsPerRun(1000, func() {
		if _, _, err := Parse(input); err != nil {
			t.Fatal(err)
		}
	}); n != 0 {
		t.Errorf("%v allocations", n)
	}
}

func TestAppendCommand(t *testing.T) {
	t.Parallel()
	got := string(AppendCommand([]byte("before "), "SUBSCRIBE", "a b", "", "c\r\n"))
	if want := "before *4\r\n$9\r\nSUBSCRIBE\r\n$3\r\na b\r\n$0\r\n\r\n$3\r\nc\r\n\r\n"; got != want {
		t.Errorf("got %q, want %q", got, want)
	}
}

func BenchmarkParse(b *testing.B) {
	input := []byte(push("pmessage", "user_noti:*", "user_noti:alice", strings.Repeat("x", 200)))
	b.ReportAllocs()
	b.SetBytes(int64(len(input)))
	for b.Loop() {
		r, _, err := Parse(input)
		if err != nil {
			b.Fatal(err)
		}
		if channel, payload := r.Strings(); len(channel)+len(payload) == 0 {
			b.Fatal("nothing")
		}
	}
}
