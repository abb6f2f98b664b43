package main

import (
	"cmp"
	"context"
	"errors"
	"fmt"
	"net/http"
	"net/url"
	"strings"
	"time"

	"github.com/coder/websocket"

	"roost/cmd/roost/internal/remote"
	"roost/cmd/roost/internal/tlscert"
	"roost/internal/pause"
)

type listenCmd struct {
	oneUser
	trustFlag
	Since string `placeholder:"ID" help:"Go on from this position: the \"id\" of the last notification that you have. The server sends what was published since then, if it keeps as much (WS_RESUME_WINDOW)."`
	Token string `help:"Connect with this token, in place of one that is signed with JWT_SECRET_KEY for the user."`
	URL   string `name:"url" placeholder:"URL" help:"The server, such as wss://ws.example.com/ws, ws://localhost:8081/ws or localhost:8081; with ?token= in it, no user is needed. Without it: WS_HOST and WS_PORT of the settings, or WS_TLS_PORT with WS_PLAIN=false."`
}

// Run prints each notification on a line, until it is interrupted or the server closes the connection. Where the server keeps
// what is missed meanwhile, it comes back.
func (c *listenCmd) Run(env *environment) error {
	client, err := c.client(env)
	if err != nil {
		return err
	}
	l := listener{
		env: env, client: client, position: strings.TrimSpace(c.Since), pause: pause.For,
		address: func(since string) (string, error) { return c.address(env, since) },
	}
	return l.run()
}

// address is where to connect, with a token and the position to go on from.
func (c *listenCmd) address(env *environment, since string) (string, error) {
	target, err := c.server(env)
	if err != nil {
		return "", err
	}
	query := target.Query()
	if since != "" {
		query.Set("since", since)
	}
	if !query.Has("token") {
		token := strings.TrimSpace(c.Token)
		if token == "" {
			if token, err = c.sign(env); err != nil {
				return "", err
			}
		}
		query.Set("token", token)
	}
	target.RawQuery = query.Encode()
	return target.String(), nil
}

// server is the server's address, with the path /ws where none is given.
func (c *listenCmd) server(env *environment) (*url.URL, error) {
	if c.URL == "" {
		cfg, err := env.config()
		if err != nil {
			return nil, err
		}
		if !cfg.WSPlain {
			return &url.URL{Scheme: "wss", Host: remote.LocalAddress(cmp.Or(cfg.WSTLSHost, cfg.WSHost), cfg.WSTLSPort), Path: "/ws"}, nil
		}
		return &url.URL{Scheme: "ws", Host: remote.LocalAddress(cfg.WSHost, cfg.WSPort), Path: "/ws"}, nil
	}
	target, err := remote.ServerURL(c.URL, "ws", "wss")
	if err != nil {
		return nil, misused(err)
	}
	if target.Path == "" || target.Path == "/" {
		target.Path = "/ws"
	}
	return target, nil
}

// client believes the system's authorities and those of --ca-file; without --url, where the settings name a certificate, that one too.
func (c *listenCmd) client(env *environment) (*http.Client, error) {
	trust := remote.Trust{CAFile: c.CAFile}
	if c.URL == "" {
		cfg, err := env.config()
		if err != nil {
			return nil, err
		}
		if trust.Own, err = tlscert.Leaves(cfg.WSTLSCertFile); err != nil && !cfg.WSPlain {
			return nil, fmt.Errorf("WS_TLS_CERT_FILE, by which the server is known: %w (or give --url with a name that its certificate is for)", err)
		}
	}
	return trust.Client()
}

// sign makes a token for the user.
func (c *listenCmd) sign(env *environment) (string, error) {
	user, err := c.optional()
	switch {
	case err != nil:
		return "", err
	case user == "":
		return "", usageErrorf("who to connect as? name a user, or give --token, or a --url with a token in it")
	}
	sign, err := signerOf(env)
	if err != nil {
		return "", err
	}
	return sign.token(user, "", time.Hour)
}

// closedError is the close frame with which a server has ended a connection.
type closedError struct {
	code   websocket.StatusCode
	reason string
}

// Error implements error.
func (e *closedError) Error() string {
	return fmt.Sprintf("the server closed the connection with %d %s", e.code, e.reason)
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
			return &closedError{closed.Code, closed.Reason}
		}
		if err != nil {
			return fmt.Errorf("the connection was lost: %w", err)
		}
		show(message)
	}
}
