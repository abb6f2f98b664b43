package redisfeed

import (
	"errors"
	"os"
	"regexp"
	"strings"
	"testing"
	"time"

	"github.com/redis/go-redis/v9"

	"roost/redisfeed/redistest"
)

// documented are the permissions in README.md that begin with the first of them.
func documented(t *testing.T, first string) []string {
	t.Helper()
	readme, err := os.ReadFile("../README.md")
	if err != nil {
		t.Fatal(err)
	}
	found := regexp.MustCompile("`(" + regexp.QuoteMeta(first) + " [^`]+)`").FindStringSubmatch(string(readme))
	if found == nil {
		t.Fatalf("README.md has no permissions that begin with %s", first)
	}
	return strings.Fields(found[1])
}

// allow makes a user that may do nothing but that.
func allow(t *testing.T, client *redis.Client, name, password string, permissions []string) {
	t.Helper()
	args := []any{name, "on", ">" + password, "resetchannels", "-@all"}
	for _, p := range permissions {
		args = append(args, p)
	}
	setUser(t, client, args...)
}

// without is a list that lacks one.
func without(list []string, n int) []string {
	return append(append([]string(nil), list[:n]...), list[n+1:]...)
}

// What README.md gives the user is enough, and nothing of it is too much.
func TestNarrowACL(t *testing.T) {
	t.Parallel()
	server := redistest.Start(t)
	all := documented(t, "+psubscribe")
	allow(t, server.Client(), "roost", "pw", all)
	cfg := quick(server.Addr())
	cfg.Username, cfg.Password = "roost", "pw"
	worksOver(t, cfg)
	command := must(NewPublisher(cfg))
	defer command.Close()
	if _, err := command.PublishControl(t.Context(), "a", "x"); err != nil {
		t.Error(err)
	}
	cfg.DB = 1
	cfg.MaxAttempts = 1
	allow(t, server.Client(), "otherdb", "pw", append(all, "+select"))
	refused(t, "Run", run(t, cfg, &collector{}).wait(t), "lacks a permission", "pw")
	cfg.Username = "otherdb"
	worksOver(t, cfg)

	for i, missing := range all {
		t.Run("without "+missing, func(t *testing.T) {
			t.Parallel()
			name := "without:" + missing
			allow(t, server.Client(), name, "pw", without(all, i))
			cfg := quick(server.Addr())
			cfg.Username, cfg.Password, cfg.MaxAttempts = name, "pw", 1
			if missing == "+publish" { // it can listen, and hears nothing of itself
				publisher := must(NewPublisher(cfg))
				defer publisher.Close()
				_, err := publisher.Publish(t.Context(), "a", "x")
				refused(t, "Publish", err, strings.Join(all, " "), "")
				return
			}
			refused(t, "Run", run(t, cfg, &collector{}).wait(t), strings.Join(all, " "), "")
		})
	}
}

// The same for the sentinels' user.
func TestNarrowSentinelACL(t *testing.T) {
	t.Parallel()
	tr := redistest.StartTrio(t, nil)
	all := documented(t, "+sentinel|master")
	least := documented(t, "+psubscribe")
	for _, s := range []*redistest.Server{tr.Master, tr.Replica} {
		allow(t, s.Client(), "roost", "pw", least)
	}
	for _, s := range tr.Sentinels {
		allow(t, s.Client(), "watcher", "pw2", all)
	}
	cfg := watching(tr)
	cfg.Username, cfg.Password, cfg.SentinelUsername, cfg.SentinelPassword = "roost", "pw", "watcher", "pw2"
	cfg.RetryDelay = 100 * time.Millisecond
	feed := connected(t, cfg, &collector{})
	tr.Master.Kill()
	waitFor(t, "the feed to follow", func() bool { s := feed.Status(); return s.Connected && s.Gaps == 1 && s.Ping > 0 })

	for i, missing := range all {
		name := "without:" + missing
		for _, s := range tr.Sentinels {
			allow(t, s.Client(), name, "pw2", without(all, i))
		}
		cfg := watching(tr)
		cfg.SentinelUsername, cfg.SentinelPassword, cfg.MaxAttempts = name, "pw2", 1
		err := run(t, cfg, &collector{}).wait(t)
		if !errors.Is(err, ErrAuth) || !strings.Contains(err.Error(), strings.Join(all, " ")) {
			t.Errorf("%s: Run: %v", name, err)
		}
	}
}

func must(p *Publisher, err error) *Publisher {
	if err != nil {
		panic(err)
	}
	return p
}
