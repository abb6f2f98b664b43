package redisfeed

import (
	"strings"
	"testing"
	"time"

	"roost/redisfeed/publish"
)

func TestConfigNamesTheWrongValue(t *testing.T) {
	t.Parallel()
	tests := []struct {
		name string
		cfg  Config
		want string
	}{
		{"no address", Config{}, "Addr"},
		{"negative attempts", Config{Config: publish.Config{Addr: "a:1"}, MaxAttempts: -1}, "MaxAttempts"},
		{"negative delay", Config{Config: publish.Config{Addr: "a:1"}, RetryDelay: -1}, "RetryDelay"},
		{"negative interval", Config{Config: publish.Config{Addr: "a:1"}, HeartbeatInterval: -1}, "HeartbeatInterval"},
		{"timeout too short", Config{Config: publish.Config{Addr: "a:1"}, HeartbeatTimeout: time.Second}, "HeartbeatTimeout"},
	}
	for _, tt := range tests {
		t.Run(tt.name, func(t *testing.T) {
			t.Parallel()
			if _, err := New(tt.cfg, &collector{}); err == nil || !strings.Contains(err.Error(), tt.want) {
				t.Errorf("New: %v, want an error about %s", err, tt.want)
			}
		})
	}
	if _, err := publish.New(publish.Config{}); err == nil || !strings.Contains(err.Error(), "Addr") {
		t.Errorf("publish.New: %v, want an error about Addr", err)
	}
	if _, err := New(Config{Config: publish.Config{Addr: "a:1"}}, nil); err == nil {
		t.Error("New takes a nil sink")
	}
}

func TestConfigDefaults(t *testing.T) {
	t.Parallel()
	cfg, err := Config{Config: publish.Config{Addr: "a:1"}}.withDefaults()
	if err != nil {
		t.Fatal(err)
	}
	if cfg.HeartbeatInterval != 2*time.Second || cfg.HeartbeatTimeout != 8*time.Second || cfg.Logger == nil {
		t.Errorf("defaults: %+v", cfg)
	}
}
