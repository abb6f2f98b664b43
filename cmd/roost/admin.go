package main

import (
	"context"
	"crypto/x509"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"net/http"
	"net/url"
	"time"

	"roost/cmd/roost/internal/config"
	"roost/cmd/roost/internal/remote"
	"roost/cmd/roost/internal/tlscert"
)

// trustFlag says whom to believe that a server is who it says.
type trustFlag struct {
	CAFile string `name:"ca-file" placeholder:"FILE" help:"Certificates, in PEM, of authorities to trust beside the system's: for a server with a certificate of your own."`
}

// adminServer is an admin server, and who asks it.
type adminServer struct {
	url    *url.URL
	client *http.Client
}

// adminServer is where the admin server is: what was given, in any form that people write an address in, or what the
// settings say. Then its certificate is the one in the settings' file.
func (f trustFlag) adminServer(env *environment, given string) (s adminServer, err error) {
	trust := remote.Trust{CAFile: f.CAFile}
	if given != "" {
		if s.url, err = remote.ServerURL(given, "http", "https"); err != nil {
			return s, misused(err)
		}
		s.client, err = trust.Client()
		return s, err
	}
	cfg, err := env.config()
	if err != nil {
		return s, err
	}
	if cfg.HTTPPort == 0 {
		return s, misused(errors.New("HTTP_PORT is 0, any free port: give --url with the one that the server's log says"))
	}
	if trust.Own, err = adminCertificates(cfg); err != nil {
		return s, err
	}
	s.url = &url.URL{Scheme: cfg.HTTPScheme(), Host: remote.LocalAddress(cfg.HTTPHost, cfg.HTTPPort)}
	s.client, err = trust.Client()
	return s, err
}

// adminCertificates are what the server of the settings shows.
func adminCertificates(cfg config.Config) ([]*x509.Certificate, error) {
	own, err := tlscert.Leaves(cfg.HTTPTLSCertFile)
	if err != nil {
		return nil, fmt.Errorf("HTTP_TLS_CERT_FILE, by which the server is known: %w (or give --url with a name that its certificate is for)", err)
	}
	return own, nil
}

// at is another page of the server.
func (s adminServer) at(path ...string) adminServer {
	s.url = s.url.JoinPath(path...)
	return s
}

// ask gets the page. token is the HTTP_TOKEN, empty for none.
func (s adminServer) ask(ctx context.Context, token string) ([]byte, error) {
	ctx, cancel := context.WithTimeout(ctx, 10*time.Second)
	defer cancel()
	response, err := s.get(ctx, token)
	if err != nil {
		return nil, err
	}
	defer func() { _ = response.Body.Close() }()
	body, err := io.ReadAll(io.LimitReader(response.Body, 4<<20))
	if err != nil {
		return nil, fmt.Errorf("reading the answer of %s: %w", s.url.Host, err)
	}
	if response.StatusCode == http.StatusOK && json.Valid(body) {
		return body, nil
	}
	var answer struct{ Error string }
	if json.Unmarshal(body, &answer) == nil && answer.Error != "" {
		body = []byte(answer.Error)
	}
	return nil, remote.Answered(s.url.Host, response, body)
}

// get asks for the page, and says in words why nothing was answered.
func (s adminServer) get(ctx context.Context, token string) (*http.Response, error) {
	request, err := http.NewRequestWithContext(ctx, http.MethodGet, s.url.String(), nil)
	if err != nil {
		return nil, err
	}
	if token != "" {
		request.Header.Set("Authorization", "Bearer "+token)
	}
	response, err := s.client.Do(request)
	if errors.Is(err, context.Canceled) {
		return nil, err
	}
	if err != nil {
		return nil, remote.Unreachable(s.url.Host, "HTTP_HOST and HTTP_PORT, or --url", err)
	}
	return response, nil
}
