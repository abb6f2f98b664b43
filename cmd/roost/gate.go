package main

import (
	"context"
	"errors"
	"fmt"
	"slices"
	"time"

	"roost/cmd/roost/internal/tokenkeys"
	"roost/wsproto"
)

// firstFetch bounds how long the start waits for the JWKS. Without it the server starts too, refuses the tokens that
// it can't check with 503, says so in its log and on /health, and keeps trying.
const firstFetch = 5 * time.Second

// newGate makes the gate, with the secrets, the keys of JWT_PUBLIC_KEY_FILE, and what JWT_JWKS_URL has now.
func (s *service) newGate(ctx context.Context) (*wsproto.Gate, error) {
	keys, err := s.ownKeys()
	if err != nil {
		return nil, err
	}
	config := wsproto.GateConfig{
		Secret: keys.Secret, Previous: keys.Previous, Public: keys.Public,
		Issuer:         s.cfg.JWTIssuer,
		Audience:       s.cfg.JWTAudience,
		AllowedOrigins: s.cfg.WSAllowedOrigins,
		TrustedProxies: s.cfg.WSTrustedProxies,
		Ticket:         s.probe.tickets.redeem,
	}
	var gate *wsproto.Gate
	if s.cfg.JWTJWKSURL != "" {
		s.jwks = tokenkeys.NewRemote(tokenkeys.Config{
			URL: s.cfg.JWTJWKSURL, Refresh: s.cfg.JWTJWKSRefresh, Logger: s.log,
			Use: func(fetched []wsproto.PublicKey) error {
				all := keys
				all.Public = slices.Concat(keys.Public, fetched)
				return gate.SetKeys(all)
			},
		})
		config.UnknownKey = s.jwks.Unknown
	}
	if gate, err = wsproto.NewGate(config); err != nil {
		return nil, gateError(err)
	}
	if s.jwks != nil {
		ctx, cancel := context.WithTimeout(ctx, firstFetch)
		defer cancel()
		s.jwks.Fetch(ctx)
	}
	return gate, nil
}

// ownKeys are those that the environment names.
func (s *service) ownKeys() (keys wsproto.Keys, err error) {
	keys.Secret = []byte(s.cfg.JWTSecretKey)
	for _, secret := range s.cfg.JWTSecretKeyPrevious {
		keys.Previous = append(keys.Previous, []byte(secret))
	}
	if path := s.cfg.JWTPublicKeyFile; path != "" {
		if keys.Public, err = tokenkeys.ReadFile(path); err != nil {
			return keys, fmt.Errorf("JWT_PUBLIC_KEY_FILE: %w", err)
		}
	}
	return keys, nil
}

// gateError names the variable that is wrong.
func gateError(err error) error {
	switch {
	case errors.Is(err, wsproto.ErrProxyPattern):
		return fmt.Errorf("WS_TRUSTED_PROXIES: %w", err)
	case errors.Is(err, wsproto.ErrOriginPattern):
		return fmt.Errorf("WS_ALLOWED_ORIGINS: %w", err)
	}
	return err
}

var errNoJWKSKeys = errors.New("there is no key from JWT_JWKS_URL; the log says why")

// tokenKeysMissing is httpapi's Config.TokenKeys.
func (s *service) tokenKeysMissing() error {
	if s.jwks != nil && s.jwks.Status().Keys == 0 {
		return errNoJWKSKeys
	}
	return nil
}

func (s *service) jwksStatus() tokenkeys.Status {
	if s.jwks == nil {
		return tokenkeys.Status{}
	}
	return s.jwks.Status()
}

// jwksRefreshes counts fetches by result, nil without a JWKS.
func (s *service) jwksRefreshes() map[string]uint64 {
	if s.jwks == nil {
		return nil
	}
	status := s.jwks.Status()
	return map[string]uint64{"ok": status.OK, "failed": status.Failed}
}
