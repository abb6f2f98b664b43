package redisfeed

import (
	"net/http"
	"net/http/httptest"
	"strings"
	"testing"

	"roost/redisfeed/redistest"
)

// An error names the kind of server that answers in Redis's place, with the variable to change.
func TestWhatAnswersIsNotAsConfigured(t *testing.T) {
	t.Parallel()
	web := httptest.NewServer(http.NotFoundHandler())
	t.Cleanup(web.Close)
	plain := redistest.Start(t)
	authority := redistest.NewAuthority(t)
	secured := redistest.TLS{Authority: authority, Shown: authority.Issue("127.0.0.1")}
	for name, tt := range map[string]struct {
		change func(*Config)
		says   string
	}{
		"a port that wants TLS": {func(c *Config) { c.Addr = redistest.StartTLS(t, secured).Addr() }, "REDIS_USE_TLS has to be true"},
		"a web server":          {func(c *Config) { c.Addr = web.Listener.Addr().String() }, "speaks HTTP"},
		"no such database":      {func(c *Config) { c.Addr, c.DB = plain.Addr(), 4711 }, "REDIS_DB"},
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			cfg := quick("")
			tt.change(&cfg)
			var log redistest.Log
			cfg.Logger = log.Logger()
			feed := run(t, cfg, new(collector))
			redistest.WaitFor(t, "what is wrong to be said", func() bool { return strings.Contains(feed.Status().Err, tt.says) })
		})
	}
}

// A user without a password is that user, and not the default one: Redis knows such as nopass. One that has a password is
// refused in words.
func TestUserWithoutPassword(t *testing.T) {
	t.Parallel()
	server := redistest.Start(t)
	client := server.Client()
	for _, args := range [][]any{
		{"ACL", "SETUSER", "open", "reset", "on", "nopass", "~*", "&*", "+@all"},
		{"ACL", "SETUSER", "closed", "reset", "on", ">pw", "~*", "&*", "+@all"},
	} {
		if err := client.Do(t.Context(), args...).Err(); err != nil {
			t.Fatal(err)
		}
	}
	cfg := quick(server.Addr())
	cfg.Username, cfg.ClientName = "open", "roost-here"
	feed := connected(t, cfg, new(collector))
	list, err := client.ClientList(t.Context()).Result()
	if err != nil || !strings.Contains(list, "name=roost-here") || !strings.Contains(list, "user=open") {
		t.Errorf("CLIENT LIST: %v\n%s", err, list)
	}
	_ = feed
	cfg.Username = "closed"
	refused := run(t, cfg, new(collector))
	redistest.WaitFor(t, "the refusal", func() bool {
		return strings.Contains(refused.Status().Err, "none is configured (REDIS_PASSWORD beside REDIS_USERNAME)")
	})
}
