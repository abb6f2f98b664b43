package lifecycle

import (
	"fmt"
	"net"
	"strconv"
	"strings"
	"testing"

	"roost/cmd/roost/internal/e2e"
	"roost/cmd/roost/internal/roosttest"
	"roost/redisfeed/redistest"
)

// e2e.NoRedis is where nothing listens.

func TestPortInUse(t *testing.T) {
	t.Parallel()
	for _, variable := range []string{"WS_PORT", "HTTP_PORT"} {
		t.Run(variable, func(t *testing.T) {
			t.Parallel()
			taken, err := net.Listen("tcp", "127.0.0.1:0")
			if err != nil {
				t.Fatal(err)
			}
			defer taken.Close()
			port := strconv.Itoa(taken.Addr().(*net.TCPAddr).Port)
			env := roosttest.ServerEnv(e2e.NoRedis{}, roosttest.Env{variable: port})
			e2e.CheckRefusesToStart(t, env, variable, "127.0.0.1:"+port+" is in use")
		})
	}
}

// checkRefusesToStart checks for exit code 1 and one line with all of these.

func TestWrongValues(t *testing.T) {
	t.Parallel()
	tests := []struct{ variable, value, says string }{
		{"WS_PORT", "http", `WS_PORT="http"`},
		{"WS_PORT", "70000", "65535"},
		{"WS_HOST", "127.0.0.1:8081", "without a port"},
		{"WS_HOST", "192.0.2.1", "WS_HOST"}, // nobody's address
		{"WS_MODE", "fast", "debug"},
		{"WS_PING_INTERVAL", "30", "duration"},
		{"WS_PING_INTERVAL", "60s", "WS_PONG_WAIT"},
		{"WS_PONG_WAIT", "-1s", "duration"},
		{"WS_MAX_CONNECTIONS", "0", "WS_MAX_CONNECTIONS"},
		{"WS_MAX_MESSAGE_SIZE", "big", "bytes"},
		{"WS_ALLOWED_ORIGINS", "https://*.*.example", "WS_ALLOWED_ORIGINS"},
		{"WS_PROXY_PROTOCOL", "true", "want WS_TRUSTED_PROXIES"},
		{"WS_PROXY_PROTOCOL", "v2", "true or false"},
		{"REDIS_PORT", "tcp://10.0.0.1:6379", "REDIS_PORT"},
		{"REDIS_USE_TLS", "perhaps", "REDIS_USE_TLS"},
		{"REDIS_ADDRS", "10.0.0.1:26379", "want REDIS_MASTER_NAME beside it"},
		{"REDIS_ADDRS", "10.0.0.1", "host:port"},
		{"REDIS_MASTER_NAME", "mymaster", "want REDIS_ADDRS beside it"},
		{"REDIS_TLS_CA_FILE", "ca.pem", "want REDIS_USE_TLS=true beside it"},
		{"REDIS_FEED_MAX_ATTEMPTS", "-1", "REDIS_FEED_MAX_ATTEMPTS"},
		{"JWT_SECRET_KEY", "", "JWT_SECRET_KEY"},
		{"JWT_SECRET_KEY", "", "or JWT_PUBLIC_KEY_FILE or JWT_JWKS_URL"},
		{"JWT_PUBLIC_KEY_FILE", "/no/such/file", "no such file"},
		{"JWT_PUBLIC_KEY_FILE", "startup_test.go", "PEM is wanted"},
		{"JWT_JWKS_URL", "http://id.example/jwks", "https://"},
		{"LOGGER_LEVEL", "loud", "LOGGER_LEVEL"},
		{"LOGGER_ENCODING", "xml", "console"},
	}
	for _, test := range tests {
		t.Run(fmt.Sprintf("%s=%s", test.variable, test.value), func(t *testing.T) {
			t.Parallel()
			env := roosttest.ServerEnv(e2e.NoRedis{}, roosttest.Env{test.variable: test.value})
			e2e.CheckRefusesToStart(t, env, test.variable, test.says)
		})
	}
}

func TestWrongTLSFiles(t *testing.T) {
	t.Parallel()
	for _, test := range []struct {
		env  roosttest.Env
		says []string
	}{
		{roosttest.Env{"REDIS_TLS_CA_FILE": "/no/such/file"}, []string{"REDIS_TLS_CA_FILE", "no such file"}},
		{roosttest.Env{"REDIS_TLS_CA_FILE": "startup_test.go"}, []string{"REDIS_TLS_CA_FILE", "PEM is wanted"}},
		{roosttest.Env{"REDIS_TLS_CERT_FILE": "a.pem"}, []string{"REDIS_TLS_KEY_FILE", "set it together with REDIS_TLS_CERT_FILE"}},
		{
			roosttest.Env{"REDIS_TLS_CERT_FILE": "/no/such/file", "REDIS_TLS_KEY_FILE": "startup_test.go"},
			[]string{"REDIS_TLS_CERT_FILE", "no such file"},
		},
	} {
		t.Run(strings.Join(test.says, " "), func(t *testing.T) {
			t.Parallel()
			env := roosttest.ServerEnv(e2e.NoRedis{}, test.env)
			env["REDIS_USE_TLS"] = "true"
			e2e.CheckRefusesToStart(t, env, test.says...)
		})
	}
}

func TestAllWrongValuesAreSaid(t *testing.T) {
	t.Parallel()
	env := roosttest.ServerEnv(e2e.NoRedis{}, roosttest.Env{"WS_PORT": "x", "REDIS_DB": "-1", "LOGGER_MODE": "y"})
	process := roosttest.Run(t, roosttest.Command{Args: []string{"serve"}, Env: env})
	if code := process.Wait(); code != 1 {
		t.Errorf("ended with %d", code)
	}
	lines := strings.Split(strings.TrimSpace(process.Stderr.String()), "\n")
	for i, variable := range []string{"WS_PORT", "REDIS_DB", "LOGGER_MODE"} {
		if len(lines) != 3 || !strings.Contains(lines[i], variable+"=") {
			t.Fatalf("said %q", lines)
		}
	}
}

func TestWarnings(t *testing.T) {
	t.Parallel()
	redis := redistest.Start(t)
	server := roosttest.Start(t, redis, roosttest.Env{"JWT_SECRET_KEY": "short", "WS_PING_INTERVALL": "5s"})
	var warnings []string
	for _, line := range server.Log.Lines() {
		if line.Message() == "listening" {
			break // what comes then is of Redis, and of how busy this machine is
		}
		if line.Text("level") == "WARN" {
			warnings = append(warnings, line.Message())
		}
	}
	if len(warnings) != 2 || !strings.Contains(warnings[0], "JWT_SECRET_KEY is 5 bytes") ||
		!strings.Contains(warnings[1], "did you mean WS_PING_INTERVAL?") {
		t.Errorf("warnings %q", warnings)
	}
}

func TestConfigCommand(t *testing.T) {
	t.Parallel()
	secrets := roosttest.Env{
		"JWT_SECRET_KEY": "secret-of-the-tokens-that-is-32-bytes", "REDIS_PASSWORD": "secret-of-redis",
		"DISCORD_WEBHOOK_ID": "123456789", "DISCORD_WEBHOOK_TOKEN": "secret-of-discord",
	}
	env := roosttest.ServerEnv(e2e.NoRedis{}, secrets)
	env["WS_MAX_CONNECTIONS"] = "77777"
	process := roosttest.Run(t, roosttest.Command{Args: []string{"config"}, Env: env})
	if code := process.Wait(); code != 0 {
		t.Errorf("ended with %d", code)
	}
	said := process.Log.String()
	if strings.Contains(said, "secret-of") || strings.Contains(process.Stderr.String(), "secret-of") {
		t.Errorf("a secret is shown:\n%s", said)
	}
	if n := strings.Count(said, "********"); n != 3 {
		t.Errorf("%d secrets are masked, want 3:\n%s", n, said)
	}
	for _, name := range issueVariables() {
		if !strings.Contains(said, "\n"+name+" ") {
			t.Errorf("%s is not there", name)
		}
	}
	if !strings.Contains(said, "77777") || !strings.Contains(said, "10000") {
		t.Error("no current value, or no default")
	}
}

// issueVariables are those that operators were promised.
func issueVariables() []string {
	return strings.Fields(`WS_HOST WS_PORT WS_MODE WS_ALLOWED_ORIGINS WS_HANDSHAKE_TIMEOUT WS_PING_INTERVAL WS_PONG_WAIT
		WS_WRITE_WAIT WS_MAX_MESSAGE_SIZE WS_READ_BUFFER_SIZE WS_WRITE_BUFFER_SIZE WS_MAX_CONNECTIONS REDIS_HOST REDIS_PORT
		REDIS_PASSWORD REDIS_DB REDIS_USE_TLS REDIS_MAX_RETRIES REDIS_MIN_IDLE_CONNS REDIS_POOL_SIZE REDIS_POOL_TIMEOUT
		REDIS_CONN_MAX_IDLE_TIME REDIS_CONN_MAX_LIFETIME REDIS_FEED_MAX_ATTEMPTS REDIS_FEED_RETRY_DELAY JWT_SECRET_KEY
		LOGGER_LEVEL LOGGER_MODE LOGGER_ENCODING DISCORD_WEBHOOK_ID DISCORD_WEBHOOK_TOKEN HTTP_HOST HTTP_PORT`)
}

func TestConfigCommandSaysWhatIsWrong(t *testing.T) {
	t.Parallel()
	env := roosttest.ServerEnv(e2e.NoRedis{}, roosttest.Env{"JWT_SECRET_KEY": "", "WS_PORT": "abc"})
	process := roosttest.Run(t, roosttest.Command{Args: []string{"config"}, Env: env})
	if code := process.Wait(); code != 1 {
		t.Errorf("ended with %d, want 1", code)
	}
	for _, variable := range []string{"WS_PORT", "JWT_SECRET_KEY"} {
		if !strings.Contains(process.Stderr.String(), variable) || !strings.Contains(process.Log.String(), variable) {
			t.Errorf("%s is missing in the table or in what is wrong", variable)
		}
	}
}
