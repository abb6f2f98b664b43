package main

import (
	"context"
	"errors"
	"fmt"
	"io"
	"net/http"
	"net/url"
	"strings"
	"time"

	"github.com/coder/websocket"

	"roost/cmd/roost/internal/config"
)

type listenCmd struct {
	User  string `help:"Connect as this user, with a token signed with JWT_SECRET_KEY."`
	Token string `help:"Connect with this token."`
	URL   string `name:"url" placeholder:"URL" help:"The server, such as ws://localhost:8081/ws; with ?token= in it, neither --user nor --token is needed. Without it: the WS_HOST and WS_PORT of the environment."`
}

// Run prints each notification on a line, until it is interrupted or the server
// closes the connection.
func (c *listenCmd) Run(env *environment) error {
	address, err := c.address()
	if err != nil {
		return err
	}
	ctx, cancel := context.WithTimeout(env.ctx, 10*time.Second)
	defer cancel()
	conn, err := dial(ctx, address, nil)
	if err != nil {
		return err
	}
	defer func() { _ = conn.CloseNow() }()
	_, _ = fmt.Fprintln(env.stderr, "connected; each line below is a notification (Ctrl-C ends)")
	return printMessages(env.ctx, conn, func(message []byte) {
		_, _ = fmt.Fprintf(env.stdout, "%s\n", message)
	})
}

// address is where to connect, token included.
func (c *listenCmd) address() (string, error) {
	cfg, err := config.Read()
	if err != nil {
		return "", err
	}
	target := c.URL
	if target == "" {
		target = "ws://" + localAddress(cfg.WSHost, cfg.WSPort) + "/ws"
	}
	parsed, err := url.Parse(target)
	if err != nil || parsed.Host == "" {
		return "", fmt.Errorf("--url %q: it has to be like ws://localhost:8081/ws", target)
	}
	query := parsed.Query()
	if query.Has("token") {
		return target, nil
	}
	token := c.Token
	if token == "" {
		if token, err = c.sign(); err != nil {
			return "", err
		}
	}
	query.Set("token", token)
	parsed.RawQuery = query.Encode()
	return parsed.String(), nil
}

func (c *listenCmd) sign() (string, error) {
	if c.User == "" {
		return "", errors.New("who to connect as? give --user, --token, or a --url with a token in it")
	}
	secret, err := tokenSecret()
	if err != nil {
		return "", err
	}
	return signToken(secret, c.User, "", time.Hour)
}

// dial opens a WebSocket, with http.DefaultClient where client is nil. Where the server refuses, the error says what it
// answered, and never holds the URL, which has the token in it.
func dial(ctx context.Context, address string, client *http.Client) (*websocket.Conn, error) {
	conn, response, err := websocket.Dial(ctx, address,
		&websocket.DialOptions{CompressionMode: websocket.CompressionDisabled, HTTPClient: client})
	if err == nil {
		conn.SetReadLimit(-1)
		return conn, nil
	}
	host := address
	if parsed, parseErr := url.Parse(address); parseErr == nil {
		host = parsed.Host
	}
	if response != nil && response.StatusCode != http.StatusSwitchingProtocols {
		body, _ := io.ReadAll(io.LimitReader(response.Body, 512))
		return nil, fmt.Errorf("%s answered %s: %s", host, response.Status, strings.TrimSpace(string(body)))
	}
	var inURL *url.Error
	if errors.As(err, &inURL) {
		err = inURL.Err
	}
	return nil, fmt.Errorf("connecting to %s: %w", host, err)
}

// printMessages gives each message to show until ctx ends (then it returns nil)
// or the connection does.
func printMessages(ctx context.Context, conn *websocket.Conn, show func(message []byte)) error {
	for {
		_, message, err := conn.Read(ctx)
		if ctx.Err() != nil {
			return nil
		}
		var closed websocket.CloseError
		if errors.As(err, &closed) {
			return fmt.Errorf("the server closed the connection with %d %s", closed.Code, closed.Reason)
		}
		if err != nil {
			return fmt.Errorf("the connection was lost: %w", err)
		}
		show(message)
	}
}
