package main

import (
	"errors"
	"fmt"
	"time"

	"github.com/golang-jwt/jwt/v5"

	"roost/cmd/roost/internal/config"
	"roost/internal/names"
	"roost/wsproto/auth"
)

type tokenCmd struct {
	oneUser
	Group []string `sep:"none" placeholder:"NAME" help:"A group that the user is in, of the token's claim groups; for several, give it again."`
	Email string   `help:"The token's email, which Roost does not use."`
	TTL   lifetime `default:"1h" help:"How long the token is good for, such as 90s, 15m, 1h or 7d."`
}

// Run prints a token.
func (c *tokenCmd) Run(env *environment) error {
	user, err := c.user()
	if err != nil {
		return err
	}
	sign, err := signerOf(env)
	if err != nil {
		return err
	}
	token, err := sign.token(user, c.Email, time.Duration(c.TTL), c.Group...)
	if err != nil {
		return err
	}
	_, err = fmt.Fprintln(env.stdout, token)
	return err
}

// signer makes tokens that a server with the same settings takes.
type signer struct{ cfg config.Config }

// signerOf reads the settings, which have to have a secret.
func signerOf(env *environment) (signer, error) {
	cfg, err := env.config()
	if err != nil {
		return signer{}, err
	}
	if cfg.JWTSecretKey == "" {
		return signer{}, errors.New("JWT_SECRET_KEY is not set: it has to be the secret that the server checks tokens with" +
			" (what a server with public keys only takes, nobody but the issuer can sign)")
	}
	return signer{cfg}, nil
}

// method is the first algorithm of JWT_ALGORITHMS that takes a secret.
func (s signer) method() jwt.SigningMethod {
	for _, name := range s.cfg.JWTAlgorithms {
		if auth.SecretAlgorithm(name) {
			return jwt.GetSigningMethod(name)
		}
	}
	return jwt.SigningMethodHS256
}

// checkUser says what the server would refuse.
func checkUser(user string) error {
	if !names.ValidUser(user) {
		return usageErrorf("user %q: a user id has 1 to %d bytes of UTF-8, without control characters", user, names.MaxUser)
	}
	return nil
}

// token makes the token that an issuer would: with sub, or JWT_USER_CLAIM, with iat and exp, and with what JWT_ISSUER
// and JWT_AUDIENCE ask for and the groups, where there are any.
func (s signer) token(user, email string, ttl time.Duration, groups ...string) (string, error) {
	if err := checkUser(user); err != nil {
		return "", err
	}
	for _, group := range groups {
		if err := checkGroup(group); err != nil {
			return "", err
		}
	}
	if len(groups) > auth.MaxGroups {
		return "", usageErrorf("%d groups: a token has %d at most", len(groups), auth.MaxGroups)
	}
	if ttl <= 0 {
		return "", usageErrorf("ttl %s: it has to be above 0, such as 1h", ttl)
	}
	now := time.Now()
	claims := jwt.MapClaims{"sub": user, "iat": now.Unix(), "exp": now.Add(ttl).Unix()}
	if email != "" {
		claims["email"] = email
	}
	if len(groups) > 0 {
		claims["groups"] = groups
	}
	if s.cfg.JWTIssuer != "" {
		claims["iss"] = s.cfg.JWTIssuer
	}
	if len(s.cfg.JWTAudience) > 0 {
		claims["aud"] = s.cfg.JWTAudience[0]
	}
	claims[s.cfg.JWTUserClaim] = user // a dot leads into an object only where no claim has the whole name
	token, err := jwt.NewWithClaims(s.method(), claims).SignedString([]byte(s.cfg.JWTSecretKey))
	if err != nil {
		return "", fmt.Errorf("signing a token: %w", err)
	}
	return token, nil
}
