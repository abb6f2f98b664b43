package config

import (
	"errors"
	"strings"
	"testing"
)

func TestProblems(t *testing.T) {
	const port = "want a port number from 1 to 65535"
	tests := []struct {
		name string
		env  map[string]string
		want []string // beginnings of the lines of the error, in order
	}{
		{"not a number", map[string]string{"WS_PORT": "abc"}, []string{`WS_PORT="abc": ` + port + ", or 0 for any free one"}},
		{"port too high", map[string]string{"WS_PORT": "65536"}, []string{`WS_PORT="65536": ` + port}},
		{"port negative", map[string]string{"HTTP_PORT": "-1"}, []string{`HTTP_PORT="-1": ` + port}},
		{"redis has no port 0", map[string]string{"REDIS_PORT": "0"}, []string{`REDIS_PORT="0": ` + port}},
		{"set but empty", map[string]string{"WS_PORT": ""},
			[]string{`WS_PORT="": ` + port + ", or 0 for any free one; unset it for the default 8081"}},
		{"container link", map[string]string{"REDIS_PORT": "tcp://172.17.0.2:6379"},
			[]string{`REDIS_PORT="tcp://172.17.0.2:6379": ` + port + " (this looks like what a container link or Kubernetes" +
				" sets for a service called redis: rename the service, or set REDIS_PORT yourself)"}},
		{"duration without unit", map[string]string{"WS_WRITE_WAIT": "10"},
			[]string{`WS_WRITE_WAIT="10": want a duration above 0 with its unit, such as 10s`}},
		{"duration of nothing", map[string]string{"WS_HANDSHAKE_TIMEOUT": "0s"},
			[]string{`WS_HANDSHAKE_TIMEOUT="0s": want a duration above 0`}},
		{"duration negative", map[string]string{"REDIS_POOL_TIMEOUT": "-4s"}, []string{`REDIS_POOL_TIMEOUT="-4s": want a duration`}},
		{"not a boolean", map[string]string{"REDIS_USE_TLS": "ja"}, []string{`REDIS_USE_TLS="ja": want true or false`}},
		{"ping is pong", map[string]string{"WS_PING_INTERVAL": "60s"},
			[]string{`WS_PING_INTERVAL="60s": want less than WS_PONG_WAIT, which is 60s:`}},
		{"ping above pong", map[string]string{"WS_PONG_WAIT": "20s"},
			[]string{`WS_PING_INTERVAL="30s": want less than WS_PONG_WAIT, which is 20s:`}},
		{"PROXY headers of nobody", map[string]string{"WS_PROXY_PROTOCOL": "true", "WS_TRUSTED_PROXIES": " , "},
			[]string{`WS_PROXY_PROTOCOL="true": want WS_TRUSTED_PROXIES beside it`}},
		{"a wrong ping is told of once", map[string]string{"WS_PING_INTERVAL": "x", "WS_PONG_WAIT": "20s"},
			[]string{`WS_PING_INTERVAL="x": want a duration`}},
		{"a wrong pong is told of once", map[string]string{"WS_PONG_WAIT": "0s"}, []string{`WS_PONG_WAIT="0s": want a duration`}},
		{"mode", map[string]string{"WS_MODE": "Release"}, []string{`WS_MODE="Release": want release or debug`}},
		{"logger", map[string]string{"LOGGER_LEVEL": "verbose", "LOGGER_MODE": "dev", "LOGGER_ENCODING": "text"}, []string{
			`LOGGER_LEVEL="verbose": want debug, info, warn or error`,
			`LOGGER_MODE="dev": want production or development`,
			`LOGGER_ENCODING="text": want json or console`,
		}},
		{"a webhook", map[string]string{"WEBHOOK_URL": "https://app.example/hooks", "REDIS_PRESENCE": "true", "WEBHOOK_CA_FILE": "ca.pem",
			"WEBHOOK_SECRET": " whsec_MfKQ9r8GKYqrTwjUPD8ILPZIo2LaLaSw , whsec_AfKQ9r8GKYqrTwjUPD8ILPZIo2LaLaSw"}, nil},
		{"a webhook alone", map[string]string{"WEBHOOK_URL": "http://app/hooks"}, []string{
			`WEBHOOK_URL="http://app/hooks": want REDIS_PRESENCE=true beside it`, `WEBHOOK_SECRET="": want a secret for WEBHOOK_URL: whsec_ and 24 to 64 random bytes`}},
		{"a webhook with a password", map[string]string{"WEBHOOK_URL": "https://roost:pw@app.example", "REDIS_PRESENCE": "true", "WEBHOOK_SECRET": "hunter2"}, []string{
			`WEBHOOK_URL="https://********@app.example": want an URL that begins with https:// or http://, without a password in it`,
			`WEBHOOK_SECRET="********": want whsec_ and 24 to 64 random bytes in base64 (make one with:`}},
		{"of a webhook without one", map[string]string{"WEBHOOK_CA_FILE": "ca.pem", "WEBHOOK_TIMEOUT": "2m", "WEBHOOK_RETRY_FOR": "0s", "WEBHOOK_QUEUE_BYTES": "1000"}, []string{
			`WEBHOOK_CA_FILE="ca.pem": want WEBHOOK_URL beside it`, `WEBHOOK_TIMEOUT="2m": want a duration from 1s to 1m`,
			`WEBHOOK_RETRY_FOR="0s": want a duration from 1s to 24h`, `WEBHOOK_QUEUE_BYTES="1000": want a number of bytes from 1048576`}},
		{"no secret", map[string]string{"JWT_SECRET_KEY": ""}, []string{`JWT_SECRET_KEY="": want the secret that your backend signs tokens with, at least 32` +
			` bytes (make one with: openssl rand -hex 32), or JWT_PUBLIC_KEY_FILE or JWT_JWKS_URL where`}},
		{"a key file in place of a secret", map[string]string{"JWT_SECRET_KEY": "", "JWT_PUBLIC_KEY_FILE": "keys.pem"}, nil},
		{"a JWKS in place of a secret", map[string]string{"JWT_SECRET_KEY": "", "JWT_JWKS_URL": "https://id.example/jwks"}, nil},
		{"a JWKS for anybody to change", map[string]string{"JWT_JWKS_URL": "http://id.example/jwks"},
			[]string{`JWT_JWKS_URL="http://id.example/jwks": want an URL that begins with https://, or with http:// where`}},
		{"a JWKS at once", map[string]string{"JWT_JWKS_REFRESH": "0s"}, []string{`JWT_JWKS_REFRESH="0s": want a duration above 0`}},
		{"a previous secret that falls into pieces", map[string]string{"JWT_SECRET_KEY_PREVIOUS": "x," + strings.Repeat("y", 40)},
			[]string{`JWT_SECRET_KEY_PREVIOUS="********": want the secret that JWT_SECRET_KEY was, or a list of such, 8 at most, separated by commas; where one of them is shorter`}},
		{"previous secrets", map[string]string{"JWT_SECRET_KEY_PREVIOUS": strings.Repeat("x", 32) + ", " + strings.Repeat("y", 40)}, nil},
		{"too many previous secrets", map[string]string{"JWT_SECRET_KEY_PREVIOUS": strings.Repeat(strings.Repeat("x", 32)+",", 9)},
			[]string{`JWT_SECRET_KEY_PREVIOUS="********": want the secret that JWT_SECRET_KEY was, or a list of such, 8 at most`}},
		{"an unknown algorithm", map[string]string{"JWT_ALGORITHMS": "HS256,none"}, []string{`JWT_ALGORITHMS="HS256,none": want a list of HS256, HS384`}},
		{"no algorithm", map[string]string{"JWT_ALGORITHMS": " , "}, []string{`JWT_ALGORITHMS="": want a list of`}},
		{"all algorithms", map[string]string{"JWT_ALGORITHMS": "HS256, HS384,HS512,RS256,RS384,RS512,,PS256,PS384,PS512,ES256,ES384,ES512,EdDSA"}, nil},
		{"algorithms of key pairs for a secret", map[string]string{"JWT_ALGORITHMS": "RS256"}, []string{`JWT_ALGORITHMS="RS256": want HS256, HS384 or HS512 in it, since JWT_SECRET_KEY is set`}},
		{"algorithms of secrets for a JWKS", map[string]string{"JWT_ALGORITHMS": "HS512", "JWT_JWKS_URL": "https://id.example/jwks"},
			[]string{`JWT_ALGORITHMS="HS512": want an algorithm of key pairs in it, such as RS256, since JWT_JWKS_URL is set`}},
		{"a claim without a name", map[string]string{"JWT_USER_CLAIM": ""}, []string{`JWT_USER_CLAIM="": want the name of a claim`}},
		{"a claim in quotes", map[string]string{"JWT_USER_CLAIM": `"sub"`}, []string{`JWT_USER_CLAIM="\"sub\"": want the name of a claim`}},
		{"a nested claim", map[string]string{"JWT_USER_CLAIM": "https://app.example/claims.user.id"}, nil},
		{"no origin", map[string]string{"WS_ALLOWED_ORIGINS": " , "}, []string{`WS_ALLOWED_ORIGINS="": want a list such as`}},
		{"sizes", map[string]string{"WS_MAX_MESSAGE_SIZE": "0", "WS_READ_BUFFER_SIZE": "-1", "WS_WRITE_BUFFER_SIZE": "99999999",
			"WS_MAX_CONNECTIONS": "0"}, []string{
			`WS_MAX_MESSAGE_SIZE="0": want a number of bytes`,
			`WS_READ_BUFFER_SIZE="-1": want a number of bytes`,
			`WS_WRITE_BUFFER_SIZE="99999999": want a number of bytes`,
			`WS_MAX_CONNECTIONS="0": want a number of connections`,
		}},
		{"TLS", map[string]string{"WS_TLS_CERT_FILE": "a,b", "WS_TLS_KEY_FILE": "c,d", "WS_TLS_PORT": "443", "WS_TLS_HOST": "::", "WS_PLAIN": "false",
			"WS_TLS_MIN_VERSION": "1.3", "WS_TLS_TICKET_KEY_FILE": "t", "WS_TLS_CLIENT_CA_FILE": "a"}, nil},
		{"ACME", map[string]string{"WS_TLS_ACME_DOMAIN": "ws.example.com, b.example.com", "WS_TLS_ACME_EMAIL": "ops@example.com",
			"WS_TLS_ACME_DIRECTORY": "https://ca.example/dir", "WS_TLS_ACME_CACHE": "/var/lib/x"}, nil},
		{"the TLS port is the plain one's", map[string]string{"WS_TLS_CERT_FILE": "a", "WS_TLS_KEY_FILE": "b", "WS_TLS_PORT": "8081", "WS_TLS_HOST": "127.0.0.1"},
			[]string{`WS_TLS_PORT="8081": want a port that WS_PORT does not have already, or WS_PLAIN=false`}},
		{"the TLS port has the closed plain one's number", map[string]string{"WS_TLS_CERT_FILE": "a", "WS_TLS_KEY_FILE": "b", "WS_TLS_PORT": "8081", "WS_PLAIN": "false"}, nil},
		{"the TLS port is the admin server's", map[string]string{"WS_TLS_CERT_FILE": "a", "WS_TLS_KEY_FILE": "b", "WS_TLS_PORT": "8082"},
			[]string{`WS_TLS_PORT="8082": want a port that HTTP_PORT does not have already`}},
		{"no key", map[string]string{"WS_TLS_CERT_FILE": "a", "HTTP_TLS_KEY_FILE": "b"}, []string{
			`WS_TLS_KEY_FILE="": want the path of a file with a private key in PEM; set it together with WS_TLS_CERT_FILE`,
			`HTTP_TLS_CERT_FILE="": want the path of a file with a certificate in PEM; set it together with HTTP_TLS_KEY_FILE`}},
		{"no port is left", map[string]string{"WS_PLAIN": "false"}, []string{`WS_PLAIN="false": want WS_TLS_CERT_FILE and WS_TLS_KEY_FILE, or WS_TLS_ACME_DOMAIN, beside it`}},
		{"of TLS without a certificate", map[string]string{"WS_TLS_TICKET_KEY_FILE": "a", "WS_TLS_CLIENT_CA_FILE": "b", "WS_TLS_HOST": "c", "WS_TLS_ACME_EMAIL": "a@b.c", "WS_TLS_ACME_CACHE": "d"}, []string{
			`WS_TLS_HOST="c": want WS_TLS_CERT_FILE`, `WS_TLS_TICKET_KEY_FILE="a": want WS_TLS_CERT_FILE and WS_TLS_KEY_FILE beside it`, `WS_TLS_CLIENT_CA_FILE="b": want WS_TLS_CERT_FILE`,
			`WS_TLS_ACME_EMAIL="a@b.c": want WS_TLS_ACME_DOMAIN beside it`, `WS_TLS_ACME_CACHE="d": want WS_TLS_ACME_DOMAIN beside it`}},
		{"files and ACME", map[string]string{"WS_TLS_CERT_FILE": "a", "WS_TLS_KEY_FILE": "b", "WS_TLS_ACME_DOMAIN": "ws.example.com"},
			[]string{`WS_TLS_ACME_DOMAIN="ws.example.com": want one of WS_TLS_ACME_DOMAIN and WS_TLS_CERT_FILE`}},
		{"old TLS", map[string]string{"WS_TLS_MIN_VERSION": "1.1"}, []string{`WS_TLS_MIN_VERSION="1.1": want 1.2 or 1.3`}},
		{"a wildcard", map[string]string{"WS_TLS_ACME_DOMAIN": "*.example.com"}, []string{`WS_TLS_ACME_DOMAIN="*.example.com": want a list of host names`}},
		{"an address", map[string]string{"WS_TLS_ACME_DOMAIN": "192.0.2.1"}, []string{`WS_TLS_ACME_DOMAIN="192.0.2.1": want a list of host names`}},
		{"an URL", map[string]string{"WS_TLS_ACME_DOMAIN": "https://ws.example.com/"}, []string{`WS_TLS_ACME_DOMAIN="https://ws.example.com/": want a list of host names`}},
		{"ACME over http, for nobody", map[string]string{"WS_TLS_ACME_DOMAIN": "ws.example.com", "WS_TLS_ACME_DIRECTORY": "http://ca", "WS_TLS_ACME_EMAIL": "ops"}, []string{
			`WS_TLS_ACME_EMAIL="ops": want an e-mail address`, `WS_TLS_ACME_DIRECTORY="http://ca": want an URL that begins with https://`}},
		{"redis", map[string]string{"REDIS_HOST": "redis://h", "REDIS_DB": "-1", "REDIS_MAX_RETRIES": "-1",
			"REDIS_MIN_IDLE_CONNS": "-1", "REDIS_POOL_SIZE": "0", "REDIS_FEED_MAX_ATTEMPTS": "-1"}, []string{
			`REDIS_HOST="redis://h": want a host name or an IP address without a port`,
			`REDIS_DB="-1": want`, `REDIS_MAX_RETRIES="-1": want`, `REDIS_MIN_IDLE_CONNS="-1": want`,
			`REDIS_POOL_SIZE="0": want`, `REDIS_FEED_MAX_ATTEMPTS="-1": want a number of attempts, or 0 for ever`,
		}},
		{"sentinels", map[string]string{"REDIS_ADDRS": " a:1 ,[::1]:26379,", "REDIS_MASTER_NAME": "m",
			"REDIS_SENTINEL_USERNAME": "u", "REDIS_SENTINEL_PASSWORD": "p"}, nil},
		{"sentinels of no master", map[string]string{"REDIS_ADDRS": "a:1, b:2"}, []string{
			`REDIS_ADDRS="a:1,b:2": want REDIS_MASTER_NAME beside it, the name by which these sentinels know the master, or` +
				` REDIS_CLUSTER=true where they are nodes of a cluster; where there is neither, REDIS_HOST and REDIS_PORT`}},
		{"a cluster", map[string]string{"REDIS_ADDRS": "a:1,b:2", "REDIS_CLUSTER": "true", "REDIS_FEED": "sharded",
			"REDIS_UNSUBSCRIBE_DELAY": "0s"}, nil},
		{"a cluster of one", map[string]string{"REDIS_HOST": "a", "REDIS_CLUSTER": "true", "REDIS_FEED": "user"}, nil},
		{"a cluster with sentinels and a database", map[string]string{"REDIS_ADDRS": "a:1", "REDIS_CLUSTER": "true",
			"REDIS_MASTER_NAME": "m", "REDIS_DB": "1"}, []string{
			`REDIS_MASTER_NAME="m": want REDIS_CLUSTER=false beside it`, `REDIS_DB="1": want 0: a cluster has no other database`}},
		{"shards without a cluster", map[string]string{"REDIS_FEED": "sharded"}, []string{`REDIS_FEED="sharded": want REDIS_CLUSTER=true`}},
		{"a feed that is none", map[string]string{"REDIS_FEED": "users", "REDIS_UNSUBSCRIBE_DELAY": "-1s"}, []string{
			`REDIS_FEED="users": want pattern, user or sharded`, `REDIS_UNSUBSCRIBE_DELAY="-1s": want a duration such as 10s`}},
		{"a sentinel without a port", map[string]string{"REDIS_ADDRS": "a:1,b", "REDIS_MASTER_NAME": "m"},
			[]string{`REDIS_ADDRS="a:1,b": want a list of host:port, such as`}},
		{"a sentinel's port", map[string]string{"REDIS_ADDRS": "a:0", "REDIS_MASTER_NAME": "m"}, []string{`REDIS_ADDRS="a:0": want a list of`}},
		{"a sentinel without a host", map[string]string{"REDIS_ADDRS": ":1", "REDIS_MASTER_NAME": "m"}, []string{`REDIS_ADDRS=":1": want a list of`}},
		{"a sentinel's URL", map[string]string{"REDIS_ADDRS": "redis://a:1", "REDIS_MASTER_NAME": "m"},
			[]string{`REDIS_ADDRS="redis://a:1": want a list of`}},
		{"a master without sentinels", map[string]string{"REDIS_MASTER_NAME": "m", "REDIS_SENTINEL_USERNAME": "u",
			"REDIS_SENTINEL_PASSWORD": "p"}, []string{
			`REDIS_MASTER_NAME="m": want REDIS_ADDRS beside it`, `REDIS_SENTINEL_USERNAME="u": want REDIS_ADDRS beside it`,
			`REDIS_SENTINEL_PASSWORD="********": want REDIS_ADDRS beside it`}},
		{"TLS files", map[string]string{"REDIS_USE_TLS": "true", "REDIS_TLS_CA_FILE": "a", "REDIS_TLS_CERT_FILE": "b",
			"REDIS_TLS_KEY_FILE": "c", "REDIS_TLS_SERVER_NAME": "d"}, nil},
		{"TLS files without TLS", map[string]string{"REDIS_TLS_CA_FILE": "a", "REDIS_TLS_CERT_FILE": "b",
			"REDIS_TLS_KEY_FILE": "c", "REDIS_TLS_SERVER_NAME": "d"}, []string{
			`REDIS_TLS_CA_FILE="a": want REDIS_USE_TLS=true beside it`, `REDIS_TLS_CERT_FILE="b": want REDIS_USE_TLS=true`,
			`REDIS_TLS_KEY_FILE="c": want REDIS_USE_TLS=true`, `REDIS_TLS_SERVER_NAME="d": want REDIS_USE_TLS=true`}},
		{"certificate without key", map[string]string{"REDIS_USE_TLS": "true", "REDIS_TLS_CERT_FILE": "b"},
			[]string{`REDIS_TLS_KEY_FILE="": want the path of a file with a private key in PEM; set it together with REDIS_TLS_CERT_FILE`}},
		{"key without certificate", map[string]string{"REDIS_USE_TLS": "true", "REDIS_TLS_KEY_FILE": "c"},
			[]string{`REDIS_TLS_CERT_FILE="": want the path of a file with a certificate in PEM; set it together with REDIS_TLS_KEY_FILE`}},
		{"TLS name with a port", map[string]string{"REDIS_USE_TLS": "true", "REDIS_TLS_SERVER_NAME": "d:1"},
			[]string{`REDIS_TLS_SERVER_NAME="d:1": want a host name`}},
		{"presence", map[string]string{"REDIS_PRESENCE": "true", "REDIS_PRESENCE_TTL": "10s"}, nil},
		{"presence too short", map[string]string{"REDIS_PRESENCE": "true", "REDIS_PRESENCE_TTL": "9s"},
			[]string{`REDIS_PRESENCE_TTL="9s": want a duration from 10s to 1h`}},
		{"presence too long", map[string]string{"REDIS_PRESENCE": "true", "REDIS_PRESENCE_TTL": "2h"},
			[]string{`REDIS_PRESENCE_TTL="2h": want a duration from 10s to 1h`}},
		{"a TTL without presence", map[string]string{"REDIS_PRESENCE_TTL": "30s"},
			[]string{`REDIS_PRESENCE_TTL="30s": want REDIS_PRESENCE=true beside it`}},
		{"redis nowhere", map[string]string{"REDIS_HOST": ""}, []string{`REDIS_HOST="": want`}},
		{"idle above pool", map[string]string{"REDIS_POOL_SIZE": "5"},
			[]string{`REDIS_MIN_IDLE_CONNS="10": want no more than REDIS_POOL_SIZE, which is 5`}},
		{"host with a port", map[string]string{"WS_HOST": "0.0.0.0:8081"}, []string{`WS_HOST="0.0.0.0:8081": want an IP address`}},
		{"discord without token", map[string]string{"DISCORD_WEBHOOK_ID": "1"}, []string{`DISCORD_WEBHOOK_TOKEN="": want`}},
		{"discord without id", map[string]string{"DISCORD_WEBHOOK_TOKEN": "tkn"}, []string{`DISCORD_WEBHOOK_ID="": want`}},
		{"discord address", map[string]string{"DISCORD_WEBHOOK_ID": "1", "DISCORD_WEBHOOK_TOKEN": "https://d/1/tkn"},
			[]string{`DISCORD_WEBHOOK_TOKEN="********": want the last part`}},
		{"same port", map[string]string{"HTTP_PORT": "8081"}, []string{`HTTP_PORT="8081": want a port that WS_PORT does not have`}},
		{"same port, all addresses", map[string]string{"HTTP_PORT": "8081", "HTTP_HOST": "127.0.0.1"}, []string{`HTTP_PORT="8081"`}},
		{"same port, other addresses",
			map[string]string{"HTTP_PORT": "8081", "HTTP_HOST": "127.0.0.1", "WS_HOST": "127.0.0.2"}, nil},
		{"any ports", map[string]string{"HTTP_PORT": "0", "WS_PORT": "0"}, nil},
		{"all at once, in the order of the fields",
			map[string]string{"HTTP_PORT": "x", "WS_MODE": "y", "LOGGER_LEVEL": "z", "WS_PORT": "70000"},
			[]string{`WS_PORT=`, `WS_MODE=`, `LOGGER_LEVEL=`, `HTTP_PORT=`}},
	}
	for _, tt := range tests {
		t.Run(tt.name, func(t *testing.T) {
			setenv(t, tt.env)
			_, err := Source{}.Load()
			checkLines(t, err, tt.want)
		})
	}
}

func checkLines(t *testing.T, err error, want []string) {
	t.Helper()
	var got []string
	if err != nil {
		got = strings.Split(err.Error(), "\n")
	}
	if len(got) != len(want) {
		t.Fatalf("got %d lines, want %d:\n%s", len(got), len(want), strings.Join(got, "\n"))
	}
	for i := range got {
		if !strings.HasPrefix(got[i], want[i]) {
			t.Errorf("line %d:\ngot  %s\nwant %s", i, got[i], want[i])
		}
	}
}

func TestProblemIsFoundByErrorsAs(t *testing.T) {
	setenv(t, map[string]string{"WS_MODE": "x", "WS_PORT": "y"})
	_, err := Source{}.Load()
	var p Problem
	if !errors.As(err, &p) || p.Name != "WS_PORT" {
		t.Errorf("got %+v of %v", p, err)
	}
}

// A demo makes its own secret: it reads, fills in, and validates.
func TestReadThenValidate(t *testing.T) {
	setenv(t, map[string]string{"JWT_SECRET_KEY": "", "WS_MODE": "odd"})
	c, err := Read()
	if err != nil {
		t.Fatal(err)
	}
	c.JWTSecretKey = goodSecret
	checkLines(t, c.Validate(), []string{`WS_MODE="odd"`})
	c.WSMode = "release"
	checkLines(t, c.Validate(), nil)
}

func TestUnreadableValuesAreShownAsDefaults(t *testing.T) {
	setenv(t, map[string]string{"WS_PORT": "x", "WS_PING_INTERVAL": "y", "REDIS_USE_TLS": "z"})
	c, err := Read()
	checkLines(t, err, []string{"WS_PORT", "WS_PING_INTERVAL", "REDIS_USE_TLS"})
	if c.WSPort != 8081 || shortDuration(c.WSPingInterval) != "30s" || c.RedisUseTLS {
		t.Errorf("got %d %s %t", c.WSPort, c.WSPingInterval, c.RedisUseTLS)
	}
}
