package commands

import (
	"encoding/json"
	"os"
	"os/exec"
	"slices"
	"strings"
	"testing"

	"roost/cmd/roost/internal/e2e"
	"roost/cmd/roost/internal/roosttest"
)

// TestDemo does what the demo tells its user to do, with a redis-server and with the Redis that make run builds in.
func TestDemo(t *testing.T) {
	t.Parallel()
	t.Run("redis-server", func(t *testing.T) {
		t.Parallel()
		// As in compose.demo.yaml: the lines have an address that can be connected to, and the token.
		tryDemo(t, "", roosttest.Env{"HTTP_HOST": "0.0.0.0", "HTTP_TOKEN": "demodemodemodemo"})
	})
	t.Run("embedded", func(t *testing.T) {
		t.Parallel()
		// Without a PATH there is no redis-server.
		tryDemo(t, roosttest.BinaryWith(t, "demo"), roosttest.Env{"PATH": ""})
	})
}

func tryDemo(t *testing.T, program string, env roosttest.Env) {
	t.Helper()
	env["WS_PORT"], env["HTTP_PORT"] = "0", "0"
	demo := roosttest.Run(t, roosttest.Command{Program: program, Args: []string{"demo"}, Env: env})
	url := e2e.WaitMatch(t, demo, `listen --url '(ws://[^']+)'`)
	e2e.WaitMatch(t, demo, `connected +.*user_id=alice`) // the demo's own listener

	listener := roosttest.Run(t, roosttest.Command{Args: []string{"listen", "--url", url[1]}})
	e2e.WaitMatch(t, demo, `total_connections=2`)

	for i, pattern := range []string{`(?m)^  (\S+ publish --redis .*)$`, `(?m)^  (redis-cli -p .*)$`, `(?m)^  (curl .*)$`} {
		line := e2e.WaitMatch(t, demo, pattern)[1]
		output, err := exec.Command("sh", "-c", line).CombinedOutput()
		if err != nil || strings.Contains(line, "0.0.0.0") {
			t.Fatalf("%s: %v\n%s", line, err, output)
		}
		roosttest.WaitFor(t, "the demo to print the notification of "+line, func() bool {
			return strings.Count(demo.Log.String(), `alice got: {"type":"greeting","payload":{"text":"hello"},"timestamp":"`) == i+1
		})
		roosttest.WaitFor(t, "the listener to print it", func() bool {
			return strings.Count(listener.Log.String(), `{"type":"greeting","payload":{"text":"hello"},"timestamp":"`) == i+1
		})
	}
	if code := demo.Stop(); code != 0 {
		t.Errorf("the demo ended with %d", code)
	}
	if code := listener.Wait(); code != 1 || !strings.Contains(listener.Stderr.String(), "1001") {
		t.Errorf("the listener ended with %d, saying %q", code, listener.Stderr.String())
	}
	for line := range strings.Lines(listener.Log.String()) {
		var envelope map[string]any
		if err := json.Unmarshal([]byte(line), &envelope); err != nil {
			t.Errorf("the listener printed %q: %v", line, err)
		}
	}
}

// With --tls the lines to paste speak TLS, with the certificate that was made for the occasion.
func TestDemoOverTLS(t *testing.T) {
	t.Parallel()
	demo := roosttest.Run(t, roosttest.Command{Args: []string{"demo", "--tls"}, Env: roosttest.Env{"WS_PORT": "0", "HTTP_PORT": "0", "WS_TLS_PORT": "0"}})
	found := e2e.WaitMatch(t, demo, `listen --ca-file (\S+) --url '(wss://[^']+)'`)
	e2e.WaitMatch(t, demo, `connected +.*user_id=alice`) // the demo's own listener
	listener := roosttest.Run(t, roosttest.Command{Args: []string{"listen", "--ca-file", found[1], "--url", found[2]}})
	e2e.WaitMatch(t, demo, `total_connections=2`)
	line := e2e.WaitMatch(t, demo, `(?m)^  (curl --cacert .* https://.*)$`)[1]
	if said, err := exec.Command("sh", "-c", line).CombinedOutput(); err != nil {
		t.Fatalf("%s: %v\n%s", line, err, said)
	}
	roosttest.WaitFor(t, "the listener to print the notification", func() bool {
		return strings.Contains(listener.Log.String(), `{"type":"greeting","payload":{"text":"hello"},"timestamp":"`)
	})
	if code := demo.Stop(); code != 0 {
		t.Errorf("the demo ended with %d", code)
	}
	if code := listener.Wait(); code != 1 || !strings.Contains(listener.Stderr.String(), "1001") {
		t.Errorf("the listener ended with %d, saying %q", code, listener.Stderr.String())
	}
	if _, err := os.Stat(found[1]); !os.IsNotExist(err) {
		t.Errorf("the certificate is still there: %v", err)
	}
}

// TestNoEmbeddedRedis keeps the demo's Redis, and its Lua, out of the binary that serves.
func TestNoEmbeddedRedis(t *testing.T) {
	t.Parallel()
	for tags, want := range map[string]bool{"": false, "demo": true} {
		deps, err := exec.Command("go", "list", "-tags", tags, "-deps", "roost/cmd/roost").Output()
		if err != nil {
			t.Fatal(err)
		}
		if got := strings.Contains(string(deps), "miniredis") || strings.Contains(string(deps), "gopher-lua"); got != want {
			t.Errorf("built with -tags %q it has an embedded Redis: %t, want %t", tags, got, want)
		}
	}
}

// TestCommands uses the subcommands beside a server, with its environment.
func TestCommands(t *testing.T) {
	t.Parallel()
	redis, server := e2e.Start(t, nil)
	port := server.WS[strings.LastIndexByte(server.WS, ':')+1:]
	env := roosttest.ServerEnv(redis, roosttest.Env{"WS_PORT": port})
	run := func(args ...string) *roosttest.Process {
		return roosttest.Run(t, roosttest.Command{Args: args, Env: env})
	}

	token := run("token", "--user", "alice", "--email", "alice@mail.example", "--ttl", "5m")
	if code := token.Wait(); code != 0 {
		t.Fatalf("token ended with %d", code)
	}
	client := server.ConnectWith(strings.TrimSpace(token.Log.String()), roosttest.Dial{})
	listener := run("listen", "--user", "alice")
	server.WaitLine("connected", "user_id", "alice", "user_connections", 2.0)

	publish := run("publish", "alice", `{"type":"a","payload":[1.0]}`)
	if code := publish.Wait(); code != 0 || !strings.Contains(publish.Log.String(), "1 server got it from Redis") {
		t.Errorf("publish ended with %d, saying %q", code, publish.Log.String())
	}
	client.WaitMessages(1)
	e2e.WaitMatch(t, listener, `^\{"type":"a","payload":\[1\.0\],"timestamp":".*"\}\n$`)

	nonsense := run("publish", "alice", `{"payload":1}`)
	if code := nonsense.Wait(); code != 2 || !strings.Contains(nonsense.Stderr.String(), "type_missing") {
		t.Errorf("publishing nonsense ended with %d, saying %q", code, nonsense.Stderr.String())
	}
	listener.Stop()
}

// TestCommandsSayWhatIsWrong wants one line, naming what to do.
func TestCommandsSayWhatIsWrong(t *testing.T) {
	t.Parallel()
	redis := roosttest.Env{"REDIS_PORT": "1", "REDIS_HOST": "127.0.0.1", "REDIS_MAX_RETRIES": "0"}
	key := roosttest.Env{"JWT_SECRET_KEY": roosttest.Secret, "WS_HOST": "127.0.0.1", "WS_PORT": "1"}
	tests := []struct {
		name string
		args []string
		env  roosttest.Env
		says string
	}{
		{"token without a key", []string{"token", "--user", "alice"}, nil, "JWT_SECRET_KEY"},
		{"token without a user", []string{"token"}, key, "which user?"},
		{"token for no time", []string{"token", "--user", "alice", "--ttl", "0s"}, key, "ttl"},
		{"listen as nobody", []string{"listen"}, key, "name a user"},
		{"listen where nobody is", []string{"listen", "--user", "alice"}, key, "127.0.0.1:1"},
		{"listen on something else", []string{"listen", "--url", "redis://localhost"}, key, "ws or wss"},
		{"publish where no Redis is", []string{"publish", "alice", `{"type":"a"}`}, redis, "127.0.0.1:1"},
		{"publish too much", []string{"publish", "alice", `{"type":"a","payload":"` + strings.Repeat("x", 65536) + `"}`}, redis, "raise WS_MAX_NOTIFICATION_SIZE"},
		{"publish more than the servers take", []string{"publish", "alice", `{"type":"a","payload":123}`}, roosttest.Env{"WS_MAX_NOTIFICATION_SIZE": "25"},
			"it has 26 bytes, and may have 25"},
		{"publish to a channel", []string{"publish", "user_noti:alice", `{"type":"a"}`}, redis, `the user is "alice"`},
		{"publish to everyone's channel", []string{"publish", "user_noti_all", `{"type":"a"}`}, redis, "roost broadcast"},
		{"publish to a group's channel", []string{"publish", "group_noti:staff", `{"type":"a"}`}, redis, `the group is "staff"`},
		{"publish to a command's channel", []string{"publish", "user_ctl:alice", `{"type":"a"}`}, redis, `the user is "alice"`},
		{"publish a pong", []string{"publish", "alice", `{"type":"pong"}`}, redis, `"pong" is reserved`},
		{"publish a ping", []string{"publish", "alice", `{"type":"\u0070ing"}`}, redis, `"ping" is reserved`},
		{"publish as Roost", []string{"publish", "alice", `{"type":"_gap","payload":{}}`}, redis, "type_reserved"},
		{"disconnect a channel", []string{"disconnect", "user_ctl:alice"}, redis, `the user is "alice"`},
		{"broadcast to a group's channel", []string{"broadcast", `{"type":"a"}`, "--group", "group_noti:staff"}, redis, `the group is "staff"`},
		{"broadcast to everyone's channel", []string{"broadcast", `{"type":"a"}`, "--group", "user_noti_all"}, redis, "without --group"},
		{"broadcast as Roost", []string{"broadcast", `{"type":"\u005fgap"}`}, redis, "type_reserved"},
		{"token with a bad group", []string{"token", "--user", "alice", "--group", "a", "--group", ""}, key, "the name of a group has 1 to 255 bytes"},
		{"token with too many groups", append([]string{"token", "--user", "alice"}, slices.Repeat([]string{"--group", "a"}, 201)...), key, "201 groups"},
		{"broadcast nonsense", []string{"broadcast", `{"payload":1}`}, redis, "type_missing"},
		{"broadcast to no group", []string{"broadcast", `{"type":"a"}`, "--group", ""}, redis, "the name of a group has 1 to 255 bytes"},
		{"broadcast where no Redis is", []string{"broadcast", `{"type":"a"}`}, redis, "127.0.0.1:1"},
		{"broadcast too much", []string{"broadcast", `{"type":"a","payload":"` + strings.Repeat("x", 65536) + `"}`}, redis, "raise WS_MAX_NOTIFICATION_SIZE"},
		{"publish on half an address", []string{"publish", "--redis", "localhost", "alice", `{"type":"a"}`}, nil, "host:port"},
		{"the demo without a Redis", []string{"demo"}, roosttest.Env{"PATH": ""}, "no redis-server or valkey-server in PATH"},
		{"an unknown command", []string{"dance"}, nil, "dance"},
	}
	// Failures that are not the command line's end with 1, all others with 2.
	failures := map[string]bool{
		"token without a key": true, "listen where nobody is": true, "publish where no Redis is": true,
		"broadcast where no Redis is": true, "the demo without a Redis": true,
	}
	for _, test := range tests {
		t.Run(test.name, func(t *testing.T) {
			t.Parallel()
			process := roosttest.Run(t, roosttest.Command{Args: test.args, Env: test.env})
			want := 2
			if failures[test.name] {
				want = 1
			}
			if code := process.Wait(); code != want {
				t.Errorf("ended with %d, want %d", code, want)
			}
			if said := process.Stderr.String(); !strings.Contains(said, test.says) || strings.Contains(said, roosttest.Secret) {
				t.Errorf("said %q, want %q in it", said, test.says)
			}
		})
	}
}
