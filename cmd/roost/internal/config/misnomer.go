package config

import (
	"slices"
	"strings"
)

// rightName returns the variable that is meant by a misnomer: by itself, or with the _FILE of a secret.
func rightName(name string) (right string, ok bool) {
	name = strings.ToUpper(name)
	if right, ok = misnomers()[name]; ok {
		return right, true
	}
	base, isFile := strings.CutSuffix(name, "_FILE")
	if !isFile {
		return "", false
	}
	right, ok = misnomers()[base]
	return right + "_FILE", ok && slices.Contains(names(), right+"_FILE")
}

// misnomers are names that people give to variables of roost, from other servers and from habit, with the right one.
// What is only misspelt is not here: nearest finds it.
func misnomers() map[string]string {
	return map[string]string{
		"JWT_SECRET": "JWT_SECRET_KEY", "JWT_KEY": "JWT_SECRET_KEY", "JWT_HMAC_SECRET": "JWT_SECRET_KEY",
		"SECRET_KEY": "JWT_SECRET_KEY", "TOKEN_SECRET": "JWT_SECRET_KEY",
		"JWT_PUBLIC_KEY": "JWT_PUBLIC_KEY_FILE", "JWT_PUBLIC_KEY_PATH": "JWT_PUBLIC_KEY_FILE",
		"JWKS_URL": "JWT_JWKS_URL", "JWKS_URI": "JWT_JWKS_URL", "JWT_JWKS_URI": "JWT_JWKS_URL",
		"JWT_ISS": "JWT_ISSUER", "JWT_AUD": "JWT_AUDIENCE",

		"REDIS_PASS": "REDIS_PASSWORD", "REDIS_AUTH": "REDIS_PASSWORD", "REDISCLI_AUTH": "REDIS_PASSWORD",
		"REDIS_USER": "REDIS_USERNAME", "REDIS_DATABASE": "REDIS_DB",
		"REDIS_TLS": "REDIS_USE_TLS", "REDIS_SSL": "REDIS_USE_TLS", "REDIS_TLS_ENABLED": "REDIS_USE_TLS",
		"REDIS_TLS_CA": "REDIS_TLS_CA_FILE", "REDIS_CA_CERT": "REDIS_TLS_CA_FILE",
		"REDIS_SENTINELS": "REDIS_ADDRS", "REDIS_SENTINEL_ADDRS": "REDIS_ADDRS", "REDIS_NODES": "REDIS_ADDRS",
		"REDIS_CLUSTER_NODES": "REDIS_ADDRS", "REDIS_ADDRESS": "REDIS_ADDRS", "REDIS_ADDR": "REDIS_ADDRS",
		"REDIS_SENTINEL_MASTER": "REDIS_MASTER_NAME", "REDIS_MASTER": "REDIS_MASTER_NAME",
		"REDIS_CLUSTER_ENABLED": "REDIS_CLUSTER",

		"PORT": "WS_PORT", "LISTEN_PORT": "WS_PORT", "WEBSOCKET_PORT": "WS_PORT", "LISTEN_ADDR": "WS_HOST",
		"ALLOWED_ORIGINS": "WS_ALLOWED_ORIGINS", "CORS_ORIGINS": "WS_ALLOWED_ORIGINS",
		"CORS_ALLOWED_ORIGINS": "WS_ALLOWED_ORIGINS", "WS_CORS_ORIGINS": "WS_ALLOWED_ORIGINS", "WS_ORIGINS": "WS_ALLOWED_ORIGINS",
		"MAX_CONNECTIONS": "WS_MAX_CONNECTIONS", "TRUSTED_PROXIES": "WS_TRUSTED_PROXIES",
		"WS_PING_TIMEOUT": "WS_PONG_WAIT", "WS_IDLE_TIMEOUT": "WS_PONG_WAIT", "WS_HEARTBEAT_INTERVAL": "WS_PING_INTERVAL",
		"DRAIN_TIMEOUT": "WS_DRAIN_WINDOW", "SHUTDOWN_TIMEOUT": "WS_SHUTDOWN_TIMEOUT",

		"LOG_LEVEL": "LOGGER_LEVEL", "LOGLEVEL": "LOGGER_LEVEL", "LOG_FORMAT": "LOGGER_ENCODING", "LOG_ENCODING": "LOGGER_ENCODING",
		"METRICS_PORT": "HTTP_PORT", "ADMIN_PORT": "HTTP_PORT", "ADMIN_TOKEN": "HTTP_TOKEN",
		"CONFIG_FILE": fileVariable, "ROOST_CONFIG": fileVariable, "ROOST_ENV_FILE": fileVariable,
	}
}
