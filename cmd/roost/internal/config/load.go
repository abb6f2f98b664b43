package config

import (
	"errors"
	"fmt"
	"reflect"
	"strings"

	"github.com/kelseyhightower/envconfig"
)

// Load reads the process's environment and checks it. Its error, when it is not nil, is Problems: all that is wrong,
// one line each; the Config then has defaults in place of what could not be read, good for showing only.
func Load() (Config, error) {
	c, bad := read()
	return c, append(bad, c.check(bad)...).err()
}

// Read is Load without the checks that look at the meaning of values: for commands that need a few variables only, or
// that fill some in before they call Validate. Its error is Problems too.
func Read() (Config, error) {
	c, bad := read()
	return c, bad.err()
}

// read gives each field to envconfig by itself, because envconfig stops at its first error and an operator wants to
// see all of them at once.
func read() (Config, Problems) {
	var c Config
	var bad Problems
	into := reflect.ValueOf(&c).Elem()
	for _, v := range variables() {
		one := reflect.New(reflect.StructOf([]reflect.StructField{v.field}))
		if err := envconfig.Process("", one.Interface()); err != nil {
			bad = append(bad, v.parseProblem(err))
			one = v.defaulted()
		}
		into.Field(v.index).Set(one.Elem().Field(0))
	}
	c.WSAllowedOrigins = trimmed(c.WSAllowedOrigins)
	c.WSTrustedProxies, c.RedisAddrs = trimmed(c.WSTrustedProxies), trimmed(c.RedisAddrs)
	c.JWTSecretKeyPrevious, c.JWTAudience = trimmed(c.JWTSecretKeyPrevious), trimmed(c.JWTAudience)
	return c, bad
}

// parseProblem turns envconfig's error, which names Go types, into what the operator can act on.
func (v variable) parseProblem(err error) Problem {
	var parse *envconfig.ParseError
	if !errors.As(err, &parse) {
		return Problem{Name: v.name, Want: fmt.Sprintf("%s (%v)", v.want, err)}
	}
	p := v.problem(parse.Value)
	switch {
	case parse.Value == "" && v.def != "":
		p.Want += fmt.Sprintf("; unset it for the default %s", v.def)
	case strings.HasPrefix(parse.Value, "tcp://"):
		p.Want += fmt.Sprintf(" (this looks like what a container link or Kubernetes sets for a service called %s:"+
			" rename the service, or set %s yourself)", service(v.name), v.name)
	}
	return p
}

// service is the name of the service for which Docker and Kubernetes set <SERVICE>_PORT.
func service(name string) string {
	return strings.ToLower(strings.TrimSuffix(name, "_PORT"))
}

// defaulted is a struct of the variable's field alone, with its default.
func (v variable) defaulted() reflect.Value {
	f := v.field
	// envconfig looks only for names that it is given: this one is in no environment.
	f.Tag = reflect.StructTag(fmt.Sprintf(`envconfig:"=" default:%q`, v.def))
	one := reflect.New(reflect.StructOf([]reflect.StructField{f}))
	if err := envconfig.Process("", one.Interface()); err != nil {
		panic(fmt.Sprintf("config: the default of %s: %v", v.name, err)) // a test reads all defaults
	}
	return one
}

func trimmed(list []string) []string {
	var out []string
	for _, s := range list {
		if s = strings.TrimSpace(s); s != "" {
			out = append(out, s)
		}
	}
	return out
}
