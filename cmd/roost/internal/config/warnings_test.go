package config

import (
	"reflect"
	"slices"
	"strings"
	"testing"
)

func TestWarnings(t *testing.T) {
	t.Parallel()
	const none = " is not a variable of roost and has no effect"
	for _, tt := range []struct {
		name    string
		secret  string
		environ []string
		want    []string
	}{
		{"nothing to warn of", goodSecret, []string{"WS_PORT=1", "PATH=/bin", "HOME=/", "WSPORT=1", "=odd", ""}, nil},
		{"mistyped", goodSecret, []string{"WS_PROT=1"}, []string{"WS_PROT" + none + "; did you mean WS_PORT?"}},
		{"plural", goodSecret, []string{"WS_MAX_CONNECTION=5"},
			[]string{"WS_MAX_CONNECTION" + none + "; did you mean WS_MAX_CONNECTIONS?"}},
		{"lower case", goodSecret, []string{"ws_port=1"}, []string{"ws_port" + none + "; did you mean WS_PORT?"}},
		{"end missing", goodSecret, []string{"JWT_SECRET=x"},
			[]string{"JWT_SECRET" + none + ": the variable is JWT_SECRET_KEY"}},
		{"other servers' names", goodSecret, []string{"LOG_LEVEL=debug", "PORT=80", "redis_tls=1"},
			[]string{"LOG_LEVEL" + none + ": the variable is LOGGER_LEVEL", "PORT" + none + ": the variable is WS_PORT", "redis_tls" + none + ": the variable is REDIS_USE_TLS"}},
		{"the right one is there too", goodSecret, []string{"PORT=80", "WS_PORT=80"}, nil},
		{"far from all", goodSecret, []string{"REDIS_REPLICA_PRIORITY=x"}, []string{"REDIS_REPLICA_PRIORITY" + none}},
		{"the file's name", goodSecret, []string{"ROOST_CONFIGFILE=x"}, []string{"ROOST_CONFIGFILE" + none + "; did you mean ROOST_CONFIG_FILE?"}},
		{"sorted", goodSecret, []string{"LOGGER_ZZZZZZZZ=", "DISCORD_AAAAAAAA="},
			[]string{"DISCORD_AAAAAAAA" + none, "LOGGER_ZZZZZZZZ" + none}},
		{"others' variables", goodSecret, []string{
			"HTTP_PROXY=http://p", "REDIS_PORT_6379_TCP=tcp://1", "REDIS_PORT_6379_TCP_ADDR=1", "REDIS_SERVICE_HOST=1",
			"ROOST_PORT=tcp://1", "ROOST_SERVICE_HOST=1", "ROOST_SOCKETS_HELD=true", "REDIS_SERVICE_PORT_REDIS=1", "REDIS_NAME=/a/redis", "REDIS_ENV_VERSION=8", "WS_SERVICE_PORT=1",
		}, nil},
	} {
		t.Run(tt.name, func(t *testing.T) {
			t.Parallel()
			got := Source{}.Warnings(Config{JWTSecretKey: tt.secret}, tt.environ)
			if !reflect.DeepEqual(got, tt.want) {
				t.Errorf("got  %q\nwant %q", got, tt.want)
			}
		})
	}
}

func TestShortSecretIsWarnedOfAndNotShown(t *testing.T) {
	t.Parallel()
	got := Source{}.Warnings(Config{JWTSecretKey: goodSecret[:31]}, nil)
	if len(got) != 1 || !strings.HasPrefix(got[0], "JWT_SECRET_KEY is 31 bytes long") || strings.Contains(got[0], "0123") {
		t.Errorf("got %q", got)
	}
}

// An issuer signs for many services with the same keys.
func TestJWKSWithoutAudienceIsWarnedOf(t *testing.T) {
	t.Parallel()
	c := Config{JWTJWKSURL: "https://id.example/jwks"}
	if got := (Source{}).Warnings(c, nil); len(got) != 1 || !strings.HasPrefix(got[0], "JWT_JWKS_URL is set and JWT_AUDIENCE is not") {
		t.Errorf("got %q", got)
	}
	c.JWTAudience = []string{"roost"}
	if got := (Source{}).Warnings(c, nil); len(got) != 0 {
		t.Errorf("got %q", got)
	}
}

func TestAHostBesideSentinelsIsWarnedOf(t *testing.T) {
	t.Parallel()
	c := Config{JWTSecretKey: goodSecret}
	environ := []string{"REDIS_PORT=6379", "REDIS_HOST=h"}
	if got := (Source{}).Warnings(c, environ); len(got) != 0 {
		t.Errorf("without sentinels: %q", got)
	}
	c.RedisAddrs = []string{"a:26379"}
	got := Source{}.Warnings(c, environ)
	if len(got) != 2 || !strings.HasPrefix(got[0], "REDIS_HOST has no effect beside REDIS_ADDRS") ||
		!strings.HasPrefix(got[1], "REDIS_PORT has no effect") {
		t.Errorf("got %q", got)
	}
}

// Other servers' names for a variable lead to one of ours, and are none of ours.
func TestMisnomers(t *testing.T) {
	t.Parallel()
	all := names()
	for wrong, right := range misnomers() {
		if !slices.Contains(all, right) || slices.Contains(all, wrong) || wrong != strings.ToUpper(wrong) {
			t.Errorf("%s → %s", wrong, right)
		}
	}
}

func TestRightName(t *testing.T) {
	t.Parallel()
	for wrong, want := range map[string]string{
		"JWT_SECRET": "JWT_SECRET_KEY", "jwt_secret": "JWT_SECRET_KEY", "JWT_SECRET_FILE": "JWT_SECRET_KEY_FILE",
		"TLS_CERT_FILE": "WS_TLS_CERT_FILE", "WSS_PORT": "WS_TLS_PORT", "ACME_EMAIL": "WS_TLS_ACME_EMAIL", "SSL_KEY_FILE": "WS_TLS_KEY_FILE",
		"REDIS_PASS_FILE": "REDIS_PASSWORD_FILE", "ADMIN_TOKEN_FILE": "HTTP_TOKEN_FILE",
		"LOG_LEVEL_FILE": "", "JWT_SECRET_KEY": "", "JWT_SECRET_KEY_FILE": "", "HOME": "",
	} {
		right, ok := rightName(wrong)
		if ok != (want != "") || ok && right != want {
			t.Errorf("%s is taken for %q, %v, want %q", wrong, right, ok, want)
		}
	}
}

func TestDistance(t *testing.T) {
	t.Parallel()
	for _, tt := range []struct {
		a, b string
		want int
	}{
		{"", "", 0}, {"a", "", 1}, {"", "abc", 3}, {"abc", "abc", 0}, {"abc", "abd", 1}, {"abc", "bc", 1},
		{"kitten", "sitting", 3}, {"flaw", "lawn", 2},
	} {
		if got := distance(tt.a, tt.b); got != tt.want {
			t.Errorf("%q to %q: %d, want %d", tt.a, tt.b, got, tt.want)
		}
		if got := distance(tt.b, tt.a); got != tt.want {
			t.Errorf("%q to %q: %d, want %d", tt.b, tt.a, got, tt.want)
		}
	}
}
