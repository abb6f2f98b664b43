package wire

import (
	"crypto/hmac"
	"crypto/sha256"
	"encoding/base64"
	"strconv"
	"time"
)

// tokenHeader is {"alg":"HS256","typ":"JWT"}, encoded.
const tokenHeader = "eyJhbGciOiJIUzI1NiIsInR5cCI6IkpXVCJ9"

// AppendToken appends the JWT that a backend would give user: HS256 with sub,
// iat and exp. The user's name must need no escapes in JSON.
func AppendToken(dst, secret []byte, user string, now time.Time, ttl time.Duration) []byte {
	claims := make([]byte, 0, 128)
	claims = append(claims, `{"sub":"`...)
	claims = append(claims, user...)
	claims = append(claims, `","iat":`...)
	claims = strconv.AppendInt(claims, now.Unix(), 10)
	claims = append(claims, `,"exp":`...)
	claims = strconv.AppendInt(claims, now.Add(ttl).Unix(), 10)
	claims = append(claims, '}')

	start := len(dst)
	dst = append(dst, tokenHeader...)
	dst = append(dst, '.')
	dst = base64.RawURLEncoding.AppendEncode(dst, claims)
	mac := hmac.New(sha256.New, secret)
	mac.Write(dst[start:])
	dst = append(dst, '.')
	return base64.RawURLEncoding.AppendEncode(dst, mac.Sum(nil))
}
