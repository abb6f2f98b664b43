package tlshandshake

import (
	"bytes"
	"crypto/tls"
	"crypto/x509"
	"encoding/pem"
	"errors"
	"fmt"
	"io"
	"net"
	"os"
	"os/exec"
	"path/filepath"
	"strings"
	"sync"
	"testing"
	"time"

	"roost/netpoll/internal/tlsrecord"
)

// listener serves real clients over TCP, a goroutine for each: it answers a GET and echoes all else.
type listener struct {
	s    *Server
	port string
	ca   string // file with the certificate

	mu      sync.Mutex
	results []Result
	errs    []error
}

func listen(t *testing.T, o Options) *listener {
	t.Helper()
	c := certificate(t, "localhost")
	o.Certificates = []tls.Certificate{c}
	l := &listener{s: testServer(t, o), ca: filepath.Join(t.TempDir(), "ca.pem")}
	if err := os.WriteFile(l.ca, pem.EncodeToMemory(&pem.Block{Type: "CERTIFICATE", Bytes: c.Certificate[0]}), 0o600); err != nil {
		t.Fatal(err)
	}
	tcp, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		t.Fatal(err)
	}
	_, l.port, _ = net.SplitHostPort(tcp.Addr().String())
	var serving sync.WaitGroup
	serving.Go(func() {
		for {
			conn, err := tcp.Accept()
			if err != nil {
				return
			}
			serving.Go(func() { l.serve(conn) })
		}
	})
	t.Cleanup(func() { _ = tcp.Close(); serving.Wait() })
	return l
}

func (l *listener) serve(conn net.Conn) {
	defer conn.Close()
	_ = conn.SetDeadline(time.Now().Add(5 * time.Minute))
	h := l.s.Start()
	defer h.Close()
	buf := make([]byte, 1<<15)
	for status := NeedInput; status != Done; {
		n, err := conn.Read(buf)
		if err == nil {
			if status, err = h.Feed(buf[:n]); err == nil && status == NeedRun {
				status, err = h.Run()
			}
			_, _ = conn.Write(h.Output())
		}
		if err != nil {
			l.mu.Lock()
			l.errs = append(l.errs, err)
			l.mu.Unlock()
			return
		}
	}
	r := h.Result()
	l.mu.Lock()
	l.results = append(l.results, r)
	l.mu.Unlock()
	cache, kept := tlsrecord.NewCache(1), r.Leftover
	for {
		var plain, out []byte
		var err error
		if r.Light != nil {
			plain, kept, err = r.Light.Open(kept, cache)
			plain, kept = bytes.Clone(plain), bytes.Clone(kept)
		} else {
			plain, err = r.Heavy.Open(nil, kept)
			out, kept = r.Heavy.Output(), nil
		}
		answer := plain
		if bytes.HasPrefix(plain, []byte("GET ")) {
			answer = []byte("HTTP/1.1 200 OK\r\nContent-Length: 6\r\nConnection: close\r\n\r\nhello\n")
		}
		if r.Light != nil {
			out, _ = r.Light.Seal(out, answer, cache)
		} else {
			out, _ = r.Heavy.Seal(out, answer)
		}
		var alert *tlsrecord.Error
		switch {
		case r.Light == nil && err != nil:
			out = r.Heavy.CloseNotify(out)
		case errors.As(err, &alert) && !alert.Remote:
			out = r.Light.SealAlert(out, alert.Alert, cache)
		case err != nil:
			out = r.Light.CloseNotify(out, cache)
		}
		_, _ = conn.Write(out)
		if err != nil {
			return
		}
		n, err := conn.Read(buf)
		if err != nil {
			return
		}
		kept = append(kept, buf[:n]...)
	}
}

// last is what came of the last client.
func (l *listener) last(t *testing.T) Result {
	t.Helper()
	l.mu.Lock()
	defer l.mu.Unlock()
	if len(l.results) == 0 {
		t.Fatalf("no handshake was done: %v", l.errs)
	}
	return l.results[len(l.results)-1]
}

func program(t *testing.T, name string) string {
	t.Helper()
	path, err := exec.LookPath(name)
	if err != nil {
		t.Skipf("%s is not installed", name)
	}
	return path
}

// talk runs a program, writes each line once the one before came back, and returns all it printed.
func talk(t *testing.T, cmd *exec.Cmd, lines ...string) string {
	t.Helper()
	in, err := cmd.StdinPipe()
	if err != nil {
		t.Fatal(err)
	}
	out := &output{more: make(chan struct{}, 1)}
	cmd.Stdout, cmd.Stderr = out, out
	if err := cmd.Start(); err != nil {
		t.Fatal(err)
	}
	for _, line := range lines {
		_, _ = io.WriteString(in, line+"\n")
		if len(line) > 1 && !out.wait(line) {
			_ = cmd.Process.Kill()
			break
		}
		if len(line) == 1 && !out.wait("KEYUPDATE") { // a command of s_client
			break
		}
	}
	_ = in.Close()
	hangs := time.AfterFunc(2*time.Minute, func() { _ = cmd.Process.Kill() })
	_ = cmd.Wait()
	hangs.Stop()
	return out.String()
}

type output struct {
	mu   sync.Mutex
	b    bytes.Buffer
	more chan struct{} // something was printed since it was read
	seen int
}

func (o *output) Write(p []byte) (int, error) {
	o.mu.Lock()
	defer o.mu.Unlock()
	defer func() {
		select {
		case o.more <- struct{}{}:
		default:
		}
	}()
	return o.b.Write(p)
}

func (o *output) String() string {
	o.mu.Lock()
	defer o.mu.Unlock()
	return o.b.String()
}

// wait waits until the text was printed once more.
func (o *output) wait(text string) bool {
	tooLate := time.After(2 * time.Minute)
	for {
		s := o.String()
		if i := strings.Index(s[o.seen:], text); i >= 0 {
			o.seen += i + len(text)
			return true
		}
		select {
		case <-o.more:
		case <-tooLate:
			return false
		}
	}
}

func (l *listener) openssl(t *testing.T, args ...string) *exec.Cmd {
	t.Helper()
	args = append([]string{"s_client", "-connect", "127.0.0.1:" + l.port, "-servername", "localhost", "-CAfile", l.ca, "-verify_return_error"}, args...)
	return exec.Command(program(t, "openssl"), args...)
}

func TestOpenSSL(t *testing.T) {
	l := listen(t, Options{})
	for _, suite := range []string{"TLS_AES_128_GCM_SHA256", "TLS_AES_256_GCM_SHA384", "TLS_CHACHA20_POLY1305_SHA256"} {
		t.Run(suite, func(t *testing.T) {
			session := filepath.Join(t.TempDir(), "session")
			out := talk(t, l.openssl(t, "-quiet", "-no_ign_eof", "-tls1_3", "-ciphersuites", suite, "-sess_out", session), "first line", strings.Repeat("long", 3000))
			r := l.last(t)
			if !strings.Contains(out, "first line") || r.Light == nil || tls.CipherSuiteName(r.Suite) != suite || r.Resumed {
				t.Errorf("%s\n%+v", out, r)
			}
			out = talk(t, l.openssl(t, "-quiet", "-no_ign_eof", "-tls1_3", "-ciphersuites", suite, "-sess_in", session), "second line")
			if r := l.last(t); !strings.Contains(out, "second line") || !r.Resumed {
				t.Errorf("resumed: %s\n%+v", out, r)
			}
		})
		// K asks for a KeyUpdate in return, k does not.
		t.Run(suite+"/KeyUpdate", func(t *testing.T) {
			out := talk(t, l.openssl(t, "-tls1_3", "-ciphersuites", suite), "before", "K", "after one", "k", "after two", "K", "after three")
			if !strings.Contains(out, "after three") {
				t.Errorf("%s", out)
			}
		})
	}
	t.Run("TLS 1.2", func(t *testing.T) {
		out := talk(t, l.openssl(t, "-quiet", "-no_ign_eof", "-tls1_2"), "an old line")
		if r := l.last(t); !strings.Contains(out, "an old line") || r.Heavy == nil || r.Version != tls.VersionTLS12 {
			t.Errorf("%s\n%+v", out, r)
		}
	})
	t.Run("HelloRetryRequest", func(t *testing.T) {
		l.s.change(func(c *tls.Config) { c.CurvePreferences = []tls.CurveID{tls.CurveP256} })
		out := talk(t, l.openssl(t, "-quiet", "-no_ign_eof", "-tls1_3", "-groups", "X25519:P-256"), "a line after the retry")
		if r := l.last(t); !strings.Contains(out, "a line after the retry") || r.Light == nil {
			t.Errorf("%s\n%+v", out, r)
		}
	})
}

// KeyUpdates of ours are followed by OpenSSL, those that ask for one in return too.
func TestOpenSSLFollowsOurKeyUpdates(t *testing.T) {
	path := program(t, "openssl")
	s := testServer(t, Options{})
	tcp, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		t.Fatal(err)
	}
	defer tcp.Close()
	_, port, _ := net.SplitHostPort(tcp.Addr().String())
	cmd := exec.Command(path, "s_client", "-connect", "127.0.0.1:"+port, "-quiet", "-no_ign_eof", "-tls1_3")
	out := &output{more: make(chan struct{}, 1)}
	cmd.Stdout = out
	in, _ := cmd.StdinPipe()
	if err := cmd.Start(); err != nil {
		t.Fatal(err)
	}
	defer func() { _ = in.Close(); _ = cmd.Wait() }()
	conn, err := tcp.Accept()
	if err != nil {
		t.Fatal(err)
	}
	defer conn.Close()
	_ = conn.SetDeadline(time.Now().Add(2 * time.Minute))
	h, buf := s.Start(), make([]byte, 1<<14)
	defer h.Close()
	for status := NeedInput; status != Done; {
		n, err := conn.Read(buf)
		if err != nil {
			t.Fatal(err)
		}
		if status, err = feed(h, buf[:n]); err != nil {
			t.Fatal(err)
		}
		_, _ = conn.Write(h.Output())
	}
	c, cache := h.Result().Light, tlsrecord.NewCache(1)
	for round := range 3 {
		sealed, err := c.SealKeyUpdate(nil, round > 0, cache)
		if err != nil {
			t.Fatal(err)
		}
		text := fmt.Sprintf("under key %d\n", round+1)
		sealed, _ = c.Seal(sealed, []byte(text), cache)
		_, _ = conn.Write(sealed)
		if !out.wait(text) {
			t.Fatalf("OpenSSL printed %q", out)
		}
		fmt.Fprintf(in, "answer %d\n", round)
		var got, kept []byte
		for !bytes.Contains(got, fmt.Appendf(nil, "answer %d\n", round)) {
			n, err := conn.Read(buf)
			if err != nil {
				t.Fatal(err)
			}
			plain, rest, err := c.Open(append(kept, buf[:n]...), cache)
			if err != nil {
				t.Fatal(err)
			}
			got, kept = append(got, plain...), bytes.Clone(rest)
		}
	}
}

func TestCurl(t *testing.T) {
	l := listen(t, Options{})
	for version, flags := range map[uint16][]string{tls.VersionTLS13: {"--tlsv1.3"}, tls.VersionTLS12: {"--tls-max", "1.2"}} {
		args := append([]string{"-sS", "--noproxy", "*", "--cacert", l.ca, "https://localhost:" + l.port + "/"}, flags...)
		cmd := exec.Command(program(t, "curl"), args...)
		cmd.Env = append(os.Environ(), "no_proxy=*")
		out, err := cmd.CombinedOutput()
		if r := l.last(t); err != nil || string(out) != "hello\n" || r.Version != version || r.Protocol != "http/1.1" {
			t.Errorf("%v: %s\n%+v", err, out, r)
		}
	}
}

func TestPython(t *testing.T) {
	l := listen(t, Options{})
	script := `
import socket, ssl, sys
ctx = ssl.create_default_context(cafile=sys.argv[2])
ctx.maximum_version = ssl.TLSVersion[sys.argv[3]]
session = None
for i in range(2):
    s = ctx.wrap_socket(socket.create_connection(("127.0.0.1", int(sys.argv[1]))), server_hostname="localhost", session=session)
    for n in [1, 2, 100, 16384, 16385, 100000]:
        data = bytes(i * 7 % 256 for i in range(n)); got = b""
        s.sendall(data)
        while len(got) < n:
            part = s.recv(65536)
            assert part, "ended after %d bytes of %d" % (len(got), n)
            got += part
        assert got == data, n
    session = s.session
    print(s.version(), s.session_reused)
    s.unwrap()
`
	for _, version := range []string{"TLSv1_3", "TLSv1_2"} {
		out, err := exec.Command(program(t, "python3"), "-c", script, l.port, l.ca, version).CombinedOutput()
		name := strings.ReplaceAll(version, "_", ".")
		if want := name + " False\n" + name + " True\n"; err != nil || string(out) != want {
			t.Errorf("%v: %s, want %s", err, out, want)
		}
	}
}

// The test's own certificate has to be one that others trust.
func TestSelfSignedIsTrustedByName(t *testing.T) {
	c := certificate(t, "localhost")
	pool := x509.NewCertPool()
	pool.AddCert(c.Leaf)
	if _, err := c.Leaf.Verify(x509.VerifyOptions{Roots: pool, DNSName: "localhost"}); err != nil {
		t.Error(err)
	}
}
