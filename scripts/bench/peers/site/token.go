package site

import (
	"errors"
	"time"

	"github.com/golang-jwt/jwt/v5"
)

// Gate checks tokens.
type Gate struct {
	secret []byte
	parser *jwt.Parser
}

// NewGate makes one for HS256 tokens signed with secret.
func NewGate(secret []byte) *Gate {
	return &Gate{secret, jwt.NewParser(jwt.WithValidMethods([]string{"HS256"}), jwt.WithExpirationRequired(),
		jwt.WithIssuedAt(), jwt.WithLeeway(5*time.Second))}
}

// User says whose token it is.
func (g *Gate) User(token string) (string, error) {
	var claims jwt.RegisteredClaims
	_, err := g.parser.ParseWithClaims(token, &claims, func(*jwt.Token) (any, error) { return g.secret, nil })
	if err != nil {
		return "", err
	}
	if claims.Subject == "" {
		return "", errors.New("no sub")
	}
	return claims.Subject, nil
}
