package config

import (
	"fmt"
	"slices"
	"strings"
)

// minSecret is the length from which a HS256 secret is as strong as its hash: RFC 7518 section 3.2.
const minSecret = 32

// Unknown lists the names in the file and in environ that look as if they were meant for roost and that nothing reads:
// what a Config of Load may be wrong for.
func (s Source) Unknown(environ []string) []string {
	all := unknown(environ)
	known := names()
	for name, at := range s.file {
		if !slices.Contains(known, name) {
			all = append(all, s.unknownEntry(name, at))
		}
	}
	slices.Sort(all)
	return all
}

// Warnings lists what is suspicious about a Config of Load, and yet no reason not to start: one line each. environ is
// the environment as os.Environ gives it, in which names that nothing reads are looked for: envconfig passes over them
// silently.
func (s Source) Warnings(c Config, environ []string) []string {
	ws := c.weak()
	for _, v := range variables() {
		ws = append(ws, v.blemishes(c)...)
	}
	if c.JWTJWKSURL != "" && len(c.JWTAudience) == 0 {
		ws = append(ws, "JWT_JWKS_URL is set and JWT_AUDIENCE is not: tokens that the issuer made for other services are"+
			" good here too")
	}
	if c.WebhookURL == "" && len(c.WebhookSecret) > 0 {
		ws = append(ws, "WEBHOOK_SECRET has no effect without WEBHOOK_URL: nothing is posted")
	}
	return slices.Concat(ws, s.warnings(), c.withoutEffect(environ), unknown(environ))
}

// weak names secrets that are too short.
func (c Config) weak() (ws []string) {
	for _, of := range []struct {
		name    string
		secrets []string
	}{{"JWT_SECRET_KEY", []string{c.JWTSecretKey}}, {"JWT_SECRET_KEY_PREVIOUS", c.JWTSecretKeyPrevious}} {
		for _, secret := range of.secrets {
			if n := len(secret); n > 0 && n < minSecret {
				ws = append(ws, fmt.Sprintf("%s is %d bytes long; shorter than %d it can be guessed from one token"+
					" (make one with: openssl rand -hex 32)", of.name, n, minSecret))
			}
		}
	}
	return ws
}

// blemishes names what is around a text that nobody sees and that counts: what a file, a YAML block or an --env-file of
// docker has added, most likely.
func (v variable) blemishes(c Config) (ws []string) {
	var texts []string
	switch value := v.in(c).Interface().(type) {
	case string:
		texts = []string{value}
	case []string:
		texts = value
	}
	for _, text := range texts {
		if what := blemish(text); what != "" {
			ws = append(ws, fmt.Sprintf("%s %s, and that counts as part of it", v.name, what))
		}
	}
	return ws
}

// blemish is the first thing that is odd about a text, "" for nothing.
func blemish(text string) string {
	if text == "" {
		return ""
	}
	first, last := text[0], text[len(text)-1]
	quote := func(c byte) bool { return c == '"' || c == '\'' || c == '`' }
	switch {
	case strings.HasPrefix(text, "\ufeff"):
		return "begins with a byte order mark, which editors on Windows write"
	case strings.HasSuffix(text, "\n"):
		return "ends with a line feed"
	case strings.TrimSpace(text) != text:
		return "has white space at its beginning or end"
	case strings.ContainsAny(text, "\r\n"):
		return "has a line feed in it"
	case len(text) > 1 && quote(first) && first == last:
		return "is in quotes"
	case quote(first) || quote(last):
		return "begins or ends with a quote"
	}
	return ""
}

// withoutEffect names what says where a single Redis is while sentinels, or several nodes, are asked, and what is about a
// TLS port that is not opened.
func (c Config) withoutEffect(environ []string) (ws []string) {
	for _, entry := range environ {
		name, value, _ := strings.Cut(entry, "=")
		switch {
		case len(c.RedisAddrs) > 0 && (name == "REDIS_HOST" || name == "REDIS_PORT"):
			ws = append(ws, name+" has no effect beside REDIS_ADDRS: who is listed there says where Redis is")
		case !c.WSTLS() && value != "" && slices.Contains(tlsPortNames, name):
			ws = append(ws, name+" has no effect without WS_TLS_CERT_FILE and WS_TLS_KEY_FILE, or WS_TLS_ACME_DOMAIN: there is no TLS port")
		}
	}
	slices.Sort(ws)
	return ws
}

// tlsPortNames are the variables that only a TLS port has a use for.
var tlsPortNames = []string{"WS_TLS_PORT", "WS_TLS_HOST", "WS_TLS_MIN_VERSION", "WS_TLS_TICKET_KEY_FILE", "WS_TLS_CLIENT_CA_FILE"}

// unknown names the variables that look as if they were meant for roost but are read by nothing.
func unknown(environ []string) []string {
	known := names()
	var ws []string
	for _, entry := range environ {
		name, _, _ := strings.Cut(entry, "=")
		right, misnomer := rightName(name)
		if misnomer && !ours(name) { // another program's, most likely, where the right one is there as well
			misnomer = !slices.ContainsFunc(environ, func(e string) bool { return strings.HasPrefix(e, right+"=") })
		}
		if !misnomer && !ours(name) || slices.Contains(known, name) || others(name) {
			continue
		}
		ws = append(ws, unknownName(name))
	}
	slices.Sort(ws)
	return ws
}

// names are those of all variables.
func names() []string {
	var all []string
	for _, v := range variables() {
		all = append(all, v.name)
		if v.secret {
			all = append(all, v.fileName())
		}
	}
	return all
}

// unknownName is what is said of a name that nothing reads.
func unknownName(name string) string {
	said := name + " is not a variable of roost and has no effect"
	if right, known := rightName(name); known {
		return said + ": the variable is " + right
	}
	if near := nearest(name, names()); near != "" {
		said += "; did you mean " + near + "?"
	}
	return said
}

func ours(name string) bool {
	for _, prefix := range []string{"WS_", "REDIS_", "HTTP_", "JWT_", "LOGGER_", "DISCORD_", "WEBHOOK_", "ROOST_CONFIG"} {
		if strings.HasPrefix(strings.ToUpper(name), prefix) {
			return true
		}
	}
	return false
}

// others says whether the name has an owner: the proxy that HTTP clients use, or what Docker links and Kubernetes set
// for a service called redis or ws (REDIS_SERVICE_HOST, REDIS_PORT_6379_TCP_ADDR, REDIS_ENV_…).
func others(name string) bool {
	if strings.EqualFold(name, "HTTP_PROXY") {
		return true
	}
	_, rest, _ := strings.Cut(name, "_")
	return rest == "NAME" || strings.HasPrefix(rest, "SERVICE_") || strings.HasPrefix(rest, "ENV_") ||
		(strings.HasPrefix(rest, "PORT_") && strings.ContainsAny(rest, "0123456789"))
}

// nearest is the known name that was probably meant, or nothing when none is near: a quarter of the letters may be
// wrong, or its end may be missing.
func nearest(name string, known []string) string {
	name = strings.ToUpper(name)
	best, least := "", 2+len(name)/4
	for _, k := range known {
		if d := distance(name, k); d < least {
			best, least = k, d
		}
	}
	if best != "" {
		return best
	}
	for _, k := range known {
		if strings.HasPrefix(k, name) {
			return k
		}
	}
	return ""
}

// distance is the number of bytes to insert, delete or change to make b of a (Levenshtein).
func distance(a, b string) int {
	row := make([]int, len(b)+1)
	for j := range row {
		row[j] = j
	}
	for i := range len(a) {
		diagonal := row[0]
		row[0] = i + 1
		for j := range len(b) {
			change := diagonal
			if a[i] != b[j] {
				change++
			}
			diagonal = row[j+1]
			row[j+1] = min(change, row[j]+1, row[j+1]+1)
		}
	}
	return row[len(b)]
}
