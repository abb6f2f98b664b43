package main

import (
	"context"
	"encoding/json"
	"fmt"
	"io"
	"net/http"
	"time"

	"roost/cmd/roost/internal/remote"
)

type healthCmd struct {
	URL  string `name:"url" placeholder:"URL" help:"The admin server to ask, such as http://localhost:8082. Without it: HTTP_HOST and HTTP_PORT of the settings."`
	Live bool   `help:"Only whether the process answers: what a supervisor may restart it for. Redis being away is no reason."`
	Deep bool   `help:"Send a notification through Redis and back to a connection as well."`
	JSON bool   `name:"json" help:"Print the server's answer."`
}

// Run asks once. It prints one line, and ends with 1 where the server is not healthy, or does not answer.
func (c *healthCmd) Run(env *environment) error {
	base, err := adminURL(env, c.URL)
	if err != nil {
		return err
	}
	target := base.JoinPath("health")
	switch {
	case c.Live:
		target = base.JoinPath("health", "live")
	case c.Deep:
		target.RawQuery = "deep=1"
	}
	ctx, cancel := context.WithTimeout(env.ctx, 10*time.Second)
	defer cancel()
	request, err := http.NewRequestWithContext(ctx, http.MethodGet, target.String(), nil)
	if err != nil {
		return err
	}
	response, err := http.DefaultClient.Do(request)
	if err != nil {
		return remote.Unreachable(base.Host, "HTTP_HOST and HTTP_PORT, or --url", err)
	}
	defer func() { _ = response.Body.Close() }()
	body, err := io.ReadAll(io.LimitReader(response.Body, 1<<16))
	if err != nil {
		return fmt.Errorf("reading the answer of %s: %w", base.Host, err)
	}
	return c.print(env, base.Host, response, body)
}

// print says how the server is.
func (c *healthCmd) print(env *environment, host string, response *http.Response, body []byte) error {
	var health struct {
		Status    string
		Redis     struct{ Status, Error string }
		WebSocket struct {
			Connections int `json:"active_connections"`
		}
	}
	if err := json.Unmarshal(body, &health); err != nil || health.Status == "" {
		return remote.Answered(host, response, body)
	}
	line := string(body)
	if !c.JSON {
		line = health.Status
		if !c.Live {
			line += fmt.Sprintf(": %d connections, Redis %s", health.WebSocket.Connections, health.Redis.Status)
		}
		if health.Redis.Error != "" {
			line += " (" + health.Redis.Error + ")"
		}
		line += "\n"
	}
	if _, err := io.WriteString(env.stdout, line); err != nil {
		return err
	}
	if response.StatusCode != http.StatusOK {
		return errSaid
	}
	return nil
}
