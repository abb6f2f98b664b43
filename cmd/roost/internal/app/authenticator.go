package app

import (
	"context"
	"errors"
	"fmt"
	"slices"
	"sync"
	"time"

	"roost/cmd/roost/internal/config"
	"roost/cmd/roost/internal/redisconfig"
	"roost/cmd/roost/internal/tokenkeys"
	"roost/wsproto/auth"
	"roost/wsproto/handshake"
)

// firstFetch is how long the start waits for the JWKS at most. Without a JWKS the server starts too: it answers 503 to tokens
// that it can't check, says so in its log and on /health, and keeps trying.
const firstFetch = 5 * time.Second

// authenticators decide about requests and check their tokens. A reload replaces both.
type authenticators struct {
	upgrader *handshake.Upgrader
	tokens   *auth.Authenticator
}

// openAuthenticators makes the first ones, with the secrets, the keys of JWT_PUBLIC_KEY_FILE and those of JWT_JWKS_URL.
func (s *Service) openAuthenticators(ctx context.Context) (*handshake.Upgrader, error) {
	own, err := ownKeys(s.cfg)
	if err != nil {
		return nil, err
	}
	if s.cfg.JWTJWKSURL != "" {
		s.jwks = tokenkeys.NewRemote(tokenkeys.Config{
			URL: s.cfg.JWTJWKSURL, Refresh: s.cfg.JWTJWKSRefresh, Algorithms: s.cfg.JWTAlgorithms,
			Logger: s.log, Use: s.keys.replaceFetched,
		})
	}
	made, err := s.newAuthenticators(s.cfg, own)
	if err != nil {
		return nil, err
	}
	s.keys.use(made.tokens, own)
	if s.jwks != nil {
		ctx, cancel := context.WithTimeout(ctx, firstFetch)
		defer cancel()
		s.jwks.Fetch(ctx)
	}
	return made.upgrader, nil
}

// tokenConfig makes an authenticator's configuration from the variables and keys.
func tokenConfig(cfg config.Config, keys auth.Keys) auth.Config {
	return auth.Config{
		Keys:         keys,
		Algorithms:   cfg.JWTAlgorithms,
		UserClaim:    cfg.JWTUserClaim,
		Issuer:       cfg.JWTIssuer,
		Audience:     cfg.JWTAudience,
		IgnoreGroups: !cfg.WSGroups,
	}
}

// upgraderConfig makes an upgrader's configuration from the variables.
func upgraderConfig(cfg config.Config) handshake.Config {
	return handshake.Config{AllowedOrigins: cfg.WSAllowedOrigins, TrustedProxies: cfg.WSTrustedProxies, EventStreams: cfg.WSSSE}
}

// checkLists checks the lists of algorithms, origins and proxies.
func checkLists(cfg config.Config) error {
	tokens := tokenConfig(cfg, auth.Keys{})
	tokens.UnknownKey = func(string) (time.Duration, bool) { return 0, false } // keys may come later
	_, wrongTokens := auth.New(tokens)
	_, wrongUpgrader := handshake.New(upgraderConfig(cfg))
	return errors.Join(variableError(wrongTokens), variableError(wrongUpgrader))
}

// newAuthenticators makes them for keys.
func (s *Service) newAuthenticators(cfg config.Config, keys auth.Keys) (made authenticators, err error) {
	tokens := tokenConfig(cfg, keys)
	if s.jwks != nil {
		tokens.UnknownKey = s.jwks.Unknown
	}
	var wrongTokens, wrongUpgrader error
	made.tokens, wrongTokens = auth.New(tokens)
	upgrader := upgraderConfig(cfg)
	upgrader.Authenticator, upgrader.Ticket = made.tokens, s.selfCheck.tickets.redeem
	made.upgrader, wrongUpgrader = handshake.New(upgrader)
	return made, errors.Join(variableError(wrongTokens), variableError(wrongUpgrader))
}

// keyring joins the keys of the configuration, which a reload replaces together with the authenticator, with those of the
// JWKS, which are fetched at any time. Any goroutine.
type keyring struct {
	mu      sync.Mutex          // held while keys are given to an authenticator, which takes microseconds
	tokens  *auth.Authenticator // guarded by mu: the one in force
	own     auth.Keys           // guarded by mu: of the configuration
	fetched auth.Keys           // guarded by mu: of the JWKS, with those that are left out
}

// use makes this authenticator the current one. It has these keys and the fetched ones.
func (k *keyring) use(tokens *auth.Authenticator, own auth.Keys) {
	k.mu.Lock()
	defer k.mu.Unlock()
	k.tokens, k.own = tokens, own
}

// replaceFetched is tokenkeys' Config.Use.
func (k *keyring) replaceFetched(public []auth.PublicKey, leftOut []auth.LeftOut) error {
	k.mu.Lock()
	defer k.mu.Unlock()
	fetched := auth.Keys{Public: public, LeftOut: leftOut}
	if err := k.tokens.SetKeys(joined(k.own, fetched)); err != nil {
		return err
	}
	k.fetched = fetched
	return nil
}

// joined is own with the keys of the JWKS.
func joined(own, fetched auth.Keys) auth.Keys {
	own.Public, own.LeftOut = slices.Concat(own.Public, fetched.Public), fetched.LeftOut
	return own
}

// ownKeys are those that the configuration names.
func ownKeys(cfg config.Config) (keys auth.Keys, err error) {
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

// variableError names the variable that is wrong.
func variableError(err error) error {
	if several, ok := err.(interface{ Unwrap() []error }); ok {
		var named []error
		for _, one := range several.Unwrap() {
			named = append(named, variableError(one))
		}
		return errors.Join(named...)
	}
	switch {
	case errors.Is(err, handshake.ErrProxyPattern):
		return fmt.Errorf("WS_TRUSTED_PROXIES: %w", err)
	case errors.Is(err, auth.ErrAlgorithm):
		return fmt.Errorf("JWT_ALGORITHMS: %w", err)
	case errors.Is(err, handshake.ErrOriginPattern):
		return fmt.Errorf("WS_ALLOWED_ORIGINS: %w", err)
	}
	return err
}

var errNoJWKSKeys = errors.New("there is no key from JWT_JWKS_URL; the log says why")

// tokenKeysMissing is httpapi's Config.TokenKeys.
func (s *Service) tokenKeysMissing() error {
	if s.jwks != nil && s.jwks.Status().Keys == 0 {
		return errNoJWKSKeys
	}
	return nil
}

func (s *Service) jwksStatus() tokenkeys.Status {
	if s.jwks == nil {
		return tokenkeys.Status{}
	}
	return s.jwks.Status()
}

// jwksRefreshes counts fetches by result, nil without a JWKS.
func (s *Service) jwksRefreshes() map[string]uint64 {
	if s.jwks == nil {
		return nil
	}
	status := s.jwks.Status()
	return map[string]uint64{"ok": status.OK, "failed": status.Failed}
}

// CheckFiles checks the files that a start reads, keys and certificates, and the lists that config doesn't check itself.
func CheckFiles(cfg config.Config) error {
	_, wrongKeys := ownKeys(cfg)
	wrongList := checkLists(cfg)
	_, wrongFeed := redisconfig.New(cfg, nil)
	_, wrongCertificates := readCertificates(cfg)
	_, wrongWebhook := webhookConfig(cfg, nil)
	return errors.Join(wrongKeys, wrongList, wrongFeed, wrongCertificates, wrongWebhook)
}
