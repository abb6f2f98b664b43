package redisfeed

import (
	"log/slog"
	"strings"
	"testing"
	"time"
)

func TestConfigNamesTheWrongValue(t *testing.T) {
	t.Parallel()
	tests := []struct {
		name string
		cfg  Config
		want string
	}{
		{"no address", Config{}, "Addr"},
		{"negative attempts", Config{Addr: "a:1", MaxAttempts: -1}, "MaxAttempts"},
		{"negative delay", Config{Addr: "a:1", RetryDelay: -1}, "RetryDelay"},
		{"negative interval", Config{Addr: "a:1", HeartbeatInterval: -1}, "HeartbeatInterval"},
		{"timeout too short", Config{Addr: "a:1", HeartbeatTimeout: time.Second}, "HeartbeatTimeout"},
	}
	for _, tt := range tests {
		t.Run(tt.name, func(t *testing.T) {
			t.Parallel()
			if _, err := New(tt.cfg, &collector{}); err == nil || !strings.Contains(err.Error(), tt.want) {
				t.Errorf("New: %v, want an error about %s", err, tt.want)
			}
			if _, err := NewPublisher(tt.cfg); err == nil || !strings.Contains(err.Error(), tt.want) {
				t.Errorf("NewPublisher: %v, want an error about %s", err, tt.want)
			}
		})
	}
	if _, err := New(Config{Addr: "a:1"}, nil); err == nil {
		t.Error("New takes a nil sink")
	}
}

func TestConfigDefaults(t *testing.T) {
	t.Parallel()
	cfg, err := Config{Addr: "a:1"}.withDefaults()
	if err != nil {
		t.Fatal(err)
	}
	if cfg.HeartbeatInterval != 2*time.Second || cfg.HeartbeatTimeout != 8*time.Second || cfg.Logger == nil {
		t.Errorf("defaults: %+v", cfg)
	}
}

func TestPoolOptions(t *testing.T) {
	t.Parallel()
	cfg := Config{
		Addr: "a:1", Username: "u", Password: "p", DB: 3, MinIdleConns: 2, PoolSize: 7,
		PoolTimeout: time.Second, ConnMaxIdleTime: time.Minute, ConnMaxLifetime: time.Hour,
	}
	o := poolOptions(t.Context(), cfg)
	if o.Addr != "a:1" || o.Username != "u" || o.Password != "p" || o.DB != 3 || o.MinIdleConns != 2 || o.PoolSize != 7 ||
		o.PoolTimeout != time.Second || o.ConnMaxIdleTime != time.Minute || o.ConnMaxLifetime != time.Hour {
		t.Errorf("options: %+v", o)
	}
	if o.Protocol != 2 {
		t.Errorf("RESP%d", o.Protocol)
	}
	if o.MaxRetries != -1 {
		t.Errorf("MaxRetries 0 became %d, which go-redis does not take for none", o.MaxRetries)
	}
	cfg.MaxRetries = 4
	if o := poolOptions(t.Context(), cfg); o.MaxRetries != 4 {
		t.Errorf("MaxRetries 4 became %d", o.MaxRetries)
	}
}

func TestLibraryLogIsDebug(t *testing.T) {
	t.Parallel()
	var out logLines
	libraryLog{out.logger()}.Printf(t.Context(), "dial %d", 7)
	if out.String() != "" {
		t.Errorf("logged at info: %s", out.String())
	}
	debug := slog.New(slog.NewTextHandler(&out, &slog.HandlerOptions{Level: slog.LevelDebug}))
	libraryLog{debug}.Printf(t.Context(), "dial %d", 7)
	if !strings.Contains(out.String(), "go-redis: dial 7") {
		t.Errorf("not logged at debug: %q", out.String())
	}
}
