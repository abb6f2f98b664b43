package resp_test

import (
	"context"
	"fmt"
	"math/rand/v2"
	"net"
	"strings"
	"testing"

	"github.com/redis/go-redis/v9"

	"roost/redisfeed/internal/resp"
)

// This package reads the same from a subscription as go-redis.
func TestReadsWhatGoRedisReads(t *testing.T) {
	t.Parallel()
	random := rand.New(rand.NewPCG(14, 3))
	text := func() string {
		letters := []byte("ab:*$\r\n-+\x00\xff{}\"1")
		s := make([]byte, random.IntN(40))
		for i := range s {
			s[i] = letters[random.IntN(len(letters))]
		}
		return string(s)
	}
	var input strings.Builder
	const replies = 2000
	for range replies {
		var parts []string
		switch kinds := []string{"message", "pmessage", "pong", "subscribe", "psubscribe", "unsubscribe", "ssubscribe", "sunsubscribe"}; kinds[random.IntN(len(kinds))] {
		case "message":
			parts = []string{"message", text(), text()}
		case "pmessage":
			parts = []string{"pmessage", text(), text(), text()}
		case "pong":
			parts = []string{"pong", text()}
		default:
			kind := kinds[3+random.IntN(5)]
			fmt.Fprintf(&input, "*3\r\n$%d\r\n%s\r\n", len(kind), kind)
			channel := text()
			fmt.Fprintf(&input, "$%d\r\n%s\r\n:%d\r\n", len(channel), channel, random.IntN(1000))
			continue
		}
		fmt.Fprintf(&input, "*%d\r\n", len(parts))
		for _, part := range parts {
			fmt.Fprintf(&input, "$%d\r\n%s\r\n", len(part), part)
		}
	}

	model := goRedis(t, input.String(), replies)
	rest := []byte(input.String())
	for i, want := range model {
		r, n, err := resp.Parse(rest)
		if err != nil || n > len(rest) {
			t.Fatalf("reply %d: %v, %d of %d bytes", i, err, n, len(rest))
		}
		rest = rest[n:]
		if got := fmt.Sprintf("%s %q %q", r.Kind, r.Channel, r.Payload); got != want {
			t.Fatalf("reply %d is %s, go-redis says %s", i, got, want)
		}
	}
	if len(rest) > 0 {
		t.Errorf("%d bytes are left", len(rest))
	}
}

// goRedis is what go-redis makes of input.
func goRedis(t *testing.T, input string, replies int) (all []string) {
	t.Helper()
	here, there := net.Pipe()
	defer there.Close()
	client := redis.NewClient(&redis.Options{
		Protocol: 2, DisableIdentity: true,
		Dialer: func(context.Context, string, string) (net.Conn, error) { return here, nil },
	})
	defer client.Close()
	go func() { // HELLO, SUBSCRIBE, and whatever else it says
		buf := make([]byte, 4096)
		for first := true; ; first = false {
			if _, err := there.Read(buf); err != nil {
				return
			}
			if first {
				_, _ = there.Write([]byte("*2\r\n$5\r\nproto\r\n:2\r\n"))
			} else {
				go func() { _, _ = there.Write([]byte(input)) }()
			}
		}
	}()
	sub := client.Subscribe(t.Context(), "a")
	defer sub.Close()
	for range replies {
		got, err := sub.ReceiveTimeout(t.Context(), 0)
		if err != nil {
			t.Fatal(err)
		}
		switch got := got.(type) {
		case *redis.Message:
			all = append(all, fmt.Sprintf("message %q %q", got.Channel, got.Payload))
		case *redis.Subscription:
			all = append(all, fmt.Sprintf("%s %q \"\"", got.Kind, got.Channel))
		case *redis.Pong:
			all = append(all, fmt.Sprintf("pong \"\" %q", got.Payload))
		}
	}
	return all
}
