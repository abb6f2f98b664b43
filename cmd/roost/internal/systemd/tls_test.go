package systemd

import (
	"crypto/tls"
	"fmt"
	"math/rand/v2"
	"net"
	"os"
	"path/filepath"
	"strings"
	"testing"

	"roost/redisfeed/redistest"
)

// Port 443 as the unit is shipped, without root: the service may open it, and its state directory is writable. Then as systemd's own socket.
func TestPort443UnderSystemd(t *testing.T) {
	if testing.Short() {
		t.Skip("boots a container")
	}
	redis, authority := redistest.Start(t), redistest.NewAuthority(t)
	shown := authority.Issue("localhost")
	m := boot(t)
	for name, file := range map[string]string{"cert.pem": shown.File, "key.pem": shown.Key} {
		text, err := os.ReadFile(file)
		if err != nil {
			t.Fatal(err)
		}
		m.write("etc/roost/"+name, string(text))
		if err := os.Chown(filepath.Join(m.root, "etc/roost", name), 990, 990); err != nil {
			t.Fatal(err)
		}
	}
	host := freeHost(t, "443")
	address := net.JoinHostPort(host, "443")
	with := []string{"WS_TLS_CERT_FILE=/etc/roost/cert.pem", "WS_TLS_KEY_FILE=/etc/roost/key.pem", "WS_TLS_HOST=" + host, "WS_TLS_PORT=443"}
	m.write(settingsFile, settings(redis.Port(), with...))
	m.run("systemctl", "start", "roost")
	if got := m.await("listening", 1).Text("websocket_tls"); got != address {
		t.Errorf("it listens on %q", got)
	}
	shakeHands := func() {
		t.Helper()
		conn, err := tls.Dial("tcp", address, &tls.Config{RootCAs: authority.Roots(), ServerName: "localhost"})
		if err != nil {
			t.Fatal(err)
		}
		_ = conn.Close()
	}
	shakeHands()
	if info, err := os.Stat(filepath.Join(m.root, "var/lib/roost")); err != nil || info.Mode().Perm() != 0o700 {
		t.Errorf("the state directory is %v, %v", info, err)
	}
	m.run("systemctl", "stop", "roost")

	socket, err := os.ReadFile("../../../../scripts/roost-tls.socket")
	if err != nil {
		t.Fatal(err)
	}
	m.write("etc/systemd/system/roost-tls.socket", strings.Replace(string(socket), "ListenStream=443", "ListenStream="+address, 1))
	m.write("etc/systemd/system/roost.service.d/sealed.conf", "[Service]\nAmbientCapabilities=\nCapabilityBoundingSet=\nPrivateUsers=yes\n")
	m.write(settingsFile, settings(redis.Port(), with[:2]...))
	m.run("systemctl", "daemon-reload")
	m.run("systemctl", "start", "roost-tls.socket", "roost")
	if got := m.await("listening", 2).Text("websocket_tls"); got != address {
		t.Errorf("with the socket of systemd it listens on %q", got)
	}
	shakeHands()
}

// freeHost is a loopback address whose port nobody listens on.
func freeHost(t *testing.T, port string) string {
	t.Helper()
	for {
		host := fmt.Sprintf("127.%d.%d.%d", 1+rand.IntN(254), rand.IntN(256), 1+rand.IntN(254))
		if ln, err := net.Listen("tcp", net.JoinHostPort(host, port)); err == nil {
			_ = ln.Close()
			return host
		}
	}
}
