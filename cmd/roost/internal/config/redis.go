package config

import (
	"net"
	"strconv"
	"strings"
	"time"
)

// defaultPresenceTTL is REDIS_PRESENCE_TTL where nothing is said.
const defaultPresenceTTL = time.Minute

// redisConflicts finds the variables about Redis that want others beside them.
func (c Config) redisConflicts(add func(wrong bool, name, other, value, want string)) {
	add(c.Sentinel() && c.RedisMasterName == "", "REDIS_ADDRS", "REDIS_MASTER_NAME", strings.Join(c.RedisAddrs, ","),
		"REDIS_MASTER_NAME beside it, the name by which these sentinels know the master, or REDIS_CLUSTER=true where they are"+
			" nodes of a cluster; where there is neither, REDIS_HOST and REDIS_PORT in its place")
	alone := func(name, value, shown string) {
		add(c.RedisCluster && value != "", name, "REDIS_CLUSTER", shown, "REDIS_CLUSTER=false beside it: a cluster has no sentinels")
		add(!c.RedisCluster && !c.Sentinel() && value != "", name, "REDIS_ADDRS", shown, "REDIS_ADDRS beside it, the addresses of the sentinels")
	}
	alone("REDIS_MASTER_NAME", c.RedisMasterName, c.RedisMasterName)
	alone("REDIS_SENTINEL_USERNAME", c.RedisSentinelUsername, c.RedisSentinelUsername)
	alone("REDIS_SENTINEL_PASSWORD", c.RedisSentinelPassword, mask)
	add(c.RedisFeed == "sharded" && !c.RedisCluster, "REDIS_FEED", "REDIS_CLUSTER", c.RedisFeed,
		"REDIS_CLUSTER=true beside it: only a cluster has shards. For a single Redis, or one with sentinels, user does the same")
	add(c.RedisCluster && c.RedisDB != 0, "REDIS_DB", "REDIS_CLUSTER", strconv.Itoa(c.RedisDB), "0: a cluster has no other database")
	for _, v := range []struct{ name, value string }{
		{"REDIS_TLS_CA_FILE", c.RedisTLSCAFile}, {"REDIS_TLS_CERT_FILE", c.RedisTLSCertFile},
		{"REDIS_TLS_KEY_FILE", c.RedisTLSKeyFile}, {"REDIS_TLS_SERVER_NAME", c.RedisTLSServerName},
	} {
		add(!c.RedisUseTLS && v.value != "", v.name, "REDIS_USE_TLS", v.value,
			"REDIS_USE_TLS=true beside it: without TLS it has no effect")
	}
	add(!c.RedisPresence && c.RedisPresenceTTL != defaultPresenceTTL, "REDIS_PRESENCE_TTL", "REDIS_PRESENCE",
		shortDuration(c.RedisPresenceTTL), "REDIS_PRESENCE=true beside it: without it nothing is written that could expire")
}

// notHostPort says whether s is anything but a host and a port.
func notHostPort(s string) bool {
	name, port, err := net.SplitHostPort(s)
	number, notNumber := strconv.Atoi(port)
	return err != nil || notNumber != nil || name == "" || !host(name) || !within(number, 1, maxPort)
}
