package front

import (
	"bufio"
	"crypto/tls"
	"errors"
	"fmt"
	"io"
	"net"
	"net/http"
	"os"
	"path/filepath"
	"strconv"
	"strings"
	"testing"
	"time"

	"github.com/gorilla/websocket"

	"roost/cmd/roost/internal/roosttest"
	"roost/redisfeed/redistest"
)

// front is Roost behind a proxy.
type front struct {
	t      *testing.T
	kind   *kind
	dir    string
	redis  *redistest.Server
	server *roosttest.Server
	env    roosttest.Env
	proxy  *roosttest.Process
	addr   string // of the proxy
	tls    *tls.Config
}

// start starts a Redis, a Roost and the proxy in front of it.
func start(t *testing.T, k *kind, env roosttest.Env, edits ...edit) *front {
	t.Helper()
	f := &front{t: t, kind: k, dir: t.TempDir(), redis: redistest.Start(t)}
	inside, outside := freePort(t), freePort(t)
	f.env = roosttest.Env{
		"WS_HOST": "0.0.0.0", "WS_PORT": inside, "WS_TRUSTED_PROXIES": "127.0.0.1", "WS_PROXY_PROTOCOL": k.env,
	}
	for name, value := range env {
		f.env[name] = value
	}
	f.server = roosttest.Start(t, f.redis, f.env)
	certificate := newCertificate(t, f.dir)
	f.addr, f.tls = "127.0.0.1:"+outside, certificate.client()
	all := append(k.paths(f.dir, certificate), k.sizes...)
	all = append(all,
		edit{k.listens, strings.Replace(k.listens, "443", outside, 1)},
		edit{k.upstream, strings.Replace(k.upstream, "8081", inside, 1)})
	file := k.write(t, f.dir, append(all, edits...)...)
	f.proxy = roosttest.Run(t, roosttest.Command{Program: k.program(t), Args: k.serve(file)})
	roosttest.WaitFor(t, k.name+" to serve", func() bool {
		if f.proxy.Exited() {
			t.Fatalf("%s ended at once:\n%s%s", k.name, f.proxy.Stderr, f.logs())
		}
		conn, err := tls.Dial("tcp", f.addr, f.tls)
		if err != nil {
			return false
		}
		_ = conn.Close()
		return true
	})
	return f
}

// freePort is a port that nobody gets before it is used, nor while Roost is away.
func freePort(t *testing.T) string {
	t.Helper()
	return strconv.Itoa(redistest.FreePort(t))
}

// logs is what the proxy has logged so far.
func (f *front) logs() string {
	all := f.proxy.Log.String() + f.proxy.Stderr.String()
	for _, name := range []string{"access.log", "error.log"} {
		if text, err := os.ReadFile(filepath.Join(f.dir, name)); err == nil {
			all += string(text)
		}
	}
	return all
}

// from is a dialer with an address of this machine.
func from(address string) *net.Dialer {
	return &net.Dialer{LocalAddr: &net.TCPAddr{IP: net.ParseIP(address)}, Timeout: roosttest.Limit}
}

// dial opens a WebSocket through the proxy, from an address. Without one it returns the status, 0 if nothing came.
func (f *front) dial(address, query string, header http.Header) (*roosttest.Client, int) {
	f.t.Helper()
	dialer := websocket.Dialer{
		NetDialContext: from(address).DialContext, TLSClientConfig: f.tls, HandshakeTimeout: roosttest.Limit,
	}
	conn, response, err := dialer.DialContext(f.t.Context(), "wss://"+f.addr+"/ws"+query, header)
	switch {
	case err == nil:
		return roosttest.Record(f.t, conn), http.StatusSwitchingProtocols
	case response == nil:
		f.t.Logf("dialing through %s: %v", f.kind.name, err)
		return nil, 0
	}
	return nil, response.StatusCode
}

// connect opens a WebSocket that has to work.
func (f *front) connect(user string) *roosttest.Client {
	f.t.Helper()
	client, status := f.dial("127.0.0.2", "?token="+roosttest.Token(f.t, user), nil)
	if client == nil {
		f.t.Fatalf("connecting through %s: %d", f.kind.name, status)
	}
	return client
}

// ask sends bytes through TLS and returns the status that they are answered with. The connection has to be closed
// then.
func (f *front) ask(request string) int {
	f.t.Helper()
	status, err := f.tryAsk(request)
	if err != nil {
		f.t.Fatalf("%.40q: %v", request, err)
	}
	return status
}

func (f *front) tryAsk(request string) (status int, err error) {
	conn, err := tls.DialWithDialer(from("127.0.0.2"), "tcp", f.addr, f.tls)
	if err != nil {
		return 0, err
	}
	defer conn.Close()
	_ = conn.SetDeadline(time.Now().Add(roosttest.Limit / 2))
	if _, err := io.WriteString(conn, request); err != nil {
		return 0, err
	}
	in := bufio.NewReader(conn)
	response, err := http.ReadResponse(in, nil)
	if err != nil {
		return 0, err
	}
	defer response.Body.Close()
	if response.StatusCode == http.StatusSwitchingProtocols {
		return response.StatusCode, nil
	}
	if _, err := io.Copy(io.Discard, response.Body); err != nil {
		return 0, err
	}
	if more, err := in.ReadByte(); errors.Is(err, os.ErrDeadlineExceeded) || err == nil {
		return 0, fmt.Errorf("after the answer %s the connection is kept open (%q, %v)", response.Status, more, err)
	}
	return response.StatusCode, nil
}

// notify publishes and waits until the client has it as its nth message.
func (f *front) notify(client *roosttest.Client, user string, nth int) {
	f.t.Helper()
	f.redis.Publish("user_noti:"+user, fmt.Sprintf(`{"type":"n","payload":%d}`, nth))
	if got := client.WaitMessages(nth)[nth-1]; !strings.Contains(got, fmt.Sprintf(`"payload":%d`, nth)) {
		f.t.Errorf("got %s", got)
	}
}
