// Command goclient connects with one of Go's WebSocket libraries and prints what it sees: a line when it is open, a line
// a message, and the close code.
package main

import (
	"context"
	"errors"
	"fmt"
	"io"
	"net/url"
	"os"
	"runtime/debug"
	"strings"

	"github.com/coder/websocket"
	"github.com/gobwas/ws"
	"github.com/gobwas/ws/wsutil"
	gorilla "github.com/gorilla/websocket"
	"github.com/lxzan/gws"
	xnet "golang.org/x/net/websocket"
)

func main() {
	if os.Args[1] == "version" {
		printVersion(os.Args[2])
		return
	}
	clients := map[string]func(string) (int, error){
		"github.com/gorilla/websocket": withGorilla, "github.com/coder/websocket": withCoder, "github.com/gobwas/ws": withGobwas,
		"github.com/lxzan/gws": withGWS, "golang.org/x/net": withXNet,
	}
	code, err := clients[os.Args[1]](os.Args[2])
	if err != nil {
		fmt.Fprintln(os.Stderr, err)
	}
	fmt.Println("closed", code)
}

// printVersion says which version of a module this program was built with.
func printVersion(module string) {
	info, _ := debug.ReadBuildInfo()
	for _, dep := range info.Deps {
		if dep.Path == module {
			fmt.Println(dep.Version)
		}
	}
}

func withGorilla(address string) (int, error) {
	conn, _, err := gorilla.DefaultDialer.Dial(address, nil)
	if err != nil {
		return 1006, err
	}
	fmt.Println("open")
	for {
		_, text, err := conn.ReadMessage()
		var closed *gorilla.CloseError
		if errors.As(err, &closed) {
			return closed.Code, nil
		}
		if err != nil {
			return 1006, err
		}
		fmt.Printf("message %s\n", text)
	}
}

func withCoder(address string) (int, error) {
	conn, _, err := websocket.Dial(context.Background(), address, nil)
	if err != nil {
		return 1006, err
	}
	conn.SetReadLimit(1 << 20)
	fmt.Println("open")
	for {
		_, text, err := conn.Read(context.Background())
		if err != nil {
			return int(websocket.CloseStatus(err)), nil
		}
		fmt.Printf("message %s\n", text)
	}
}

func withGobwas(address string) (int, error) {
	conn, buffered, _, err := ws.Dial(context.Background(), address)
	if err != nil {
		return 1006, err
	}
	fmt.Println("open")
	var in io.ReadWriter = conn
	if buffered != nil {
		in = struct {
			io.Reader
			io.Writer
		}{io.MultiReader(buffered, conn), conn}
	}
	for {
		text, err := wsutil.ReadServerText(in)
		var closed wsutil.ClosedError
		if errors.As(err, &closed) {
			return int(closed.Code), nil
		}
		if err != nil {
			return 1006, err
		}
		fmt.Printf("message %s\n", text)
	}
}

// gwsEvents prints what gws says.
type gwsEvents struct {
	gws.BuiltinEventHandler
	closed chan int
}

func (e *gwsEvents) OnOpen(*gws.Conn)                      { fmt.Println("open") }
func (e *gwsEvents) OnPing(conn *gws.Conn, payload []byte) { _ = conn.WritePong(payload) }
func (e *gwsEvents) OnMessage(_ *gws.Conn, m *gws.Message) {
	fmt.Printf("message %s\n", m.Bytes())
	_ = m.Close()
}
func (e *gwsEvents) OnClose(_ *gws.Conn, err error) {
	var closed *gws.CloseError
	if errors.As(err, &closed) {
		e.closed <- int(closed.Code)
		return
	}
	e.closed <- 1006
}

func withGWS(address string) (int, error) {
	events := &gwsEvents{closed: make(chan int, 1)}
	conn, _, err := gws.NewClient(events, &gws.ClientOption{Addr: address})
	if err != nil {
		return 1006, err
	}
	go conn.ReadLoop()
	return <-events.closed, nil
}

func withXNet(address string) (int, error) {
	parsed, err := url.Parse(address)
	if err != nil {
		return 1006, err
	}
	conn, err := xnet.Dial(address, "", "http://"+parsed.Host)
	if err != nil {
		return 1006, err
	}
	conn.MaxPayloadBytes = 1 << 20
	fmt.Println("open")
	for {
		var text string
		if err := xnet.Message.Receive(conn, &text); err != nil {
			if strings.Contains(err.Error(), "EOF") {
				return 1005, nil // it does not say which
			}
			return 1006, err
		}
		fmt.Println("message " + text)
	}
}
