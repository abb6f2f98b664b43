package main

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"net/http"
	"net/url"
	"time"

	"roost/cmd/roost/internal/remote"
)

// adminURL is where the admin server is: what was given, in any form that people write an address in, or what the
// settings say.
func adminURL(env *environment, given string) (*url.URL, error) {
	if given != "" {
		parsed, err := remote.ServerURL(given, "http", "https")
		return parsed, misused(err)
	}
	cfg, err := env.config()
	if err != nil {
		return nil, err
	}
	if cfg.HTTPPort == 0 {
		return nil, misused(errors.New("HTTP_PORT is 0, any free port: give --url with the one that the server's log says"))
	}
	return &url.URL{Scheme: "http", Host: remote.LocalAddress(cfg.HTTPHost, cfg.HTTPPort)}, nil
}

// askAdmin gets a page of the admin server. token is the HTTP_TOKEN, empty for none.
func askAdmin(ctx context.Context, address *url.URL, token string) ([]byte, error) {
	ctx, cancel := context.WithTimeout(ctx, 10*time.Second)
	defer cancel()
	request, err := http.NewRequestWithContext(ctx, http.MethodGet, address.String(), nil)
	if err != nil {
		return nil, err
	}
	if token != "" {
		request.Header.Set("Authorization", "Bearer "+token)
	}
	response, err := http.DefaultClient.Do(request)
	if errors.Is(err, context.Canceled) {
		return nil, err
	}
	if err != nil {
		return nil, remote.Unreachable(address.Host, "HTTP_HOST and HTTP_PORT, or --url", err)
	}
	defer func() { _ = response.Body.Close() }()
	body, err := io.ReadAll(io.LimitReader(response.Body, 4<<20))
	if err != nil {
		return nil, fmt.Errorf("reading the answer of %s: %w", address.Host, err)
	}
	if response.StatusCode == http.StatusOK && json.Valid(body) {
		return body, nil
	}
	var answer struct{ Error string }
	if json.Unmarshal(body, &answer) == nil && answer.Error != "" {
		body = []byte(answer.Error)
	}
	return nil, remote.Answered(address.Host, response, body)
}
