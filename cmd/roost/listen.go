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

	"roost/cmd/roost/internal/printable"
	"roost/cmd/roost/internal/remote"
	"roost/cmd/roost/internal/tlscert"
)

type listenCmd struct {
	oneUser
	trustFlag
	Token string `help:"Connect with this token, in place of one that is signed with JWT_SECRET_KEY for the user."`
	URL   string `name:"url" placeholder:"URL" help:"The server, such as wss://ws.example.com/ws, ws://localhost:8081/ws or localhost:8081; with ?token= in it, no user is needed. Without it: WS_HOST and WS_PORT of the settings, or WS_TLS_PORT with WS_PLAIN=false."`
}

// Run prints each notification on a line, until it is interrupted or the server
// closes the connection.
func (c *listenCmd) Run(env *environment) error {
	address, err := c.address(env)
	if err != nil {
		return err
	}
	client, err := c.client(env)
	if err != nil {
		return err
	}
	ctx, cancel := context.WithTimeout(env.ctx, 10*time.Second)
	defer cancel()
	conn, err := remote.Dial(ctx, address, client)
	if err != nil {
		return err
	}
	defer func() { _ = conn.CloseNow() }()
	_, _ = fmt.Fprintln(env.stderr, "connected; each line below is a notification (Ctrl-C ends)")
	return printMessages(env.ctx, conn, func(message []byte) {
		_, _ = fmt.Fprintf(env.stdout, "%s\n", printable.Line(message))
	})
}

// address is where to connect, token included.
func (c *listenCmd) address(env *environment) (string, error) {
	target, err := c.server(env)
	if err != nil {
		return "", err
	}
	query := target.Query()
	if query.Has("token") {
		return target.String(), nil
	}
	token := strings.TrimSpace(c.Token)
	if token == "" {
		if token, err = c.sign(env); err != nil {
			return "", err
		}
	}
	query.Set("token", token)
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
