package config

import (
	"slices"
	"testing"
)

func TestAddresses(t *testing.T) {
	t.Parallel()
	plain := Config{WSHost: "0.0.0.0", WSPort: 8081, HTTPHost: "::1", HTTPPort: 8082, RedisHost: "redis", RedisPort: 6379}
	with := func(change func(*Config)) Config { c := plain; change(&c); return c }
	sentinels := []string{"s1:26379", "s2:26379"}
	for name, test := range map[string]struct {
		cfg    Config
		scheme string
		redis  string
		nodes  []string
	}{
		"one Redis": {plain, "http", "redis:6379", nil},
		"https":     {with(func(c *Config) { c.HTTPTLSCertFile = "/cert.pem" }), "https", "redis:6379", nil},
		"Sentinel": {with(func(c *Config) { c.RedisAddrs, c.RedisMasterName = sentinels, "mymaster" }), "http",
			"mymaster (sentinels s1:26379,s2:26379)", nil},
		"a cluster of one known node": {with(func(c *Config) { c.RedisCluster = true }), "http", "cluster (redis:6379)", []string{"redis:6379"}},
		"a cluster of several": {with(func(c *Config) { c.RedisCluster, c.RedisAddrs = true, sentinels }), "http",
			"cluster (s1:26379,s2:26379)", sentinels},
	} {
		c := test.cfg
		if c.HTTPScheme() != test.scheme || c.RedisAddr() != test.redis || !slices.Equal(c.RedisNodes(), test.nodes) {
			t.Errorf("%s: %s, %q, nodes %v; want %s, %q, %v", name, c.HTTPScheme(), c.RedisAddr(), c.RedisNodes(), test.scheme, test.redis, test.nodes)
		}
		if c.WSAddr() != "0.0.0.0:8081" || c.HTTPAddr() != "[::1]:8082" {
			t.Errorf("%s: %s and %s", name, c.WSAddr(), c.HTTPAddr())
		}
		if c.Sentinel() != (name == "Sentinel") {
			t.Errorf("%s: Sentinel() is %v", name, c.Sentinel())
		}
	}
	if plain.Development() || !with(func(c *Config) { c.LoggerMode = "development" }).Development() {
		t.Error("Development is not LOGGER_MODE=development")
	}
}
