package httpapi

import (
	"encoding/json"
	"io"
	"io/fs"
	"net/http"
	"regexp"
	"strings"
	"testing"
	"time"
)

func TestConsoleServesItsFilesOnly(t *testing.T) {
	t.Parallel()
	for target, kind := range map[string]string{
		"/":                           "text/html; charset=utf-8",
		"/console/index.html":         "text/html; charset=utf-8",
		"/console/console.css":        "text/css; charset=utf-8",
		"/console/console.js":         "text/javascript; charset=utf-8",
		"/console/icon.svg":           "image/svg+xml",
		"/console.json":               "application/json",
		"/console":                    "",
		"/console/":                   "",
		"/console/nothing.js":         "",
		"/console/../console.go":      "",
		"/console//console.js":        "",
		"/console/%2e%2e/console.go":  "",
		"/httpapi/console/console.js": "",
	} {
		resp := serve(t, Config{Console: true}, "GET", target)
		if kind == "" {
			if resp.StatusCode != http.StatusNotFound {
				t.Errorf("%s: %d", target, resp.StatusCode)
			}
			continue
		}
		if resp.StatusCode != http.StatusOK || resp.Header.Get("Content-Type") != kind {
			t.Errorf("%s: %d %s, want %s", target, resp.StatusCode, resp.Header.Get("Content-Type"), kind)
		}
		if policy := resp.Header.Get("Content-Security-Policy"); target != "/console.json" && !strings.Contains(policy, "default-src 'none'") {
			t.Errorf("%s: policy %q", target, policy)
		}
		if off := serve(t, Config{}, "GET", target); off.StatusCode != http.StatusNotFound {
			t.Errorf("%s: %d where the console is off", target, off.StatusCode)
		}
	}
}

// The page needs nothing from elsewhere, and nothing that its own policy forbids.
func TestConsoleStandsAlone(t *testing.T) {
	t.Parallel()
	elsewhere := regexp.MustCompile(`(?i)(https?:)?//[a-z0-9.-]+\.[a-z]{2,}|<style|\sstyle=|\son[a-z]+=|javascript:|innerHTML`)
	err := fs.WalkDir(consoleFiles, ".", func(path string, d fs.DirEntry, err error) error {
		if err != nil || d.IsDir() {
			return err
		}
		content, err := fs.ReadFile(consoleFiles, path)
		text := strings.ReplaceAll(string(content), "http://www.w3.org/2000/svg", "") // a name, not an address
		if found := elsewhere.FindString(text); found != "" {
			t.Errorf("%s has %q in it", path, found)
		}
		return err
	})
	if err != nil {
		t.Fatal(err)
	}
}

func TestConsoleJSON(t *testing.T) {
	t.Parallel()
	started := time.Now().Add(-time.Hour)
	s := newServer(t, Config{
		Console: true, Version: "1.2.3", Started: started,
		Redis:  func() RedisState { return RedisState{Err: "refused"} },
		Limits: func(s Stats) []Limit { return []Limit{{Name: "Connections", Used: int64(s.Connections), Max: 9}} },
	})
	s.history.begin(started)
	s.history.take(started.Add(10 * time.Second))
	s.history.take(started.Add(20 * time.Second))
	var got Overview
	if err := json.NewDecoder(ask(s, "GET", "/console.json").Body).Decode(&got); err != nil {
		t.Fatal(err)
	}
	stats := someStats()
	switch {
	case got.Status != degraded, got.Redis.Error != "refused", got.Version != "1.2.3", got.Uptime < 3600, got.Uptime > int64(time.Since(started)/time.Second), got.Started != started.UnixMilli():
		t.Errorf("about the process: %+v", got)
	case got.Connections != stats.Connections, got.Users != stats.Users, got.Counters.Received != stats.NotificationsReceived,
		got.Counters.Sent != stats.DeliveriesSent, got.Counters.Gaps != stats.RedisGaps, got.Counters.Reconnects != stats.RedisReconnects,
		len(got.Loops) != 2 || got.Loops[1] != (OverviewLoop{Busy: 2, Mailbox: 48}), got.Counters.Failed != 63, got.Waiting != stats.DeliveriesWaiting, got.Stalled != stats.Stalled:
		t.Errorf("numbers: %+v", got)
	case got.Refused["full"] != 11, got.Closed["client_left"] != 13, got.Failed["gone"] != 32, got.Invalid["type"] != 22:
		t.Errorf("reasons: %+v", got)
	case len(got.Limits) < 2 || got.Limits[1].Name != "Open files" || got.Limits[0].Used != int64(stats.Connections), got.Memory < 1<<20, len(got.History) != 2, got.Latest == nil || got.Latest.At != got.History[1].At:
		t.Errorf("the rest: %+v", got)
	}
	body, _ := io.ReadAll(ask(s, "GET", "/console.json?since="+"9999999999").Body)
	if !strings.Contains(string(body), `"history":[]`) {
		t.Errorf("with no history: %s", body)
	}
	if resp := ask(s, "GET", "/console.json?since=yesterday"); resp.StatusCode != http.StatusBadRequest {
		t.Errorf("a wrong since: %d", resp.StatusCode)
	}
	if resp := ask(s, "GET", "/console.json?range=year"); resp.StatusCode != http.StatusBadRequest {
		t.Errorf("a wrong range: %d", resp.StatusCode)
	}
	body, _ = io.ReadAll(ask(s, "GET", "/console.json?range=day").Body)
	if !strings.Contains(string(body), `"history":[],"history_kept":360,"history_every_seconds":240`) {
		t.Errorf("the day: %s", body)
	}
	if want := (OverviewResume{Window: 40, Wanted: 120, Bytes: 61, Room: 62, Resumed: 63}); got.Resume == nil || *got.Resume != want {
		t.Errorf("resume is %+v, want %+v", got.Resume, want)
	}
}

// The page offers to publish to those who may, and to nobody else.
func TestConsoleSaysWhoMayPublish(t *testing.T) {
	t.Parallel()
	publishing := &Publishing{Check: func(Publication) error { return nil }}
	for _, test := range []struct {
		name    string
		cfg     Config
		headers []string
		want    bool
	}{
		{"no token", Config{Publishing: publishing}, nil, false},
		{"the token", Config{Publishing: publishing, Token: "secret"}, []string{"Authorization", "Bearer secret"}, true},
		{"nothing publishes", Config{Token: "secret"}, []string{"Authorization", "Bearer secret"}, false},
	} {
		test.cfg.Console = true
		var got Overview
		if err := json.NewDecoder(serve(t, test.cfg, "GET", "/console.json", test.headers...).Body).Decode(&got); err != nil {
			t.Fatal(err)
		}
		if got.MayPublish != test.want {
			t.Errorf("%s: %v", test.name, got.MayPublish)
		}
	}
}
