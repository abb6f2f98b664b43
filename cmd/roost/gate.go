package main

import (
	"context"
	"errors"
	"fmt"
	"slices"
	"sync"
	"time"

	"roost/cmd/roost/internal/config"
	"roost/cmd/roost/internal/tokenkeys"
	"roost/wsproto"
)

// firstFetch bounds how long the start waits for the JWKS. Without it the server starts too, refuses the tokens that
// it can't check with 503, says so in its log and on /health, and keeps trying.
const firstFetch = 5 * time.Second

// openGate makes the first gate, with the secrets, the keys of JWT_PUBLIC_KEY_FILE, and what JWT_JWKS_URL has now.
func (s *service) openGate(ctx context.Context) (*wsproto.Gate, error) {
	own, err := ownKeys(s.cfg)
	if err != nil {
		return nil, err
	}
	if s.cfg.JWTJWKSURL != "" {
		s.jwks = tokenkeys.NewRemote(tokenkeys.Config{
			URL: s.cfg.JWTJWKSURL, Refresh: s.cfg.JWTJWKSRefresh, Algorithms: s.cfg.JWTAlgorithms,
			Logger: s.log, Use: s.keys.fetchedAnew,
		})
	}
	gate, err := s.newGate(s.cfg, own)
	if err != nil {
		return nil, err
	}
	s.keys.use(gate, own)
	if s.jwks != nil {
		ctx, cancel := context.WithTimeout(ctx, firstFetch)
		defer cancel()
		s.jwks.Fetch(ctx)
	}
	return gate, nil
}

// gateConfig is the part of a gate's configuration that variables and keys say.
func gateConfig(cfg config.Config, keys wsproto.Keys) wsproto.GateConfig {
	return wsproto.GateConfig{
		Secret: keys.Secret, Previous: keys.Previous, Public: keys.Public,
		Algorithms:     cfg.JWTAlgorithms,
		UserClaim:      cfg.JWTUserClaim,
		Issuer:         cfg.JWTIssuer,
		Audience:       cfg.JWTAudience,
		IgnoreGroups:   !cfg.WSGroups,
		AllowedOrigins: cfg.WSAllowedOrigins,
		TrustedProxies: cfg.WSTrustedProxies,
	}
}

// checkGate says what a gate would not take of the configuration, whatever the keys.
func checkGate(cfg config.Config) error {
	gateCfg := gateConfig(cfg, wsproto.Keys{})
	gateCfg.UnknownKey = func(string) (time.Duration, bool) { return 0, false } // keys may come later
	_, err := wsproto.NewGate(gateCfg)
	return gateError(err)
}

// newGate makes a gate for keys.
func (s *service) newGate(cfg config.Config, keys wsproto.Keys) (*wsproto.Gate, error) {
	gateCfg := gateConfig(cfg, keys)
	gateCfg.Ticket = s.probe.tickets.redeem
	if s.jwks != nil {
		gateCfg.UnknownKey = s.jwks.Unknown
	}
	gate, err := wsproto.NewGate(gateCfg)
	return gate, gateError(err)
}

// keyring joins the keys of the configuration, which a reload replaces together with the gate, and those of the JWKS,
// which come when they come. Any goroutine.
type keyring struct {
	mu      sync.Mutex    // held while keys are put into a gate, which takes microseconds
	gate    *wsproto.Gate // guarded by mu: the one in force
	own     wsproto.Keys  // guarded by mu: of the configuration
	fetched wsproto.Keys  // guarded by mu: of the JWKS, with those that are left out
}

// use puts a gate into force, which has these keys and those that were fetched.
func (k *keyring) use(gate *wsproto.Gate, own wsproto.Keys) {
	k.mu.Lock()
	defer k.mu.Unlock()
	k.gate, k.own = gate, own
}

// fetchedAnew is tokenkeys' Config.Use.
func (k *keyring) fetchedAnew(public []wsproto.PublicKey, leftOut []wsproto.LeftOut) error {
	k.mu.Lock()
	defer k.mu.Unlock()
	fetched := wsproto.Keys{Public: public, LeftOut: leftOut}
	if err := k.gate.SetKeys(joined(k.own, fetched)); err != nil {
		return err
	}
	k.fetched = fetched
	return nil
}

// joined is own with the keys of the JWKS.
func joined(own, fetched wsproto.Keys) wsproto.Keys {
	own.Public, own.LeftOut = slices.Concat(own.Public, fetched.Public), fetched.LeftOut
	return own
}

// ownKeys are those that the configuration names.
func ownKeys(cfg config.Config) (keys wsproto.Keys, err error) {
	keys.Secret = []byte(cfg.JWTSecretKey)
	for _, secret := range cfg.JWTSecretKeyPrevious {
		keys.Previous = append(keys.Previous, []byte(secret))
	}
	if path := cfg.JWTPublicKeyFile; path != "" {
		if keys.Public, err = tokenkeys.ReadFile(path, cfg.JWTAlgorithms); err != nil {
			return keys, fmt.Errorf("JWT_PUBLIC_KEY_FILE: %w", err)
		}
	}
	return keys, nil
}

// gateError names the variables that are wrong.
func gateError(err error) error {
	if several, ok := err.(interface{ Unwrap() []error }); ok {
		var named []error
		for _, one := range several.Unwrap() {
			named = append(named, gateError(one))
		}
		return errors.Join(named...)
	}
	switch {
	case errors.Is(err, wsproto.ErrProxyPattern):
		return fmt.Errorf("WS_TRUSTED_PROXIES: %w", err)
	case errors.Is(err, wsproto.ErrAlgorithm):
		return fmt.Errorf("JWT_ALGORITHMS: %w", err)
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
