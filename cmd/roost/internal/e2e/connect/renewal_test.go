package connect

import (
	"encoding/json"
	"slices"
	"strings"
	"testing"
	"time"

	"roost/cmd/roost/internal/e2e"
	"roost/cmd/roost/internal/roosttest"
)

// A new token over an open connection changes its groups and its expiry; one that is refused changes nothing.
func TestTokenIsRenewed(t *testing.T) {
	t.Parallel()
	redis, server := e2e.Start(t, roosttest.Env{"WS_CLOSE_ON_EXPIRY": "true", "WS_MAX_MESSAGE_SIZE": "64"})
	sign := func(user string, expires time.Duration, groups ...string) string {
		claims := roosttest.Claims{"sub": user, "exp": time.Now().Add(expires).Unix(), "padding": strings.Repeat("x", 3000)}
		if len(groups) > 0 {
			claims["groups"] = groups
		}
		return roosttest.Sign(t, "HS256", roosttest.Secret, claims)
	}
	renew := func(c *roosttest.Client, token string) { c.Send(`{"type":"auth","token":"` + token + `"}`) }
	client := server.ConnectWith(sign("alice", time.Hour, "old"), roosttest.Dial{})
	redis.Publish("user_ctl:alice", `{"join":["room"]}`)
	server.WaitMetric(`roost_group_changes_total{change="joined"}`, 1)

	renew(client, sign("alice", 2*time.Hour, "new"))
	first := client.WaitMessages(1)[0]
	expires := renewedUntil(t, first)
	if left := time.Until(expires); left < time.Hour || left > 3*time.Hour {
		t.Errorf("%s: in %s, want two hours", first, left)
	}
	renew(client, sign("bob", time.Hour))
	if second := client.WaitMessages(2)[1]; second != `{"type":"_auth","payload":{"ok":false,"code":4403,"reason":"token of another user: a connection keeps its user"}}` {
		t.Errorf("got %s", second)
	}
	server.WaitMetric(`roost_token_renewals_total{result="renewed"}`, 1)
	server.WaitMetric(`roost_token_renewals_total{result="other_user"}`, 1)
	for _, group := range []string{"old", "new", "room"} {
		redis.Publish("group_noti:"+group, `{"type":"n","payload":"`+group+`"}`)
	}
	e2e.Notify(redis, "alice", `{"type":"n","payload":"alice"}`)
	var got []string
	for _, message := range client.WaitMessages(5)[2:] {
		_, rest, _ := strings.Cut(message, `"payload":"`)
		payload, _, _ := strings.Cut(rest, `"`)
		got = append(got, payload)
	}
	if slices.Sort(got); !slices.Equal(got, []string{"alice", "new", "room"}) {
		t.Errorf("got %q", got)
	}
	p := roosttest.Run(t, roosttest.Command{Args: []string{"why", "alice", "--url", "http://" + server.HTTP}})
	if code := p.Wait(); code != 0 {
		t.Fatalf("roost why ended with %d: %s", code, p.Stderr.String())
	}
	for _, want := range []string{"its token expires " + expires.UTC().Format("2006-01-02 15:04:05 UTC"), "in the groups new, room (joined)"} {
		if !strings.Contains(p.Log.String(), want) {
			t.Errorf("roost why says nothing of %q:\n%s", want, p.Log.String())
		}
	}
}

// renewedUntil reads the answer to a good token.
func renewedUntil(t *testing.T, message string) time.Time {
	t.Helper()
	var answer struct {
		Type    string
		Payload struct {
			OK      bool
			Expires time.Time
		}
	}
	if err := json.Unmarshal([]byte(message), &answer); err != nil || answer.Type != "_auth" || !answer.Payload.OK {
		t.Fatalf("answered %s: %v", message, err)
	}
	return answer.Payload.Expires
}
