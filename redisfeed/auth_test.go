package redisfeed

import (
	"errors"
	"strings"
	"testing"

	"roost/redisfeed/publish"
	"roost/redisfeed/redistest"
)

func TestPasswords(t *testing.T) {
	t.Parallel()
	server := redistest.Start(t, "--requirepass", "secret")
	tests := []struct {
		name, username, password string
		db                       int
		want                     string // in the error; empty: it works
	}{
		{name: "right", password: "secret"},
		{name: "right with the default user's name", username: "default", password: "secret", db: 2},
		{name: "none", want: "wants a password and none is configured"},
		{name: "none, other database", db: 2, want: "wants a password and none is configured"},
		{name: "wrong", password: "guess", want: "wrong user name or password"},
		{name: "wrong user", username: "nobody", password: "secret", want: "wrong user name or password"},
	}
	for _, tt := range tests {
		t.Run(tt.name, func(t *testing.T) {
			t.Parallel()
			cfg := quick(server.Addr())
			cfg.Username, cfg.Password, cfg.DB, cfg.MaxAttempts = tt.username, tt.password, tt.db, 2
			if tt.want == "" {
				feed := connected(t, cfg, &collector{})
				redistest.WaitFor(t, "a ping", func() bool { return feed.Status().Ping > 0 })
				return
			}
			feed := run(t, cfg, &collector{})
			refused(t, "Run", feed.wait(t), tt.want, cfg.Password)
			if s := feed.Status(); !strings.Contains(s.Err, tt.want) {
				t.Errorf("status says %q", s.Err)
			}
			publisher, err := publish.New(cfg.Config)
			if err != nil {
				t.Fatal(err)
			}
			defer publisher.Close()
			_, err = publisher.Publish(t.Context(), "a", "x")
			refused(t, "Publish", err, tt.want, cfg.Password)
		})
	}
}

// refused checks that err says what was refused, in our words and Redis's, and keeps the password to itself.
func refused(t *testing.T, what string, err error, want, secret string) {
	t.Helper()
	if !errors.Is(err, ErrAuth) || !strings.Contains(err.Error(), want) {
		t.Errorf("%s: %v, want ErrAuth and %q", what, err, want)
		return
	}
	if secret != "" && strings.Contains(err.Error(), secret) {
		t.Errorf("%s: the error carries the password: %v", what, err)
	}
}
