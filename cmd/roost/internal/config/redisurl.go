package config

import (
	"cmp"
	"errors"
	"net"
	"net/url"
	"slices"
	"strconv"
	"strings"
)

// fromRedisURL fills the variables about Redis in from REDIS_URL: what hosting services and other programs hand out, in
// one piece. set says whether the environment or the file says a variable itself, which is a contradiction then.
func (c *Config) fromRedisURL(set func(name string) bool) (bad Problems) {
	if c.RedisURL == "" {
		return nil
	}
	for _, name := range []string{"REDIS_HOST", "REDIS_PORT", "REDIS_ADDRS", "REDIS_MASTER_NAME", "REDIS_CLUSTER", "REDIS_DB", "REDIS_USE_TLS"} {
		if set(name) {
			bad = append(bad, Problem{Name: name, Value: c.value(name), Want: "it left out, since REDIS_URL is set and says the same; or REDIS_URL left out"})
		}
	}
	u, err := parseRedisURL(c.RedisURL)
	if err != nil {
		return append(bad, Problem{Name: "REDIS_URL", Value: mask, Want: err.Error() + ": " + redisURLForms})
	}
	c.RedisUseTLS, c.RedisCluster, c.RedisMasterName, c.RedisDB = u.secure, u.cluster, u.master, u.db
	c.RedisUsername = cmp.Or(c.RedisUsername, u.user)
	c.RedisPassword = cmp.Or(c.RedisPassword, u.password)
	if u.cluster || u.master != "" {
		c.RedisAddrs = u.addrs
		return bad
	}
	name, port, _ := net.SplitHostPort(u.addrs[0])
	c.RedisHost = name
	c.RedisPort, _ = strconv.Atoi(port) // checked by parseRedisURL
	return bad
}

// value is a variable's value as text.
func (c *Config) value(name string) string {
	for _, v := range variables() {
		if v.name == name {
			return v.shown(v.current(*c))
		}
	}
	return ""
}

// redisURL is what a REDIS_URL says.
type redisURL struct {
	secure, cluster bool
	user, password  string
	addrs           []string // host:port; one, but for sentinels and nodes
	master          string   // "": no sentinels
	db              int
}

// redisURLForms says what is right.
const redisURLForms = "redis://user:password@host:6379/0, rediss:// for TLS, redis+sentinel://host:26379,host:26379/master-name/0," +
	" or redis+cluster://host:6379,host:6379, with special characters in the password as %40"

// parseRedisURL reads any of the forms. The error has nothing of the text in it, which may be a password.
func parseRedisURL(text string) (u redisURL, err error) {
	scheme, rest, found := strings.Cut(strings.TrimSpace(text), "://")
	scheme, kind, _ := strings.Cut(strings.Replace(strings.ToLower(scheme), "-", "+", 1), "+")
	u.secure, u.cluster = scheme == "rediss", kind == "cluster"
	switch {
	case !found || scheme != "redis" && scheme != "rediss" || !slices.Contains([]string{"", "sentinel", "cluster"}, kind):
		return u, errors.New("an URL of Redis")
	case strings.ContainsAny(rest, "?#"):
		return u, errors.New("an URL without ? and #: other settings have variables of their own")
	}
	authority, path, _ := strings.Cut(rest, "/")
	hosts := authority
	if at := strings.LastIndexByte(authority, '@'); at >= 0 {
		hosts = authority[at+1:]
		if u.user, u.password, err = credentials(authority[:at]); err != nil {
			return u, err
		}
	}
	if u.addrs, err = addresses(hosts, kind); err != nil {
		return u, err
	}
	return u, u.readPath(path, kind)
}

// credentials splits user:password, both of them percent-encoded.
func credentials(text string) (user, password string, err error) {
	user, password, _ = strings.Cut(text, ":")
	var errs [2]error
	user, errs[0] = url.PathUnescape(user)
	password, errs[1] = url.PathUnescape(password)
	if errors.Join(errs[:]...) != nil {
		return "", "", errors.New("user and password percent-encoded")
	}
	return user, password, nil
}

// addresses are the hosts, with the usual port where none is given.
func addresses(hosts, kind string) (all []string, err error) {
	usual := "6379"
	if kind == "sentinel" {
		usual = "26379"
	}
	for one := range strings.SplitSeq(hosts, ",") {
		if _, _, err := net.SplitHostPort(one); err != nil {
			one = net.JoinHostPort(strings.Trim(one, "[]"), usual)
		}
		if notHostPort(one) {
			return nil, errors.New("a host, and a port from 1 to 65535")
		}
		all = append(all, one)
	}
	if kind == "" && len(all) > 1 {
		return nil, errors.New("one host, or redis+sentinel:// or redis+cluster:// before several")
	}
	return all, nil
}

// readPath reads /db, and behind sentinels /master-name/db.
func (u *redisURL) readPath(path, kind string) error {
	if kind == "sentinel" {
		u.master, path, _ = strings.Cut(path, "/")
		if name, err := url.PathUnescape(u.master); err != nil || name == "" {
			return errors.New("the name of the master behind the sentinels")
		} else {
			u.master = name
		}
	}
	if path == "" {
		return nil
	}
	db, err := strconv.Atoi(path)
	if err != nil || db < 0 || kind == "cluster" && db > 0 {
		return errors.New("a number of a database behind the last /, in a cluster none but 0")
	}
	u.db = db
	return nil
}
