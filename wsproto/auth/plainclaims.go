package auth

import "time"

// plainClaims is what readPlainClaims found. The zero value is of no use to anyone:
// it never is in time.
type plainClaims struct {
	subject  []byte // the text of the claim with the user id; nil when it is missing
	issuer   []byte // the text of iss, as the next of aud
	audience []byte
	groups   []byte // the text of groups
	expires  plainDate
	earliest plainDate
	issued   plainDate
}

// readPlainClaims reads the claims that count, of which one has the user id. It returns the zero value where it
// is not sure how to: a claim came twice, or is no date.
func readPlainClaims(text []byte, user string) (c plainClaims) {
	o := openObject(text, maxNesting)
	for o.next() {
		ok := true
		if string(o.name) == user { // which may be one of those below as well
			if c.subject != nil {
				return plainClaims{}
			}
			c.subject = o.value
		}
		switch string(o.name) {
		case "iss":
			ok = c.issuer == nil
			c.issuer = o.value
		case "aud":
			ok = c.audience == nil
			c.audience = o.value
		case "groups":
			ok = c.groups == nil
			c.groups = o.value
		case "exp":
			ok = c.expires.read(o.value)
		case "nbf":
			ok = c.earliest.read(o.value)
		case "iat":
			ok = c.issued.read(o.value)
		}
		if !ok {
			return plainClaims{}
		}
	}
	if !o.complete() {
		return plainClaims{}
	}
	return c
}

// inTime reports whether the token surely is valid at a time. What is missing counts as
// 1970, so that a token without exp never is.
func (c *plainClaims) inTime(now time.Time, leeway time.Duration) bool {
	return c.expires.came && now.Before(c.expires.time().Add(leeway)) &&
		!now.Before(c.earliest.time().Add(-leeway)) &&
		!now.Before(c.issued.time().Add(-leeway))
}

// plainDate is a date in whole seconds since 1970 (RFC 7519 section 2, NumericDate).
type plainDate struct {
	seconds int64
	came    bool
}

// maxPlainDigits keeps dates away from the end of the year 9999, from where on all are
// the same to Check.
const maxPlainDigits = 11

// read takes a date, once. It is false for another spelling than digits.
func (d *plainDate) read(value []byte) bool {
	if d.came || len(value) > maxPlainDigits {
		return false
	}
	for _, c := range value {
		if !isDigit(c) {
			return false
		}
		d.seconds = d.seconds*10 + int64(c-'0')
	}
	d.came = true
	return true
}

func (d *plainDate) time() time.Time { return time.Unix(d.seconds, 0) }
