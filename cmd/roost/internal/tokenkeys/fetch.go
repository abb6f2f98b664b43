package tokenkeys

import (
	"context"
	"crypto/tls"
	"errors"
	"fmt"
	"io"
	"net/http"
	"time"

	"roost/cmd/roost/internal/urlerror"
	"roost/wsproto/auth"
)

// maxJWKS bounds a JWKS, in bytes. That of an issuer has some thousand.
const maxJWKS = 1 << 20

const maxRedirects = 3

// newClient makes a client that keeps no connection: the next fetch is minutes away.
func newClient(timeout time.Duration) *http.Client {
	return &http.Client{
		Timeout: timeout,
		Transport: &http.Transport{
			Proxy: http.ProxyFromEnvironment, DisableKeepAlives: true, ForceAttemptHTTP2: true,
			TLSClientConfig:        &tls.Config{MinVersion: tls.VersionTLS12},
			MaxResponseHeaderBytes: 64 << 10,
		},
		CheckRedirect: func(next *http.Request, via []*http.Request) error {
			if len(via) > maxRedirects {
				return fmt.Errorf("more than %d redirects", maxRedirects)
			}
			if via[0].URL.Scheme == "https" && next.URL.Scheme != "https" {
				return errors.New("redirected from https to http") // to any port of this machine, who knows
			}
			if err := CheckURL(next.URL.String()); err != nil {
				return fmt.Errorf("redirected to what is %w", err)
			}
			return nil
		},
	}
}

// get fetches and reads the JWKS.
func (r *Remote) get(ctx context.Context) (keys []auth.PublicKey, leftOut []auth.LeftOut, err error) {
	request, err := http.NewRequestWithContext(ctx, http.MethodGet, r.cfg.URL, nil)
	if err != nil {
		return nil, nil, err
	}
	request.Header.Set("Accept", "application/jwk-set+json, application/json")
	response, err := r.client.Do(request)
	if err != nil {
		return nil, nil, urlerror.Without(err)
	}
	defer response.Body.Close()
	if response.StatusCode != http.StatusOK {
		return nil, nil, fmt.Errorf("answered %d, not 200", response.StatusCode)
	}
	document, err := io.ReadAll(io.LimitReader(response.Body, maxJWKS+1))
	switch {
	case err != nil:
		return nil, nil, urlerror.Without(err)
	case len(document) > maxJWKS:
		return nil, nil, fmt.Errorf("more than %d bytes", maxJWKS)
	}
	return readJWKS(document, r.cfg.Algorithms)
}
