package config

import (
	"errors"
	"fmt"
	"os"
	"reflect"
	"slices"
	"strings"

	"github.com/kelseyhightower/envconfig"
)

// Read is Open and Source.Read.
func Read() (Config, error) {
	s, err := Open()
	if err != nil {
		return Config{}, err
	}
	return s.Read()
}

// Load reads the variables and checks them. Its error, when it is not nil, is Problems: all that is wrong, one line
// each; the Config then has defaults in place of what could not be read, good for showing only.
func (s Source) Load() (Config, error) {
	c, bad := s.read()
	return c, s.located(append(bad, c.check(bad)...)).err()
}

// Read is Load without the checks that look at the meaning of values: for commands that need a few variables only, or
// that fill some in before they call Validate. Its error is Problems too.
func (s Source) Read() (Config, error) {
	c, bad := s.read()
	return c, s.located(bad).err()
}

// read gives each field to envconfig by itself, because envconfig stops at its first error and an operator has to see
// all of them at once.
func (s Source) read() (Config, Problems) {
	var c Config
	var bad Problems
	into := reflect.ValueOf(&c).Elem()
	for _, v := range variables() {
		one, problem := s.one(v)
		if problem != nil {
			bad = append(bad, *problem)
			one = v.defaulted()
		}
		into.Field(v.index).Set(one.Elem().Field(0))
	}
	c.WSAllowedOrigins = trimmed(c.WSAllowedOrigins)
	c.WSTrustedProxies, c.RedisAddrs = trimmed(c.WSTrustedProxies), trimmed(c.RedisAddrs)
	c.WSTLSAcmeDomain = trimmed(c.WSTLSAcmeDomain)
	if len(c.WSTLSAcmeDomain) > 0 && !s.Set("WS_TLS_PORT") {
		c.WSTLSPort = acmePort
	}
	c.WebhookSecret = trimmed(strings.Split(strings.Join(c.WebhookSecret, ","), ",")) // in a file commas separate too: none is part of base64
	c.JWTAudience, c.JWTAlgorithms = trimmed(c.JWTAudience), trimmed(c.JWTAlgorithms)
	bad = append(bad, s.previous(&c)...)
	if c.RedisURL != "" { // what a container engine injects for a service called redis is no contradiction then
		bad = slices.DeleteFunc(bad, func(p Problem) bool { return injected(p.Name) })
	}
	return c, append(bad, c.fromRedisURL(func(name string) bool { return s.Set(name) && !injected(name) })...)
}

// one reads one variable into a struct of its field alone.
func (s Source) one(v variable) (one reflect.Value, problem *Problem) {
	if path := s.secretFile(v); path != "" {
		return s.fromFile(v, path)
	}
	var err error
	if at, there := s.lookup(v.name); there {
		one, err = v.parsed(at.value)
	} else {
		one = reflect.New(reflect.StructOf([]reflect.StructField{v.field}))
		err = envconfig.Process("", one.Interface())
	}
	if err == nil {
		err = v.checkDigits(s.text(v.name))
	}
	if err != nil {
		p := v.parseProblem(err)
		return one, &p
	}
	return one, nil
}

// previous turns what JWT_SECRET_KEY_PREVIOUS says into secrets.
func (s Source) previous(c *Config) (bad Problems) {
	v := variableOf("JWT_SECRET_KEY_PREVIOUS")
	if path := s.secretFile(v); path != "" { // each is on its own line
		if n := len(c.JWTSecretKeyPrevious); n > maxPreviousSecrets {
			bad = append(bad, Problem{Name: v.fileName(), Value: path, Want: fmt.Sprintf("%d secrets at most, one on each line", maxPreviousSecrets)})
		}
		return bad
	}
	all, wrong := listedSecrets(c.JWTSecretKeyPrevious)
	if wrong {
		bad = append(bad, v.problem("set"))
		all = nil
	}
	c.JWTSecretKeyPrevious = all
	return bad
}

// checkDigits refuses numbers that Go reads otherwise than people do: 010 is 8 to it, and 0x10 and 1_000 are numbers.
func (v variable) checkDigits(value string) error {
	if v.field.Type.Kind() != reflect.Int || value == "" {
		return nil
	}
	digits := strings.TrimLeft(value, "+-")
	if strings.Trim(digits, "0123456789") == "" && (digits == "0" || digits[0] != '0') {
		return nil
	}
	return &envconfig.ParseError{KeyName: v.name, FieldName: v.field.Name, TypeName: v.field.Type.String(), Value: value, Err: errDigits}
}

var errDigits = errors.New("decimal digits, without a 0 before them")

// located says of each problem where in the file its value stands.
func (s Source) located(bad Problems) Problems {
	for i, p := range bad {
		if at, there := s.lookup(p.Name); there {
			bad[i].Where = fmt.Sprintf("%s, line %d", s.path, at.line)
		}
	}
	return bad
}

// parseProblem turns envconfig's error, which names Go types, into what the operator can act on.
func (v variable) parseProblem(err error) Problem {
	var parse *envconfig.ParseError
	if !errors.As(err, &parse) {
		return Problem{Name: v.name, Want: fmt.Sprintf("%s (%v)", v.want, err)}
	}
	p := v.problem(parse.Value)
	switch {
	case parse.Err == errDigits:
		p.Want += ", in decimal digits without a 0 before them"
	case parse.Value == "" && v.def != "":
		p.Want += fmt.Sprintf("; unset it for the default %s", v.def)
	case strings.HasPrefix(parse.Value, "tcp://"):
		p.Want += fmt.Sprintf(" (this looks like what a container link or Kubernetes sets for a service called %s:"+
			" rename the service, or set %s yourself)", service(v.name), v.name)
	}
	return p
}

// injected reports whether a variable has what container engines put there, and not what anybody wrote.
func injected(name string) bool { return strings.HasPrefix(os.Getenv(name), "tcp://") }

// service is the name of the service for which Docker and Kubernetes set <SERVICE>_PORT.
func service(name string) string {
	return strings.ToLower(strings.TrimSuffix(name, "_PORT"))
}

// defaulted is a struct of the variable's field alone, with its default.
func (v variable) defaulted() reflect.Value {
	if v.def == "" {
		return reflect.New(reflect.StructOf([]reflect.StructField{v.field}))
	}
	one, err := v.parsed(v.def)
	if err != nil {
		panic(fmt.Sprintf("config: the default of %s: %v", v.name, err)) // a test reads all defaults
	}
	return one
}

// parsed is a struct of the variable's field alone, with what value says: as if it were in the environment, which it is
// not. The error is as envconfig's.
func (v variable) parsed(value string) (reflect.Value, error) {
	f := v.field
	// envconfig looks only for names that it is given: this one is in no environment.
	f.Tag = reflect.StructTag(fmt.Sprintf(`envconfig:"=" default:%q`, value))
	one := reflect.New(reflect.StructOf([]reflect.StructField{f}))
	if kind := f.Type.Kind(); value == "" && kind != reflect.String && kind != reflect.Slice {
		// envconfig takes an empty default for no default; an empty variable is a wrong number.
		return one, &envconfig.ParseError{KeyName: v.name, FieldName: f.Name, TypeName: f.Type.String(), Err: errEmpty}
	}
	return one, envconfig.Process("", one.Interface())
}

var errEmpty = errors.New("empty")

func trimmed(list []string) []string {
	var out []string
	for _, s := range list {
		if s = strings.TrimSpace(s); s != "" {
			out = append(out, s)
		}
	}
	return out
}
