package config

import (
	"log/slog"
	"os"
	"reflect"
	"strings"
	"testing"
	"time"
)

const goodSecret = "0123456789abcdef0123456789abcdef"

// setenv makes the process's environment hold, of our variables, env and a good secret only. Tests that call it can't
// run in parallel: envconfig reads the process's environment.
func setenv(t *testing.T, env map[string]string) {
	t.Helper()
	for _, name := range names() {
		t.Setenv(name, "") // so that it is restored
		if err := os.Unsetenv(name); err != nil {
			t.Fatal(err)
		}
	}
	t.Setenv("JWT_SECRET_KEY", goodSecret)
	for name, value := range env {
		t.Setenv(name, value)
	}
}

func TestDefaults(t *testing.T) {
	setenv(t, nil)
	got, err := Source{}.Load()
	if err != nil {
		t.Fatal(err)
	}
	want := Config{
		WSHost: "0.0.0.0", WSPort: 8081, WSMode: "release", WSAllowedOrigins: []string{"*"}, WSSSE: true,
		WSHandshakeTimeout: 10 * time.Second, WSPingInterval: 30 * time.Second, WSPongWait: 60 * time.Second,
		WSWriteWait: 10 * time.Second, WSMaxMessageSize: 512, WSMaxNotificationSize: 65536, WSReadBufferSize: 1024, WSWriteBufferSize: 1024,
		WSMaxConnections: 10000, WSMaxConnectionsPerUser: 100, WSUserLimit: "refuse",
		WSHandshakeRate: 5000, WSHandshakeBurst: 20000, WSMessageRate: 10, WSMessageBurst: 100,
		WSSlowConsumer: "drop", WSRejectAfterUpgrade: "auto", WSQueueBytes: 4 << 20, WSQueueMessages: 256, WSMaxQueuedBytes: 256 << 20, WSMaxPendingBytes: 32 << 20, WSMaxBroadcastBytes: 32 << 20, WSResumeBytes: 64 << 20, WSGroups: true,
		WSPlain: true, WSTLSPort: 8443, WSTLSMinVersion: "1.2",
		WSDrainRate: 500, WSShutdownTimeout: 25 * time.Second, WSUpgrade: "handover", WSHealthDetail: "full",
		RedisHost: "localhost", RedisPort: 6379, RedisMaxRetries: 3, RedisMinIdleConns: 10, RedisPoolSize: 100,
		RedisPoolTimeout: 4 * time.Second, RedisConnMaxIdleTime: 5 * time.Minute, RedisConnMaxLifetime: 30 * time.Minute,
		RedisFeed: "pattern", RedisUnsubscribeDelay: 10 * time.Second,
		RedisFeedMaxAttempts: 10, RedisFeedRetryDelay: 5 * time.Second, RedisHealthGrace: 15 * time.Second,
		RedisPresenceTTL: time.Minute, HTTPIdempotencyTTL: time.Hour,
		WebhookTimeout: 10 * time.Second, WebhookRetryFor: 10 * time.Minute, WebhookQueueBytes: 32 << 20,
		JWTSecretKey: goodSecret, JWTJWKSRefresh: 15 * time.Minute,
		JWTAlgorithms: []string{"HS256", "RS256", "ES256", "EdDSA"}, JWTUserClaim: "sub",
		LoggerLevel: "info", LoggerConnectionRate: 100, LoggerMode: "production", LoggerEncoding: "json",
		HTTPHost: "127.0.0.1", HTTPPort: 8082, HTTPConsole: true,
	}
	if !reflect.DeepEqual(got, want) {
		t.Errorf("got  %+v\nwant %+v", got, want)
	}
	if ws := (Source{}).Warnings(got, nil); len(ws) != 0 {
		t.Errorf("warnings: %q", ws)
	}
}

func TestLoadReadsTheEnvironment(t *testing.T) {
	setenv(t, map[string]string{
		"WS_PORT": "0", "WS_MODE": "debug", "WS_ALLOWED_ORIGINS": " https://a.example , https://*.b.example,",
		"WS_PONG_WAIT": "1m30s", "REDIS_USE_TLS": "true", "REDIS_USERNAME": "roost", "REDIS_FEED_MAX_ATTEMPTS": "0",
		"DISCORD_WEBHOOK_ID": "123", "DISCORD_WEBHOOK_TOKEN": "a-B_c", "WS_HOST": "::1", "HTTP_HOST": "",
	})
	c, err := Source{}.Load()
	if err != nil {
		t.Fatal(err)
	}
	origins := []string{"https://a.example", "https://*.b.example"}
	if !reflect.DeepEqual(c.WSAllowedOrigins, origins) || c.WSPongWait != 90*time.Second || !c.RedisUseTLS ||
		c.RedisUsername != "roost" || c.RedisFeedMaxAttempts != 0 || c.DiscordWebhookToken != "a-B_c" {
		t.Errorf("got %+v", c)
	}
	if c.WSAddr() != "[::1]:0" || c.HTTPAddr() != ":8082" || c.RedisAddr() != "localhost:6379" {
		t.Errorf("addresses %s %s %s", c.WSAddr(), c.HTTPAddr(), c.RedisAddr())
	}
}

func TestLogLevel(t *testing.T) {
	t.Parallel()
	for _, tt := range []struct {
		level, mode string
		want        slog.Level
	}{
		{"debug", "release", slog.LevelDebug},
		{"info", "release", slog.LevelInfo},
		{"warn", "release", slog.LevelWarn},
		{"error", "release", slog.LevelError},
		{"error", "debug", slog.LevelDebug},
	} {
		if got := (Config{LoggerLevel: tt.level, WSMode: tt.mode}).LogLevel(); got != tt.want {
			t.Errorf("%s in mode %s: %s, want %s", tt.level, tt.mode, got, tt.want)
		}
	}
}

// Every field says which variable it is, in the way that all do, and what it does.
func TestTags(t *testing.T) {
	t.Parallel()
	for _, v := range variables() {
		if strings.ReplaceAll(v.name, "_", "") != strings.ToUpper(v.field.Name) {
			t.Errorf("%s is called %s", v.field.Name, v.name)
		}
		if len(v.desc) < 10 || !strings.HasSuffix(strings.TrimSuffix(v.desc, " openssl rand -hex 32"), ".") &&
			!strings.HasSuffix(v.desc, "openssl rand -hex 32") {
			t.Errorf("%s: desc %q", v.name, v.desc)
		}
		if v.want == "another value" {
			t.Errorf("%s has no text for what is right", v.name)
		}
		v.defaulted() // panics when the default is none
	}
}
