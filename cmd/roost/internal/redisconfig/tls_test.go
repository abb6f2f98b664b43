package redisconfig

import (
	"os"
	"path/filepath"
	"strings"
	"testing"

	"roost/cmd/roost/internal/config"
	"roost/redisfeed/redistest"
)

// A start with files that can't be used fails, and names the variable.
func TestTLSFiles(t *testing.T) {
	t.Parallel()
	authority := redistest.NewAuthority(t)
	one, two := authority.Issue("one"), authority.Issue("two")
	dir := t.TempDir()
	none, text := filepath.Join(dir, "none"), filepath.Join(dir, "text")
	if err := os.WriteFile(text, []byte("no PEM"), 0o600); err != nil {
		t.Fatal(err)
	}
	for _, test := range []struct {
		name, authority, cert, key string
		want                       []string // in the error; none: they can be used
	}{
		{name: "right", authority: authority.File, cert: one.File, key: one.Key},
		{name: "nothing"},
		{name: "no authority there", authority: none, want: []string{"REDIS_TLS_CA_FILE: ", none, "no such file"}},
		{name: "authority is a directory", authority: dir, want: []string{"REDIS_TLS_CA_FILE: ", dir, "is a directory"}},
		{name: "authority is no PEM", authority: text, want: []string{"REDIS_TLS_CA_FILE: ", text, "no certificate in it: PEM is wanted"}},
		{name: "authority is a key", authority: one.Key, want: []string{"REDIS_TLS_CA_FILE: ", "no certificate in it"}},
		{name: "no certificate there", cert: none, key: one.Key, want: []string{"REDIS_TLS_CERT_FILE: ", none, "no such file"}},
		{name: "no key there", cert: one.File, key: none, want: []string{"REDIS_TLS_KEY_FILE: ", none, "no such file"}},
		{name: "certificate is no PEM", cert: text, key: one.Key, want: []string{"REDIS_TLS_CERT_FILE, REDIS_TLS_KEY_FILE: ", text, "PEM"}},
		{name: "key is no PEM", cert: one.File, key: text, want: []string{"REDIS_TLS_CERT_FILE, REDIS_TLS_KEY_FILE: ", text, "PEM"}},
		{name: "another's key", cert: one.File, key: two.Key, want: []string{"REDIS_TLS_CERT_FILE, REDIS_TLS_KEY_FILE: ", "does not match"}},
	} {
		t.Run(test.name, func(t *testing.T) {
			t.Parallel()
			_, err := New(config.Config{
				RedisUseTLS: true, RedisTLSCAFile: test.authority, RedisTLSCertFile: test.cert, RedisTLSKeyFile: test.key,
			}, nil)
			if len(test.want) == 0 {
				if err != nil {
					t.Error(err)
				}
				return
			}
			for _, want := range test.want {
				if err == nil || !strings.Contains(err.Error(), want) {
					t.Errorf("got %v, want %q in it", err, want)
				}
			}
		})
	}
}
