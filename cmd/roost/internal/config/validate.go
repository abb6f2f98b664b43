package config

import (
	"fmt"
	"maps"
	"net/netip"
	"reflect"
	"slices"
	"strings"
	"time"

	"roost/cmd/roost/internal/tokenkeys"
	"roost/wsproto/auth"
)

// Limits of what makes sense, wide enough never to stand in anybody's way.
const (
	maxPort           = 65535
	maxClientMessage  = 1 << 20
	maxReadBuffer     = 1 << 20
	minPendingBytes   = 1 << 20
	minBroadcastBytes = 1 << 20
	minResumeBytes    = 1 << 20
	minResumeWindow   = 10 * time.Second
	maxResumeWindow   = time.Hour
	maxWriteBuffer    = 16 << 20
	maxRetries        = 100
	maxFlushWindow    = 100 * time.Millisecond
	minPresenceTTL    = 10 * time.Second
	maxPresenceTTL    = time.Hour
	minIdempotencyTTL = time.Minute
	maxIdempotencyTTL = 168 * time.Hour
	drainSlack        = 5 * time.Second // of WS_SHUTDOWN_TIMEOUT, for what is left after the drain
)

// Validate checks what the values mean. Its error, when not nil, is Problems.
func (c Config) Validate() error { return c.check(nil).err() }

// check finds all problems but unread, which are known: those variables hold their defaults.
func (c Config) check(unread Problems) Problems {
	var bad Problems
	ok := c.valid()
	for _, v := range variables() {
		fine, checked := ok[v.name]
		if d, is := reflect.ValueOf(c).Field(v.index).Interface().(time.Duration); is && !checked {
			fine, checked = d > 0, true
		}
		if checked && !fine && !unread.names(v.fileName()) {
			bad = append(bad, v.problem(v.current(c)))
		}
	}
	return append(bad, c.conflicts(slices.Concat(unread, bad))...)
}

// valid says of each variable that can be wrong by itself whether it is right. Durations that it does not name have to be above
// zero.
func (c Config) valid() map[string]bool {
	all := c.validClients()
	for _, more := range []map[string]bool{c.validEnds(), c.validTLS(), c.validRedis(), c.validWebhook(), c.validTokens(), c.validOperators()} {
		maps.Copy(all, more)
	}
	return all
}

func (c Config) validClients() map[string]bool {
	return map[string]bool{
		"WS_HOST":                     host(c.WSHost),
		"WS_PORT":                     within(c.WSPort, 0, maxPort),
		"WS_MODE":                     oneOf(c.WSMode, "release", "debug"),
		"WS_ALLOWED_ORIGINS":          len(c.WSAllowedOrigins) > 0,
		"WS_REJECT_AFTER_UPGRADE":     oneOf(c.WSRejectAfterUpgrade, "auto", "true", "false"),
		"WS_MAX_MESSAGE_SIZE":         within(c.WSMaxMessageSize, 1, maxClientMessage),
		"WS_MAX_NOTIFICATION_SIZE":    c.WSMaxNotificationSize >= 0,
		"WS_READ_BUFFER_SIZE":         within(c.WSReadBufferSize, 1, maxReadBuffer),
		"WS_WRITE_BUFFER_SIZE":        within(c.WSWriteBufferSize, 1, maxWriteBuffer),
		"WS_MAX_CONNECTIONS":          c.WSMaxConnections >= 1,
		"WS_MAX_CONNECTIONS_PER_USER": c.WSMaxConnectionsPerUser >= 0,
		"WS_MAX_CONNECTIONS_PER_IP":   c.WSMaxConnectionsPerIP >= 0,
		"WS_USER_LIMIT":               oneOf(c.WSUserLimit, "refuse", "replace"),
		"WS_HANDSHAKE_RATE":           c.WSHandshakeRate >= 0,
		"WS_HANDSHAKE_BURST":          c.WSHandshakeBurst >= 0,
		"WS_MESSAGE_RATE":             c.WSMessageRate >= 0,
		"WS_MESSAGE_BURST":            c.WSMessageBurst >= 0,
		"WS_SLOW_CONSUMER":            oneOf(c.WSSlowConsumer, "drop", "close"),
		"WS_QUEUE_BYTES":              within(c.WSQueueBytes, 64<<10, 1<<30),
		"WS_QUEUE_MESSAGES":           c.WSQueueMessages >= 1,
		"WS_MAX_QUEUED_BYTES":         c.WSMaxQueuedBytes >= 0,
		"WS_MAX_PENDING_BYTES":        c.WSMaxPendingBytes == 0 || c.WSMaxPendingBytes >= minPendingBytes,
		"WS_MAX_BROADCAST_BYTES":      c.WSMaxBroadcastBytes >= minBroadcastBytes,
		"WS_MAX_CONNECTION_AGE":       c.WSMaxConnectionAge >= 0,
		"WS_RESUME_WINDOW":            c.WSResumeWindow == 0 || c.WSResumeWindow >= minResumeWindow && c.WSResumeWindow <= maxResumeWindow,
		"WS_RESUME_BYTES":             c.WSResumeBytes >= minResumeBytes,
		"WS_FLUSH_WINDOW":             c.WSFlushWindow >= 0 && c.WSFlushWindow <= maxFlushWindow,
	}
}

func (c Config) validEnds() map[string]bool {
	return map[string]bool{
		"WS_DRAIN_DELAY":   c.WSDrainDelay >= 0,
		"WS_DRAIN_WINDOW":  c.WSDrainWindow >= 0,
		"WS_HEALTH_DETAIL": oneOf(c.WSHealthDetail, "full", "status"),
		"WS_DRAIN_RATE":    c.WSDrainRate >= 0,
		"WS_UPGRADE":       oneOf(c.WSUpgrade, "handover", "drain"),
	}
}

func (c Config) validTLS() map[string]bool {
	return map[string]bool{
		"WS_TLS_CERT_FILE":      c.WSTLSKeyFile == "" || c.WSTLSCertFile != "",
		"WS_TLS_KEY_FILE":       c.WSTLSCertFile == "" || c.WSTLSKeyFile != "",
		"WS_TLS_PORT":           within(c.WSTLSPort, 0, maxPort),
		"WS_TLS_HOST":           host(c.WSTLSHost),
		"WS_TLS_MIN_VERSION":    oneOf(c.WSTLSMinVersion, "1.2", "1.3"),
		"WS_TLS_ACME_DOMAIN":    !slices.ContainsFunc(c.WSTLSAcmeDomain, notDomain),
		"WS_TLS_ACME_EMAIL":     c.WSTLSAcmeEmail == "" || email(c.WSTLSAcmeEmail),
		"WS_TLS_ACME_DIRECTORY": c.WSTLSAcmeDirectory == "" || strings.HasPrefix(c.WSTLSAcmeDirectory, "https://"),
		"REDIS_TLS_CERT_FILE":   c.RedisTLSKeyFile == "" || c.RedisTLSCertFile != "",
		"REDIS_TLS_KEY_FILE":    c.RedisTLSCertFile == "" || c.RedisTLSKeyFile != "",
		"REDIS_TLS_SERVER_NAME": host(c.RedisTLSServerName),
		"HTTP_TLS_CERT_FILE":    c.HTTPTLSKeyFile == "" || c.HTTPTLSCertFile != "",
		"HTTP_TLS_KEY_FILE":     c.HTTPTLSCertFile == "" || c.HTTPTLSKeyFile != "",
	}
}

func (c Config) validRedis() map[string]bool {
	return map[string]bool{
		"REDIS_HOST":              c.RedisHost != "" && host(c.RedisHost),
		"REDIS_PORT":              within(c.RedisPort, 1, maxPort),
		"REDIS_ADDRS":             !slices.ContainsFunc(c.RedisAddrs, notHostPort),
		"REDIS_FEED":              oneOf(c.RedisFeed, "pattern", "user", "sharded"),
		"REDIS_UNSUBSCRIBE_DELAY": c.RedisUnsubscribeDelay >= 0,
		"REDIS_DB":                c.RedisDB >= 0,
		"REDIS_MAX_RETRIES":       within(c.RedisMaxRetries, 0, maxRetries),
		"REDIS_MIN_IDLE_CONNS":    c.RedisMinIdleConns >= 0,
		"REDIS_POOL_SIZE":         c.RedisPoolSize >= 1,
		"REDIS_FEED_MAX_ATTEMPTS": c.RedisFeedMaxAttempts >= 0,
		"REDIS_HEALTH_GRACE":      c.RedisHealthGrace >= 0,
		"REDIS_PRESENCE_TTL":      c.RedisPresenceTTL >= minPresenceTTL && c.RedisPresenceTTL <= maxPresenceTTL,
	}
}

func (c Config) validTokens() map[string]bool {
	return map[string]bool{
		"JWT_SECRET_KEY": c.JWTSecretKey != "" || c.JWTPublicKeyFile != "" || c.JWTJWKSURL != "",
		"JWT_ALGORITHMS": len(c.JWTAlgorithms) > 0 && auth.CheckAlgorithms(c.JWTAlgorithms) == nil,
		"JWT_USER_CLAIM": claimName(c.JWTUserClaim),
		"JWT_JWKS_URL":   c.JWTJWKSURL == "" || tokenkeys.CheckURL(c.JWTJWKSURL) == nil,
	}
}

func (c Config) validOperators() map[string]bool {
	return map[string]bool{
		"LOGGER_LEVEL":           oneOf(c.LoggerLevel, "debug", "info", "warn", "error"),
		"LOGGER_CONNECTION_RATE": c.LoggerConnectionRate >= 0,
		"LOGGER_MODE":            oneOf(c.LoggerMode, "production", "development"),
		"LOGGER_ENCODING":        oneOf(c.LoggerEncoding, "json", "console"),
		"DISCORD_WEBHOOK_ID":     c.DiscordWebhookToken == "" || onlyDigits(c.DiscordWebhookID),
		"DISCORD_WEBHOOK_TOKEN":  c.DiscordWebhookID == "" || pathSegment(c.DiscordWebhookToken),
		"HTTP_HOST":              host(c.HTTPHost),
		"HTTP_PORT":              within(c.HTTPPort, 0, maxPort),
		"HTTP_IDEMPOTENCY_TTL":   c.HTTPIdempotencyTTL == 0 || c.HTTPIdempotencyTTL >= minIdempotencyTTL && c.HTTPIdempotencyTTL <= maxIdempotencyTTL,
		"HTTP_TOKEN":             c.HTTPToken == "" || headerToken(c.HTTPToken),
	}
}

// conflicts finds values that are right alone and wrong together, leaving out those that are wrong already.
func (c Config) conflicts(already Problems) Problems {
	var bad Problems
	add := func(wrong bool, name, other, value, want string) {
		if wrong && !already.names(name) && !already.names(other) {
			bad = append(bad, Problem{Name: name, Value: value, Want: want})
		}
	}
	add(c.WSPingInterval >= c.WSPongWait, "WS_PING_INTERVAL", "WS_PONG_WAIT", shortDuration(c.WSPingInterval),
		fmt.Sprintf("less than WS_PONG_WAIT, which is %s: else clients are disconnected before their pong can come",
			shortDuration(c.WSPongWait)))
	add(c.WSShutdownTimeout < c.WSDrainDelay+c.WSDrainWindow+drainSlack, "WS_SHUTDOWN_TIMEOUT", "WS_DRAIN_WINDOW", shortDuration(c.WSShutdownTimeout),
		fmt.Sprintf("at least %s: WS_DRAIN_DELAY, WS_DRAIN_WINDOW and %s for the last ones; the supervisor has to give more",
			shortDuration(c.WSDrainDelay+c.WSDrainWindow+drainSlack), shortDuration(drainSlack)))
	add(c.RedisMinIdleConns > c.RedisPoolSize, "REDIS_MIN_IDLE_CONNS", "REDIS_POOL_SIZE", fmt.Sprint(c.RedisMinIdleConns),
		fmt.Sprintf("no more than REDIS_POOL_SIZE, which is %d", c.RedisPoolSize))
	add(c.HTTPPort != 0 && c.HTTPPort == c.WSPort && overlap(c.HTTPHost, c.WSHost), "HTTP_PORT", "WS_PORT",
		fmt.Sprint(c.HTTPPort), "a port that WS_PORT does not have already")
	add(c.WSProxyProtocol && len(c.WSTrustedProxies) == 0, "WS_PROXY_PROTOCOL", "WS_TRUSTED_PROXIES", "true",
		"WS_TRUSTED_PROXIES beside it, the addresses that PROXY headers come from, such as 127.0.0.1,10.0.0.0/8: nobody else's are believed")
	c.tlsConflicts(add)
	c.tokenConflicts(add)
	c.redisConflicts(add)
	c.webhookConflicts(add)
	return bad
}

// claimName checks that s can be the name of a claim, and stand in the header of an answer.
func claimName(s string) bool {
	odd := func(r rune) bool { return r <= ' ' || r > '~' || r == '"' || r == '\\' }
	return within(len(s), 1, 256) && !strings.ContainsFunc(s, odd)
}

// headerToken checks that s can't be guessed, and can stand in a header.
func headerToken(s string) bool {
	odd := func(r rune) bool { return r <= ' ' || r > '~' }
	return within(len(s), 16, 256) && !strings.ContainsFunc(s, odd)
}

// tokenConflicts finds keys that JWT_ALGORITHMS has no use for.
func (c Config) tokenConflicts(add func(wrong bool, name, other, value, want string)) {
	secrets := slices.ContainsFunc(c.JWTAlgorithms, auth.SecretAlgorithm)
	add(c.JWTSecretKey != "" && !secrets, "JWT_ALGORITHMS", "JWT_SECRET_KEY", strings.Join(c.JWTAlgorithms, ","),
		"HS256, HS384 or HS512 in it, since JWT_SECRET_KEY is set; or JWT_SECRET_KEY left out")
	pairs := slices.ContainsFunc(c.JWTAlgorithms, func(name string) bool { return !auth.SecretAlgorithm(name) })
	for _, v := range []struct{ name, value string }{{"JWT_PUBLIC_KEY_FILE", c.JWTPublicKeyFile}, {"JWT_JWKS_URL", c.JWTJWKSURL}} {
		add(v.value != "" && !pairs, "JWT_ALGORITHMS", v.name, strings.Join(c.JWTAlgorithms, ","),
			"an algorithm of key pairs in it, such as RS256, since "+v.name+" is set; or "+v.name+" left out")
	}
}

func within(n, low, high int) bool { return n >= low && n <= high }

func oneOf(s string, right ...string) bool { return slices.Contains(right, s) }

// host takes names and addresses, and refuses what is clearly something else: an URL, or an address with its port.
func host(s string) bool {
	if _, err := netip.ParseAddr(s); err == nil {
		return true
	}
	return !strings.ContainsAny(s, ":/ \t\r\n[]@")
}

// overlap says whether listening on one host leaves no room for the other on the same port.
func overlap(a, b string) bool { return a == b || everyAddress(a) || everyAddress(b) }

func everyAddress(s string) bool {
	if s == "" {
		return true
	}
	ip, err := netip.ParseAddr(s)
	return err == nil && ip.IsUnspecified()
}

func onlyDigits(s string) bool {
	return s != "" && strings.Trim(s, "0123456789") == ""
}

// pathSegment says whether s can stand in the path of a URL without escapes.
func pathSegment(s string) bool {
	return s != "" && !strings.ContainsFunc(s, func(r rune) bool {
		return r <= ' ' || r > '~' || strings.ContainsRune("/?#%\\", r)
	})
}
