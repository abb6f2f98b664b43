package config

import (
	"reflect"
	"strings"
	"testing"
)

func TestRedisURL(t *testing.T) {
	for text, want := range map[string]Config{
		"redis://h":                      {RedisHost: "h", RedisPort: 6379},
		" REDIS://h:1/2 ":                {RedisHost: "h", RedisPort: 1, RedisDB: 2},
		"redis://[::1]:7/":               {RedisHost: "::1", RedisPort: 7},
		"redis://[::1]":                  {RedisHost: "::1", RedisPort: 6379},
		"rediss://u:p%40s%2Fs:x@h:1/0":   {RedisHost: "h", RedisPort: 1, RedisUseTLS: true, RedisUsername: "u", RedisPassword: "p@s/s:x"},
		"redis://:secret@h":              {RedisHost: "h", RedisPort: 6379, RedisPassword: "secret"},
		"redis://u@h":                    {RedisHost: "h", RedisPort: 6379, RedisUsername: "u"},
		"redis+sentinel://:p@a,b:2/m":    {RedisAddrs: []string{"a:26379", "b:2"}, RedisMasterName: "m", RedisPassword: "p"},
		"rediss-sentinel://a/my%20m/3":   {RedisAddrs: []string{"a:26379"}, RedisMasterName: "my m", RedisUseTLS: true, RedisDB: 3},
		"redis+cluster://u:p@a:1,b,c/0":  {RedisAddrs: []string{"a:1", "b:6379", "c:6379"}, RedisCluster: true, RedisUsername: "u", RedisPassword: "p"},
		"rediss+cluster://one.example:1": {RedisAddrs: []string{"one.example:1"}, RedisCluster: true, RedisUseTLS: true},
	} {
		setenv(t, map[string]string{"REDIS_URL": text})
		c, err := Source{}.Load()
		if err != nil {
			t.Errorf("%s: %v", text, err)
			continue
		}
		got := Config{
			RedisHost: c.RedisHost, RedisPort: c.RedisPort, RedisDB: c.RedisDB, RedisUseTLS: c.RedisUseTLS, RedisUsername: c.RedisUsername,
			RedisPassword: c.RedisPassword, RedisAddrs: c.RedisAddrs, RedisMasterName: c.RedisMasterName, RedisCluster: c.RedisCluster,
		}
		if len(want.RedisAddrs) > 0 { // the address of a single one is not used then
			got.RedisHost, got.RedisPort = "", 0
		}
		if !reflect.DeepEqual(got, want) {
			t.Errorf("%s: got  %+v\nwant %+v", text, got, want)
		}
	}
	for _, text := range []string{
		"", "h:6379", "http://h", "redis://", "redis://a,b", "redis://h:x", "redis://h/x", "redis://h/-1", "redis://h?db=1", "redis+sentinel://a",
		"redis+sentinel://a/", "redis+cluster://a/1", "redis+x://a", "redis://hush%zz@h", "unix:///tmp/redis.sock", "redis://u:hush@h:99999",
	} {
		setenv(t, map[string]string{"REDIS_URL": text})
		_, err := Source{}.Load()
		if text == "" {
			if err != nil {
				t.Errorf("empty: %v", err)
			}
			continue
		}
		if err == nil || !strings.Contains(err.Error(), "REDIS_URL=") || strings.Contains(err.Error(), "hush") || !strings.Contains(err.Error(), "redis://user:password@host:6379/0") {
			t.Errorf("%q: %v", text, err)
		}
	}
}

// A variable that contradicts the URL is an error that names both. A password beside it is none, since it may come from elsewhere.
func TestRedisURLBesideOthers(t *testing.T) {
	setenv(t, map[string]string{"REDIS_URL": "redis://h", "REDIS_HOST": "other", "REDIS_PASSWORD": "p"})
	c, err := Source{}.Load()
	if err == nil || !strings.Contains(err.Error(), `REDIS_HOST="other": want it left out, since REDIS_URL is set`) || c.RedisPassword != "p" {
		t.Errorf("%v %v", c.RedisPassword, err)
	}
	setenv(t, map[string]string{"REDIS_URL": "redis://h:1", "REDIS_PORT": "tcp://10.0.0.1:6379"})
	if c, err := (Source{}).Load(); err != nil || c.RedisPort != 1 {
		t.Errorf("beside what Kubernetes injects: %d, %v", c.RedisPort, err)
	}
}
