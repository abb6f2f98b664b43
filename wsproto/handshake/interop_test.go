package handshake

import (
	"bytes"
	"context"
	"errors"
	"fmt"
	"net"
	"net/http"
	"testing"
	"time"

	cws "github.com/coder/websocket"
	"github.com/gorilla/websocket"

	"roost/wsproto"
)

// connect gives a client a socket whose other end is answered by this package,
// reading size bytes at a time, until the client closes: it tells the size of each
// message in a text, answers pings, and close frames with their code.
func connect(t *testing.T, upgrader *Upgrader, size int) (client net.Conn, err error) {
	t.Helper()
	listener, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		return nil, err
	}
	defer listener.Close()
	if client, err = net.Dial("tcp", listener.Addr().String()); err != nil {
		return nil, err
	}
	server, err := listener.Accept()
	if err != nil {
		return nil, errors.Join(err, client.Close())
	}
	done := make(chan error, 1)
	go func() {
		defer server.Close()
		done <- serve(server, upgrader, size)
	}()
	t.Cleanup(func() {
		client.Close()
		if err := <-done; err != nil {
			t.Errorf("server: %v", err)
		}
	})
	return client, nil
}

func serve(conn net.Conn, upgrader *Upgrader, size int) error {
	conn.SetDeadline(time.Now().Add(time.Minute))
	head, buf := []byte(nil), make([]byte, size)
	end := 0
	for end == 0 {
		n, err := conn.Read(buf)
		if err != nil {
			return err
		}
		looked := len(head)
		head = append(head, buf[:n]...)
		end = HeadEnd(head, looked)
	}
	request, refusal := decide(upgrader, head[:end])
	if refusal != nil {
		_, err := conn.Write(refusal.Append(nil))
		return err
	}
	if _, err := conn.Write(request.AppendUpgrade(nil)); err != nil {
		return err
	}
	var d wsproto.Decoder
	for in := head[end:]; ; {
		closed, err := answer(conn, &d, in)
		if err != nil || closed {
			return err
		}
		n, err := conn.Read(buf)
		if err != nil {
			return err
		}
		in = buf[:n]
	}
}

// answer answers all the events in a piece of input.
func answer(conn net.Conn, d *wsproto.Decoder, in []byte) (closed bool, err error) {
	for {
		event, rest, violation := d.Next(in, 1<<20)
		if violation != nil {
			return true, violation
		}
		var out []byte
		switch event.Kind {
		case wsproto.EventNone:
			return false, nil
		case wsproto.EventMessage:
			text := fmt.Sprintf("%d bytes, text %v", event.Size, event.Text)
			out = append(wsproto.AppendTextHeader(nil, len(text)), text...)
		case wsproto.EventPing:
			out = wsproto.AppendPong(nil, event.Payload)
		case wsproto.EventClose:
			out = wsproto.AppendClose(nil, event.Code, string(event.Reason))
		}
		if _, err := conn.Write(out); err != nil {
			return true, err
		}
		if event.Kind == wsproto.EventClose {
			return true, nil
		}
		in = rest
	}
}

func TestGorillaClient(t *testing.T) {
	t.Parallel()
	upgrader := newUpgrader(t, Config{})
	for _, size := range []int{1, 7, 4096} {
		t.Run(fmt.Sprint(size), func(t *testing.T) {
			t.Parallel()
			dialer := websocket.Dialer{EnableCompression: true, Subprotocols: []string{"chat"},
				NetDialContext: func(context.Context, string, string) (net.Conn, error) { return connect(t, upgrader, size) }}
			conn, response, err := dialer.Dial("ws://h/ws?token="+goodToken(t, "alice"), nil)
			if err != nil {
				t.Fatal(err)
			}
			defer conn.Close()
			if response.Header.Get("Sec-WebSocket-Protocol") != "" || response.Header.Get("Sec-WebSocket-Extensions") != "" {
				t.Errorf("answered what isn't spoken: %v", response.Header)
			}
			ponged := ""
			conn.SetPongHandler(func(payload string) error { ponged = payload; return nil })
			for _, n := range []int{0, 5, 125, 126, 70000} {
				if err := errors.Join(conn.WriteControl(websocket.PingMessage, fmt.Append(nil, n), time.Now().Add(time.Minute)),
					conn.WriteMessage(websocket.TextMessage, bytes.Repeat([]byte("x"), n))); err != nil {
					t.Fatal(err)
				}
				kind, got, err := conn.ReadMessage()
				if err != nil || kind != websocket.TextMessage || string(got) != fmt.Sprintf("%d bytes, text true", n) || ponged != fmt.Sprint(n) {
					t.Fatalf("%d %q, pong %q, %v", kind, got, ponged, err)
				}
			}
			if err := conn.WriteControl(websocket.CloseMessage, websocket.FormatCloseMessage(4000, "bye"), time.Now().Add(time.Minute)); err != nil {
				t.Fatal(err)
			}
			var closing *websocket.CloseError
			if _, _, err := conn.ReadMessage(); !errors.As(err, &closing) || closing.Code != 4000 || closing.Text != "bye" {
				t.Errorf("closed with %v", err)
			}
		})
	}
}

func TestCoderClient(t *testing.T) {
	t.Parallel()
	upgrader := newUpgrader(t, Config{})
	for _, size := range []int{1, 4096} {
		t.Run(fmt.Sprint(size), func(t *testing.T) {
			t.Parallel()
			ctx, cancel := context.WithTimeout(context.Background(), time.Minute)
			defer cancel()
			conn, _, err := cws.Dial(ctx, "ws://h/ws?token="+goodToken(t, "alice"), dialTo(t, upgrader, size))
			if err != nil {
				t.Fatal(err)
			}
			defer conn.CloseNow()
			for _, n := range []int{0, 126, 5000} {
				if err := conn.Write(ctx, cws.MessageBinary, make([]byte, n)); err != nil {
					t.Fatal(err)
				}
				if _, got, err := conn.Read(ctx); err != nil || string(got) != fmt.Sprintf("%d bytes, text false", n) {
					t.Fatalf("%q, %v", got, err)
				}
			}
			if err := conn.Close(cws.StatusNormalClosure, "bye"); err != nil {
				t.Error(err)
			}
		})
	}
}

func TestCoderClientIsRefused(t *testing.T) {
	t.Parallel()
	ctx, cancel := context.WithTimeout(context.Background(), time.Minute)
	defer cancel()
	_, response, err := cws.Dial(ctx, "ws://h/ws", dialTo(t, newUpgrader(t, Config{}), 4096))
	if err == nil || response == nil || response.StatusCode != http.StatusUnauthorized || response.Header.Get("WWW-Authenticate") == "" {
		t.Errorf("%+v, %v", response, err)
	}
}

func dialTo(t *testing.T, upgrader *Upgrader, size int) *cws.DialOptions {
	transport := &http.Transport{
		DialContext: func(context.Context, string, string) (net.Conn, error) { return connect(t, upgrader, size) },
	}
	return &cws.DialOptions{HTTPClient: &http.Client{Transport: transport}}
}
