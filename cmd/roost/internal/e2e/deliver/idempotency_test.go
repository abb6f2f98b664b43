package deliver

import (
	"context"
	"fmt"
	"io"
	"net"
	"net/http"
	"strings"
	"sync"
	"syscall"
	"testing"

	"roost/cmd/roost/internal/e2e"
	"roost/cmd/roost/internal/roosttest"
	"roost/redisfeed/redistest"
)

const adminToken = "0123456789abcdef"

// answer is that to a request to /publish.
type answer struct {
	code     int
	replayed bool
	body     string
}

// publishWithKey posts to /publish, and again for as long as the answer is 503, as clients do.
func publishWithKey(t *testing.T, server *roosttest.Server, key, body string) (a answer) {
	t.Helper()
	roosttest.WaitFor(t, "an answer that is not 503", func() bool {
		a = publishWithKeyOnce(t, server, key, body)
		return a.code != http.StatusServiceUnavailable
	})
	return a
}

// publishWithKeyOnce posts to /publish.
func publishWithKeyOnce(t *testing.T, server *roosttest.Server, key, body string) (a answer) {
	t.Helper()
	r, err := http.NewRequestWithContext(context.Background(), http.MethodPost, "http://"+server.HTTP+"/publish", strings.NewReader(body))
	if err != nil {
		t.Error(err)
		return a
	}
	r.Header = http.Header{"Content-Type": {"application/json"}, "Authorization": {"Bearer " + adminToken}, "Idempotency-Key": {key}}
	response, err := http.DefaultClient.Do(r)
	if err != nil {
		t.Error(err)
		return a
	}
	defer response.Body.Close()
	text, err := io.ReadAll(response.Body)
	if err != nil {
		t.Error(err)
	}
	return answer{response.StatusCode, response.Header.Get("Idempotent-Replayed") == "true", string(text)}
}

// forAll is a request for alice, for everyone and for alice again.
func forAll(name string) string {
	return fmt.Sprintf(`[{"user":"alice","notification":{"type":"%s 1"}},{"everyone":true,"notification":{"type":"%[1]s all"}},{"user":"alice","notification":{"type":"%[1]s 2"}}]`, name)
}

// A request with a key reaches each client once: repeated at the same instance, at another one, at once, after its client hung up, and
// after a restart of its instance.
func TestIdempotencyKey(t *testing.T) {
	eachFeed(t, func(t *testing.T, b *feedSide) {
		env := roosttest.Env{"HTTP_TOKEN": adminToken}
		servers := []*roosttest.Server{b.start(t, env), b.start(t, env)}
		clients := []*roosttest.Client{servers[0].Connect("alice"), servers[1].Connect("alice")}
		for _, server := range servers {
			b.awaitHeard(t, server.WithToken(adminToken), 1)
		}
		names := 0
		check := func(name string) { // that it came once: what is published behind it is the next
			t.Helper()
			end := publishWithKey(t, servers[1], "end of "+name, forAll("end of "+name))
			if end.code != 200 {
				t.Fatalf("%s: %+v", name, end)
			}
			for i, client := range clients {
				names += 1 - i
				seen := make(map[string]int)
				for _, message := range client.WaitMessages(6 * names) {
					seen[strings.TrimPrefix(strings.SplitN(message, `",`, 2)[0], `{"type":"`)]++
				}
				for _, want := range []string{name + " 1", name + " all", name + " 2"} {
					if seen[want] != 1 {
						t.Errorf("%s: client %d got %v", name, i, seen)
					}
				}
			}
		}

		first := publishWithKey(t, servers[0], "k", forAll("again"))
		if first.code != 200 {
			t.Fatalf("the first: %+v", first)
		}
		for i, server := range []*roosttest.Server{servers[0], servers[1], servers[0]} {
			if again := publishWithKey(t, server, `"k"`, forAll("again")); again != (answer{200, true, first.body}) {
				t.Errorf("request %d: %+v, the first was %+v", i, again, first)
			}
		}
		if other := publishWithKey(t, servers[1], "k", forAll("other")); other.code != 422 || !strings.Contains(other.body, "another body") {
			t.Errorf("another body: %+v", other)
		}
		check("again")

		var all sync.WaitGroup
		for i := range 20 {
			all.Go(func() {
				if a := publishWithKey(t, servers[i%2], "at once", forAll("at once")); a.code != 200 || a.body != first.body {
					t.Errorf("at once: %+v", a)
				}
			})
		}
		all.Wait()
		check("at once")

		hangUp(t, servers[0], "hung up", forAll("hung up"))
		for i, server := range servers {
			if a := publishWithKey(t, server, "hung up", forAll("hung up")); a.code != 200 || i == 1 && !a.replayed {
				t.Errorf("after its client hung up: %+v", a)
			}
		}
		check("hung up")

		if a := publishWithKey(t, servers[0], "restart", forAll("restart")); a.code != 200 {
			t.Errorf("before a restart: %+v", a)
		}
		servers[0].Signal(syscall.SIGKILL)
		servers[0].Wait()
		another := b.start(t, env)
		if a := publishWithKey(t, another, "restart", forAll("restart")); a.code != 200 || !a.replayed {
			t.Errorf("after a restart: %+v", a)
		}
		clients = clients[1:]
		check("restart")
		if m := another.WithToken(adminToken).Metrics(); m["roost_publish_repeats_total"] != 1 || m.Sum("roost_publish_publications_total") != 0 {
			t.Errorf("counted %v repeats and %v publications", m["roost_publish_repeats_total"], m.Sum("roost_publish_publications_total"))
		}
	})
}

// hangUp sends a request and does not wait for its answer.
func hangUp(t *testing.T, server *roosttest.Server, key, body string) {
	t.Helper()
	conn, err := net.Dial("tcp", server.HTTP)
	if err != nil {
		t.Fatal(err)
	}
	defer conn.Close()
	_, err = fmt.Fprintf(conn, "POST /publish HTTP/1.1\r\nHost: x\r\nContent-Type: application/json\r\nAuthorization: Bearer %s\r\nIdempotency-Key: %s\r\nContent-Length: %d\r\n\r\n%s",
		adminToken, key, len(body), body)
	if err != nil {
		t.Fatal(err)
	}
}

// While Redis does not answer nobody knows what is published. The same request says it later, and nothing comes twice.
func TestIdempotencyKeyWhileRedisHangs(t *testing.T) {
	if testing.Short() {
		t.Skip("waits until Redis has not answered for five seconds")
	}
	t.Parallel()
	redis := redistest.Start(t)
	server := roosttest.Start(t, redis, roosttest.Env{"HTTP_TOKEN": adminToken})
	alice := server.Connect("alice")
	redis.Pause()
	if a := publishWithKeyOnce(t, server, "k", forAll("k")); a.code != 503 {
		t.Errorf("while it hangs: %+v", a)
	}
	redis.Resume()
	if a := publishWithKey(t, server, "k", forAll("k")); a.code != 200 {
		t.Errorf("once it is back: %+v", a)
	}
	roosttest.WaitFor(t, "the end", func() bool {
		e2e.Notify(redis, "alice", `{"type":"end"}`) // once the link is back, if it was lost
		all := alice.Messages()
		return len(all) > 0 && strings.HasPrefix(all[len(all)-1], `{"type":"end"`)
	})
	seen := make(map[string]int)
	for _, message := range alice.Messages() {
		if name := strings.SplitN(message, `",`, 2)[0]; strings.HasPrefix(name, `{"type":"k `) {
			if seen[name]++; seen[name] > 1 {
				t.Errorf("%s came %d times", name, seen[name])
			}
		}
	}
}

// A server that is to remember no keys, or whose user of Redis may not, says so and publishes nothing.
func TestIdempotencyKeyIsRefused(t *testing.T) {
	t.Parallel()
	redis := redistest.Start(t)
	redistest.Paste(t, redis.Client(), e2e.Root, "Roost, `pattern`")
	heard := redis.Client().PSubscribe(t.Context(), "user_noti:*")
	defer heard.Close()
	if _, err := heard.Receive(t.Context()); err != nil {
		t.Fatal(err)
	}
	const body = `{"user":"alice","notification":{"type":"x"}}`
	narrow := roosttest.Start(t, redis, roosttest.Env{"HTTP_TOKEN": adminToken, "REDIS_USERNAME": "roost", "REDIS_PASSWORD": "secret"})
	off := roosttest.Start(t, redis, roosttest.Env{"HTTP_TOKEN": adminToken, "HTTP_IDEMPOTENCY_TTL": "0s"})
	if a := publishWithKeyOnce(t, narrow, "k", body); a.code != 503 || !strings.Contains(a.body, "+evalsha +eval +get +set ~roost:idempotency:*") {
		t.Errorf("without permission: %+v", a)
	}
	if a := publishWithKey(t, off, "k", body); a.code != 400 || !strings.Contains(a.body, "HTTP_IDEMPOTENCY_TTL") {
		t.Errorf("without keys: %+v", a)
	}
	redistest.Paste(t, redis.Client(), e2e.Root, "… with `Idempotency-Key`")
	if a := publishWithKey(t, narrow, "k", body); a.code != 200 || a.replayed {
		t.Errorf("with permission: %+v", a)
	}
	e2e.Notify(redis, "alice", "end")
	ctx, cancel := context.WithTimeout(t.Context(), redistest.Patience)
	defer cancel()
	for _, want := range []string{`{"type":"x"}`, "end"} {
		if m, err := heard.ReceiveMessage(ctx); err != nil || m.Payload != want {
			t.Errorf("published %v, %v, want %s", m, err, want)
		}
	}
}
