package main

import (
	"strings"
	"testing"
)

func TestMessagesComeInPieces(t *testing.T) {
	t.Parallel()
	const all = "*3\r\n$10\r\npsubscribe\r\n$11\r\nuser_noti:*\r\n:1\r\n" +
		"*4\r\n$8\r\npmessage\r\n$11\r\nuser_noti:*\r\n$11\r\nuser_noti:a\r\n$3\r\nx\r\n\r\n"
	s := &server{users: map[string][]int{}}
	for size := range len(all) + 1 {
		rest, messages := []byte(all[:size]), 0
		for {
			after, ok, err := s.message(rest)
			if err != nil {
				t.Fatalf("%q: %v", rest, err)
			}
			if !ok {
				break
			}
			rest, messages = after, messages+1
		}
		if want := strings.Count(all[:size], "\r\n:1\r\n") + strings.Count(all[:size], "x\r\n\r\n"); messages != want {
			t.Errorf("%d bytes: %d messages, want %d", size, messages, want)
		}
	}
	if _, _, err := s.message([]byte("-ERR no\r\n")); err == nil {
		t.Error("an error was taken for a message")
	}
}

func TestSubject(t *testing.T) {
	t.Parallel()
	// {"sub":"alice","exp":1}
	head := "GET /ws?token=eyJh.eyJzdWIiOiJhbGljZSIsImV4cCI6MX0.sig HTTP/1.1\r\n"
	if got := subject([]byte(head)); got != "alice" {
		t.Errorf("got %q", got)
	}
	if got := subject([]byte("GET /ws HTTP/1.1\r\n")); got != "" {
		t.Errorf("without a token: %q", got)
	}
}
