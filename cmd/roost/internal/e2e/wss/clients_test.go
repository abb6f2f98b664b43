package wss

import (
	"fmt"
	"net"
	"os"
	"os/exec"
	"path/filepath"
	"strings"
	"testing"

	"roost/cmd/roost/internal/e2e"
	"roost/cmd/roost/internal/roosttest"
)

// program finds a program, or skips the test.
func program(t *testing.T, name string) string {
	t.Helper()
	path, err := exec.LookPath(name)
	if err != nil {
		t.Skipf("%s is not installed: it is not tried with wss://", name)
	}
	return path
}

// ports are the host and the port of the stand, as programs want them.
func (s *stand) port() string {
	_, port, err := net.SplitHostPort(s.server.WSS)
	if err != nil {
		s.t.Fatal(err)
	}
	return port
}

// openssl runs s_client with a request on its standard input, and returns what it printed. A line of one letter is a command, K or k.
func (s *stand) openssl(input string, args ...string) string {
	s.t.Helper()
	command := exec.Command(program(s.t, "openssl"), append([]string{"s_client", "-connect", s.server.WSS, "-servername", "localhost",
		"-CAfile", s.authority.File, "-verify_return_error", "-ign_eof"}, args...)...)
	command.Stdin = strings.NewReader(input)
	said, err := command.CombinedOutput()
	if err != nil {
		s.t.Errorf("openssl s_client %v: %v\n%s", args, err, said)
	}
	return string(said)
}

const askHealth = "GET /health HTTP/1.1\r\nHost: localhost\r\nConnection: close\r\n\r\n"

// OpenSSL: each suite of TLS 1.3, TLS 1.2, resumption.
func TestOpenSSL(t *testing.T) {
	t.Parallel()
	s := start(t, nil)
	for _, suite := range []string{"TLS_AES_128_GCM_SHA256", "TLS_AES_256_GCM_SHA384", "TLS_CHACHA20_POLY1305_SHA256"} {
		said := s.openssl(askHealth, "-tls1_3", "-ciphersuites", suite)
		if !strings.Contains(said, "Cipher is "+suite) || !strings.Contains(said, `"status":"healthy"`) || !strings.Contains(said, "Verification: OK") {
			t.Errorf("%s: %s", suite, said)
		}
	}
	for _, version := range []string{"-tls1_2", "-tls1_3"} {
		session := filepath.Join(t.TempDir(), "session")
		if said := s.openssl(askHealth, version, "-sess_out", session); !strings.Contains(said, `"status":"healthy"`) || !strings.Contains(said, "New, TLS") {
			t.Errorf("%s: %s", version, said)
		}
		if said := s.openssl(askHealth, version, "-sess_in", session); !strings.Contains(said, "Reused, TLS") || !strings.Contains(said, `"status":"healthy"`) {
			t.Errorf("%s is not resumed: %s", version, said)
		}
	}
}

// OpenSSL asks for new keys on the server's side (K), and changes its own alone (k), between requests of one connection.
func TestOpenSSLUpdatesKeys(t *testing.T) {
	t.Parallel()
	s := start(t, nil)
	command := exec.Command(program(t, "openssl"), "s_client", "-connect", s.server.WSS, "-servername", "localhost", "-CAfile", s.authority.File, "-tls1_3")
	in, err := command.StdinPipe()
	if err != nil {
		t.Fatal(err)
	}
	said := new(roosttest.Log)
	command.Stdout, command.Stderr = said, said
	if err := command.Start(); err != nil {
		t.Fatal(err)
	}
	expect := func(n int, text string) {
		t.Helper()
		roosttest.WaitFor(t, fmt.Sprintf("%d times %s", n, text), func() bool { return strings.Count(said.String(), text) >= n })
	}
	expect(1, "Verify return code")
	fmt.Fprint(in, "K\n")
	expect(1, "KEYUPDATE")
	fmt.Fprint(in, "k\n")
	expect(2, "KEYUPDATE")
	fmt.Fprint(in, askHealth)
	expect(1, `"status":"healthy"`)
	_ = in.Close()
	_ = command.Wait() // the server has closed: the request said so
}

// curl asks /health, and opens a WebSocket by hand.
func TestCurl(t *testing.T) {
	t.Parallel()
	curl := program(t, "curl")
	s := start(t, nil)
	for _, version := range []string{"--tlsv1.3", "--tls-max 1.2"} {
		args := append(strings.Fields(version), "--silent", "--show-error", "--fail", "--cacert", s.authority.File, "https://localhost:"+s.port()+"/health")
		if said, err := exec.Command(curl, args...).CombinedOutput(); err != nil || !strings.Contains(string(said), `"status":"healthy"`) {
			t.Errorf("%s: %v %s", version, err, said)
		}
	}
}

// script runs a client that prints connected and then each message, notifies it, and wants to read that.
func (s *stand) script(user, program string, args ...string) {
	s.t.Helper()
	process := roosttest.Run(s.t, roosttest.Command{Program: program, Args: args, Env: roosttest.Env{
		"NODE_EXTRA_CA_CERTS": s.authority.File, "CA": s.authority.File, "PORT": s.port(), "TOKEN": roosttest.Token(s.t, user),
	}})
	said := func() string { return process.Log.String() + process.Stderr.String() }
	ended := func() bool { return process.Exited() }
	roosttest.WaitFor(s.t, program+" to connect", func() bool { return strings.Contains(said(), "connected") || ended() })
	e2e.Notify(s.redis, user, `{"type":"n","payload":"`+strings.Repeat("ü", 9000)+`"}`)
	roosttest.WaitFor(s.t, program+" to get the notification", func() bool { return strings.Contains(said(), "got 9000") || ended() })
	if !strings.Contains(said(), "got 9000") {
		s.t.Errorf("%s %v said %s", program, args, said())
	}
}

// pythonClient speaks WebSocket over Python's ssl, and the version of TLS that its argument names at most.
const pythonClient = `
import json, os, re, socket, ssl, struct, sys
context = ssl.create_default_context(cafile=os.environ["CA"])
context.maximum_version = getattr(ssl.TLSVersion, sys.argv[1])
c = context.wrap_socket(socket.create_connection(("127.0.0.1", int(os.environ["PORT"]))), server_hostname="localhost")
assert c.version() == sys.argv[2], c.version()
c.sendall(("GET /ws?token=%s HTTP/1.1\r\nHost: localhost\r\nUpgrade: websocket\r\nConnection: Upgrade\r\n"
    "Sec-WebSocket-Key: dGhlIHNhbXBsZSBub25jZQ==\r\nSec-WebSocket-Version: 13\r\n\r\n" % os.environ["TOKEN"]).encode())
head = b""
while not head.endswith(b"\r\n\r\n"):
    head += c.recv(1)
assert b" 101 " in head.split(b"\r\n")[0], head
print("connected", flush=True)
def exactly(n):
    b = b""
    while len(b) < n:
        more = c.recv(n - len(b))
        assert more, "the end"
        b += more
    return b
while True:
    first, n = exactly(2)
    if n == 126: n = struct.unpack(">H", exactly(2))[0]
    body = exactly(n)
    if first == 0x81:
        print("got", len(json.loads(body)["payload"]), flush=True)
`

func TestPython(t *testing.T) {
	t.Parallel()
	python := program(t, "python3")
	s := start(t, nil)
	s.script("alice", python, "-c", pythonClient, "TLSv1_3", "TLSv1.3")
	s.script("bob", python, "-c", pythonClient, "TLSv1_2", "TLSv1.2")
}

// nodeClient speaks WebSocket over node's tls.
const nodeClient = `
const tls = require("tls"), fs = require("fs");
const c = tls.connect({ host: "127.0.0.1", port: +process.env.PORT, servername: "localhost", ca: fs.readFileSync(process.env.CA) }, () => {
  c.write("GET /ws?token=" + process.env.TOKEN + " HTTP/1.1\r\nHost: localhost\r\nUpgrade: websocket\r\nConnection: Upgrade\r\n" +
    "Sec-WebSocket-Key: dGhlIHNhbXBsZSBub25jZQ==\r\nSec-WebSocket-Version: 13\r\n\r\n");
});
let seen = Buffer.alloc(0), open = false;
c.on("data", b => {
  seen = Buffer.concat([seen, b]);
  if (!open) {
    const end = seen.indexOf("\r\n\r\n");
    if (end < 0) return;
    if (!seen.toString().startsWith("HTTP/1.1 101 ")) { console.log(seen.toString()); process.exit(1); }
    open = true; seen = seen.subarray(end + 4); console.log("connected");
  }
  while (seen.length >= 2) {
    let n = seen[1], at = 2;
    if (n === 126) { if (seen.length < 4) return; n = seen.readUInt16BE(2); at = 4; }
    if (seen.length < at + n) return;
    if (seen[0] === 0x81) console.log("got " + JSON.parse(seen.subarray(at, at + n)).payload.length);
    seen = seen.subarray(at + n);
  }
});
c.on("error", e => { console.log(String(e)); process.exit(1); });
`

func TestNode(t *testing.T) {
	t.Parallel()
	node := program(t, "node")
	start(t, nil).script("alice", node, "-e", nodeClient)
}

// javaClient is java.net.http's WebSocket, which trusts the file by a key store in memory.
const javaClient = `
import java.io.*; import java.net.*; import java.net.http.*; import java.nio.file.*; import java.security.*; import java.security.cert.*;
import java.util.concurrent.*; import javax.net.ssl.*;
public class Client {
  public static void main(String[] args) throws Exception {
    KeyStore store = KeyStore.getInstance(KeyStore.getDefaultType());
    store.load(null);
    try (InputStream in = Files.newInputStream(Path.of(System.getenv("CA")))) {
      store.setCertificateEntry("ca", CertificateFactory.getInstance("X.509").generateCertificate(in));
    }
    TrustManagerFactory trust = TrustManagerFactory.getInstance(TrustManagerFactory.getDefaultAlgorithm());
    trust.init(store);
    SSLContext context = SSLContext.getInstance("TLS");
    context.init(null, trust.getTrustManagers(), null);
    StringBuilder text = new StringBuilder();
    HttpClient.newBuilder().sslContext(context).build().newWebSocketBuilder().buildAsync(
      URI.create("wss://localhost:" + System.getenv("PORT") + "/ws?token=" + System.getenv("TOKEN")), new WebSocket.Listener() {
        public CompletionStage<?> onText(WebSocket socket, CharSequence part, boolean last) {
          text.append(part);
          if (last) {
            System.out.println("got " + text.chars().filter(c -> c == '\u00fc').count());
            Runtime.getRuntime().halt(0);
          }
          socket.request(1);
          return null;
        }
      }).join();
    System.out.println("connected");
    Thread.sleep(600000);
  }
}
`

func TestJava(t *testing.T) {
	if testing.Short() {
		t.Skip("compiles")
	}
	t.Parallel()
	java := program(t, "java")
	dir := t.TempDir()
	file := filepath.Join(dir, "Client.java")
	if err := os.WriteFile(file, []byte(javaClient), 0o600); err != nil {
		t.Fatal(err)
	}
	// For so short a program the better compiler and the parallel collector cost half as much processor time again.
	cheap := []string{"-Xshare:auto", "-XX:TieredStopAtLevel=1", "-XX:+UseSerialGC"}
	// Compiled apart, it has the time to connect for itself: on a busy machine the compiler alone may take that long.
	said, err := exec.Command(java, append(cheap, "-m", "jdk.compiler/com.sun.tools.javac.Main", "-d", dir, file)...).CombinedOutput()
	switch {
	case err != nil && strings.Contains(string(said), "Module jdk.compiler not found"):
		t.Skip("java can't compile here, there is no JDK: Java's HttpClient is not tried with wss://")
	case err != nil:
		t.Fatalf("%v: %s", err, said)
	}
	start(t, nil).script("alice", java, append(cheap, "-cp", dir, "Client")...)
}

// HAProxy in TCP mode says who the client is before the ClientHello.
func TestProxyProtocolBeforeTLS(t *testing.T) {
	t.Parallel()
	haproxy := program(t, "haproxy")
	s := start(t, roosttest.Env{"WS_PROXY_PROTOCOL": "true", "WS_TRUSTED_PROXIES": "127.0.0.1"})
	front := roosttest.FreeAddress(t)
	config := filepath.Join(t.TempDir(), "haproxy.cfg")
	text := fmt.Sprintf("defaults\n mode tcp\n timeout connect 1m\n timeout client 1m\n timeout server 1m\nlisten wss\n bind %s\n server roost %s send-proxy-v2\n", front, s.server.WSS)
	if err := os.WriteFile(config, []byte(text), 0o600); err != nil {
		t.Fatal(err)
	}
	roosttest.Run(t, roosttest.Command{Program: haproxy, Args: []string{"-f", config, "-db"}})
	roosttest.WaitFor(t, "haproxy", func() bool {
		conn, err := net.Dial("tcp", front)
		if err == nil {
			_ = conn.Close()
		}
		return err == nil
	})
	e2e.WaitDeep(t, s.server)
	behind := *s
	server := *s.server
	server.WSS = front
	behind.server = &server
	s.notified("alice", behind.connect("alice", s.config()))
}
