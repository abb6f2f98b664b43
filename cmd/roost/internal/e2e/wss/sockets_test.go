package wss

import (
	"net"
	"os"
	"strconv"
	"strings"
	"testing"

	"roost/cmd/roost/internal/e2e"
	"roost/cmd/roost/internal/roosttest"
	"roost/redisfeed/redistest"
)

// An upgrade keeps both ports open, and the new process serves both.
func TestUpgradeKeepsBothPorts(t *testing.T) {
	t.Parallel()
	s := start(t, roosttest.Env{"WS_UPGRADE": "drain"})
	e2e.EndLast(t, s.server)
	alice := s.connect("alice", s.config())
	e2e.Upgrade(t, s.server)
	roosttest.WaitFor(t, "the new process", func() bool { return len(s.server.Log.Find("listening")) > 1 })
	line := s.server.Log.Find("listening")[1]
	if line.Text("websocket") != s.server.WS || line.Text("websocket_tls") != s.server.WSS {
		t.Errorf("the new process says %v", line)
	}
	alice.WaitClose() // the old one has gone
	s.notified("bob", s.connect("bob", s.config()))
	s.notified("carol", s.server.Connect("carol"))
}

// systemd's socket for wss:// goes by its name, and one that nothing has a use for is an error.
func TestActivatedSocket(t *testing.T) {
	t.Parallel()
	redis, authority := redistest.Start(t), redistest.NewAuthority(t)
	shown := authority.Issue("localhost")
	secure := roosttest.Env{"WS_TLS_CERT_FILE": shown.File, "WS_TLS_KEY_FILE": shown.Key}
	alone := roosttest.Env{"WS_TLS_CERT_FILE": shown.File, "WS_TLS_KEY_FILE": shown.Key, "WS_PLAIN": "false"}
	for _, test := range []struct {
		name  string
		names string
		env   roosttest.Env
		says  string // of an error
	}{
		{"both", "websocket:websocket-tls", secure, ""},
		{"alone", "websocket-tls", alone, ""},
		{"without a certificate", "websocket-tls", nil, "systemd gives a socket named websocket-tls: set WS_TLS_CERT_FILE"},
		{"the plain one that is closed", "websocket:websocket-tls", alone, "WS_PLAIN=false"},
		{"a name that is none", "websocket:wss", secure, "FileDescriptorName=websocket, websocket-tls, http"},
	} {
		t.Run(test.name, func(t *testing.T) {
			t.Parallel()
			var files []*os.File
			address := make(map[string]string)
			names := strings.Split(test.names, ":")
			for _, name := range names {
				ln, err := net.Listen("tcp", "127.0.0.1:0")
				if err != nil {
					t.Fatal(err)
				}
				defer ln.Close()
				file, err := ln.(*net.TCPListener).File()
				if err != nil {
					t.Fatal(err)
				}
				defer file.Close()
				files, address[name] = append(files, file), ln.Addr().String()
			}
			env := roosttest.ServerEnv(redis, test.env)
			env["LISTEN_FDS"], env["LISTEN_FDNAMES"] = strconv.Itoa(len(names)), test.names
			process := roosttest.Run(t, roosttest.Command{
				Wrap: []string{"/bin/bash", "-c", `export LISTEN_PID=$$; exec "$@"`, "bash"}, Env: env, Files: files,
			})
			if test.says != "" {
				if code := process.Wait(); code != 1 || !strings.Contains(process.Stderr.String(), test.says) {
					t.Errorf("ended with %d, saying %s", code, process.Stderr.String())
				}
				return
			}
			server := roosttest.Serving(t, process)
			if server.WSS != address["websocket-tls"] || server.WS != address["websocket"] {
				t.Errorf("it listens on %q and %q, want %v", server.WS, server.WSS, address)
			}
			s := &stand{t: t, redis: redis, server: server, authority: authority, shown: shown}
			server.WaitLine("redis feed is subscribed")
			s.notified("alice", s.connect("alice", s.config()))
		})
	}
}
