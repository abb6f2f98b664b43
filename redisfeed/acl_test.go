package redisfeed

import (
	"errors"
	"strings"
	"testing"
	"time"

	"roost/redisfeed/publish"
	"roost/redisfeed/redistest"
)

// The permissions that docs/redis.md lists are enough, and Roost needs each of them.
func TestNarrowACL(t *testing.T) {
	t.Parallel()
	server := redistest.Start(t)
	all := redistest.Documented(t, "..", "Roost, `pattern`")
	redistest.Allow(t, server.Client(), "roost", "pw", all)
	cfg := quick(server.Addr())
	cfg.Username, cfg.Password = "roost", "pw"
	cfg.ClientName = "roost-here" // it may not say so, and works all the same
	worksOver(t, cfg)
	command := must(publish.New(cfg.Config))
	defer command.Close()
	if _, err := command.PublishControl(t.Context(), "a", "x"); err != nil {
		t.Error(err)
	}
	cfg.DB = 1
	cfg.MaxAttempts = 1
	redistest.Allow(t, server.Client(), "otherdb", "pw", append(all, "+select"))
	refused(t, "Run", run(t, cfg, &collector{}).wait(t), "+publish +select &", "pw")
	cfg.Username = "otherdb"
	worksOver(t, cfg)

	for i, missing := range all {
		t.Run("without "+missing, func(t *testing.T) {
			t.Parallel()
			name := "without:" + missing
			redistest.Allow(t, server.Client(), name, "pw", redistest.Without(all, i))
			cfg := quick(server.Addr())
			cfg.Username, cfg.Password, cfg.MaxAttempts = name, "pw", 1
			if missing == "+publish" { // it can listen, and hears nothing of itself
				publisher := must(publish.New(cfg.Config))
				defer publisher.Close()
				_, err := publisher.Publish(t.Context(), "a", "x")
				refused(t, "Publish", err, "lacks a permission, of +publish ", "")
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
	all := redistest.Documented(t, "..", "Roost, on each sentinel")
	least := redistest.Documented(t, "..", "Roost, `pattern`")
	for _, s := range []*redistest.Server{tr.Master, tr.Replica} {
		redistest.Allow(t, s.Client(), "roost", "pw", least)
	}
	for _, s := range tr.Sentinels {
		redistest.Allow(t, s.Client(), "watcher", "pw2", all)
	}
	cfg := watching(tr)
	cfg.Username, cfg.Password, cfg.SentinelUsername, cfg.SentinelPassword = "roost", "pw", "watcher", "pw2"
	cfg.RetryDelay = 100 * time.Millisecond
	feed := connected(t, cfg, &collector{})
	tr.Master.Kill()
	redistest.WaitFor(t, "the feed to follow", func() bool { s := feed.Status(); return s.Connected && s.Gaps >= 1 && s.Ping > 0 })

	for i, missing := range all {
		name := "without:" + missing
		for _, s := range tr.Sentinels {
			redistest.Allow(t, s.Client(), name, "pw2", redistest.Without(all, i))
		}
		cfg := watching(tr)
		cfg.SentinelUsername, cfg.SentinelPassword, cfg.MaxAttempts = name, "pw2", 1
		err := inTime(t, func() error { return run(t, cfg, &collector{}).wait(t) })
		if !errors.Is(err, ErrAuth) || !strings.Contains(err.Error(), strings.Join(all, " ")) {
			t.Errorf("%s: Run: %v", name, err)
		}
	}
}

func must(p *publish.Publisher, err error) *publish.Publisher {
	if err != nil {
		panic(err)
	}
	return p
}
