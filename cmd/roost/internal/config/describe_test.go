package config

import (
	"strings"
	"testing"
	"unicode/utf8"
)

func TestDescribe(t *testing.T) {
	setenv(t, map[string]string{"REDIS_PASSWORD": "hush", "WS_PONG_WAIT": "90s", "WS_ALLOWED_ORIGINS": "https://a.example,b"})
	c, err := Source{}.Load()
	if err != nil {
		t.Fatal(err)
	}
	rows := map[string]Row{}
	for _, r := range c.Describe() {
		rows[r.Name] = r
	}
	if len(rows) != len(variables()) {
		t.Fatalf("%d rows", len(rows))
	}
	for _, want := range []Row{
		{Name: "WS_PORT", Default: "8081", Current: "8081"},
		{Name: "WS_PONG_WAIT", Default: "60s", Current: "90s", Set: true},
		{Name: "WS_PING_INTERVAL", Default: "30s", Current: "30s"},
		{Name: "REDIS_CONN_MAX_IDLE_TIME", Default: "5m", Current: "5m"},
		{Name: "WS_ALLOWED_ORIGINS", Default: "*", Current: "https://a.example,b", Set: true, Reload: true},
		{Name: "REDIS_PASSWORD", Current: mask, Set: true},
		{Name: "JWT_SECRET_KEY", Current: mask, Set: true, Reload: true},
		{Name: "DISCORD_WEBHOOK_TOKEN"},
	} {
		got := rows[want.Name]
		got.Desc = ""
		if got != want {
			t.Errorf("got %+v, want %+v", got, want)
		}
	}
}

// Defaults are not marked as set, however the tag spells them.
func TestDescribeOfDefaults(t *testing.T) {
	setenv(t, nil)
	c, err := Source{}.Load()
	if err != nil {
		t.Fatal(err)
	}
	for _, r := range c.Describe() {
		if r.Set && r.Name != "JWT_SECRET_KEY" {
			t.Errorf("%s: default %q, current %q", r.Name, r.Default, r.Current)
		}
	}
}

func TestWrite(t *testing.T) {
	setenv(t, map[string]string{"REDIS_PASSWORD": "hush", "REDIS_HOST": "redis.internal.production.example"})
	c, err := Source{}.Load()
	if err != nil {
		t.Fatal(err)
	}
	var b strings.Builder
	if err := (Source{}).Write(&b, c); err != nil {
		t.Fatal(err)
	}
	for _, secret := range []string{"hush", goodSecret} {
		if strings.Contains(b.String(), secret) {
			t.Errorf("%q is printed", secret)
		}
	}
	for line := range strings.Lines(b.String()) {
		if n := utf8.RuneCountInString(line) - 1; n > 110 || strings.TrimRight(line, " \n") == "" {
			t.Errorf("%d characters: %q", n, line)
		}
	}
	for _, want := range []string{
		"VARIABLE                     DEFAULT       CURRENT       WHAT IT DOES\n",
		"WS_PORT                      8081          8081          Port on which WebSocket connections are accepted.",
		"\nREDIS_HOST                   localhost     redis.internal.production.example\n" +
			"                                                         Host of the Redis that backends publish to. Not used\n",
		"\nREDIS_PASSWORD               -             ********      Password of Redis. Empty: none. Or\n",
	} {
		if !strings.Contains(b.String(), want) {
			t.Errorf("no %q in\n%s", want, b.String())
		}
	}
}

func TestShortDurationIsReadTheSame(t *testing.T) {
	setenv(t, nil)
	for in, want := range map[string]string{"60s": "60s", "2m": "2m", "119s": "119s", "125s": "2m5s", "1h": "1h", "90m": "1h30m", "1h0m5s": "1h0m5s", "100ms": "100ms", "10s": "10s"} {
		t.Setenv("WS_PONG_WAIT", in)
		c, err := Read()
		if err != nil {
			t.Fatal(err)
		}
		if got := shortDuration(c.WSPongWait); got != want {
			t.Errorf("%s: %s, want %s", in, got, want)
		}
	}
}

func TestWriteSaysWhatIsFromTheFile(t *testing.T) {
	path := withFile(t, "WS_PORT=9\nWS_MODE=debug\n", map[string]string{"WS_MODE": "release"})
	source, err := Open()
	if err != nil {
		t.Fatal(err)
	}
	c, err := source.Load()
	if err != nil {
		t.Fatal(err)
	}
	var b strings.Builder
	if err := source.Write(&b, c); err != nil {
		t.Fatal(err)
	}
	if n := strings.Count(b.String(), "(From"); n != 1 || !strings.Contains(strings.Join(strings.Fields(b.String()), " "), "printed at the start. (From "+path+".) WS_MODE") {
		t.Errorf("%d values from the file:\n%s", n, b.String())
	}
}
