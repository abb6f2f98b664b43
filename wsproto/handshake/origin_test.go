package handshake

import (
	"errors"
	"net/url"
	"strings"
	"testing"
)

func TestOrigins(t *testing.T) {
	t.Parallel()
	tests := []struct {
		patterns string // separated by spaces
		allowed  string
		refused  string
	}{
		{"", "https://a.example null x", ""},
		{"*", "https://a.example null x", ""},
		{"https://a.example *", "https://b.example null", ""},
		{"https://a.example",
			"https://a.example https://a.example:443 HTTPS://A.EXAMPLE",
			"http://a.example https://a.example:8443 https://b.example https://x.a.example https://a.example.evil.example null a.example" +
				" https://a.example. https://a.example/ https://u@a.example https://a.example:x https://a.example:443:443 https://"},
		{"https://a.example:443", "https://a.example https://a.example:443", "https://a.example:80"},
		{"https://A.Example:8443", "https://a.example:8443", "https://a.example https://a.example:443 http://a.example:8443"},
		{"http://localhost:3000", "http://localhost:3000", "http://localhost http://localhost:3001 https://localhost:3000"},
		{"https://*.example.com",
			"https://a.example.com https://a.b.example.com https://A.EXAMPLE.com:443",
			"https://example.com https://.example.com https://notexample.com https://example.com.evil.example http://a.example.com" +
				" https://a.example.com:8443 https://evil.example/.example.com https://evil.example?.example.com" +
				" https://evil.example#.example.com https://evil@a.example.com https://a..example.com https://evil.example\\.example.com"},
		{"*.example.com:81", "http://a.example.com:81 https://a.example.com:81", "http://a.example.com http://example.com:81"},
		{"a.example", "https://a.example http://a.example http://a.example:80 app://a.example", "https://b.example https://a.example:80 app://a.example:443 a.example"},
		{"a.example:443", "https://a.example https://a.example:443 http://a.example:443", "http://a.example app://a.example"},
		{"http://localhost:*", "http://localhost http://localhost:1 http://localhost:5173", "https://localhost:1 http://localhost.evil.example:1 http://evil.example:1"},
		{"https://*.example.com:*", "https://a.example.com:1 https://a.example.com", "https://example.com:1 http://a.example.com:1"},
		{"file://", "file:// FILE://", "file://a file:/// null https://file app://"},
		{"app://. capacitor://localhost ionic://localhost", "app://. capacitor://localhost ionic://localhost", "app:// app://.. app://a https://. capacitor://localhost:1 null"},
		{"null", "null", "https://a.example NULL https://null"},
		{"null https://a.example", "null https://a.example", "https://b.example"},
		{"http://[::1]:3000 http://127.0.0.1", "http://[::1]:3000 http://127.0.0.1 http://127.0.0.1:80", "http://[::1] http://[::2]:3000 http://::1:3000 http://127.0.0.11"},
		{"chrome-extension://abcdef", "chrome-extension://abcdef", "chrome-extension://abcdeg https://abcdef"},
	}
	for _, test := range tests {
		t.Run(test.patterns, func(t *testing.T) {
			t.Parallel()
			origins, err := compileOrigins(strings.Fields(test.patterns))
			if err != nil {
				t.Fatal(err)
			}
			for _, origin := range strings.Fields(test.allowed) {
				if !origins.allow([]byte(origin)) {
					t.Errorf("%s is not allowed", origin)
				}
			}
			for _, origin := range strings.Fields(test.refused) {
				if origins.allow([]byte(origin)) {
					t.Errorf("%s is allowed", origin)
				}
			}
			if len(test.refused) > 0 && (origins.allow(nil) || origins.allow([]byte("https://a.example https://b.example"))) {
				t.Error("an empty origin or a list is allowed")
			}
		})
	}
}

func TestBadOriginPatterns(t *testing.T) {
	t.Parallel()
	for _, pattern := range []string{"", " ", "https://", "https://A.example/", "https://a.example/path", "a/b", "https://*",
		"https://a.*.example", "https://*a.example", "https://*.", "*.*", "**", "https://a..b", "https://.a", "https://a:b", "https://a:0", "a:065",
		"https://a:99999", "a:", "https://u@a", "https://a?b", "https://a#b", "https://bücher.example", "://a", "1http://a", "ht tp://a",
		"https://[::1", "https://[::g]", "https://*.[::1]", "a b", "https://a,https://b"} {
		_, err := New(Config{AllowedOrigins: []string{"*", pattern}})
		if !errors.Is(err, ErrOriginPattern) {
			t.Errorf("%q: %v", pattern, err)
			continue
		}
		if text := err.Error(); !strings.Contains(text, `"`+strings.TrimSpace(pattern)+`"`) || !strings.Contains(text, "https://*.example.com") {
			t.Errorf("%q: the error doesn't name it or what is right: %s", pattern, text)
		}
	}
}

func TestOriginAllocatesNothing(t *testing.T) {
	origins, err := compileOrigins([]string{"https://*.example.com", "null", "https://a.example:8443"})
	if err != nil {
		t.Fatal(err)
	}
	origin := []byte("https://x.example.org:8443")
	if n := testing.AllocsPerRun(100, func() { origins.allow(origin) }); n != 0 {
		t.Errorf("%v allocations", n)
	}
}

// FuzzOrigin: what is allowed, net/url reads as the host that was meant.
func FuzzOrigin(f *testing.F) {
	for _, seed := range []string{"https://a.example.com", "https://a.example.com:443", "https://evil/.example.com", "https://a@b.example.com",
		"HTTPS://A.example.COM:0443", "https://[::1].example.com"} {
		f.Add(seed)
	}
	origins, err := compileOrigins([]string{"https://*.example.com"})
	if err != nil {
		f.Fatal(err)
	}
	f.Fuzz(func(t *testing.T, origin string) {
		if !origins.allow([]byte(origin)) {
			return
		}
		u, err := url.Parse(origin)
		if err != nil {
			t.Fatal(err)
		}
		host := strings.ToLower(u.Hostname())
		if u.Scheme != "https" || !strings.HasSuffix(host, ".example.com") || u.Port() != "" && u.Port() != "443" ||
			u.User != nil || u.Path != "" || u.RawQuery != "" || u.Fragment != "" {
			t.Fatalf("%q is allowed and is %#v", origin, u)
		}
	})
}
