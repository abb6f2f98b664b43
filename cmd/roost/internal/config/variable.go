package config

import (
	"fmt"
	"reflect"
	"strconv"
	"strings"
	"time"
)

// mask stands where a secret's value would be shown.
const mask = "********"

// variable is what a field's tags say of it.
type variable struct {
	field  reflect.StructField
	index  int
	name   string
	def    string
	desc   string
	want   string
	secret bool
	reload bool
}

// variables lists the fields of Config in their order.
func variables() []variable {
	t := reflect.TypeFor[Config]()
	vs := make([]variable, t.NumField())
	for i := range vs {
		f := t.Field(i)
		vs[i] = variable{
			field:  f,
			index:  i,
			name:   f.Tag.Get("envconfig"),
			def:    f.Tag.Get("default"),
			desc:   f.Tag.Get("desc"),
			want:   want(f),
			secret: f.Tag.Get("secret") == "true",
			reload: f.Tag.Get("reload") == "true",
		}
	}
	return vs
}

// variableOf is the variable of a name, which there is.
func variableOf(name string) variable {
	for _, v := range variables() {
		if v.name == name {
			return v
		}
	}
	panic("config: there is no " + name)
}

// want is the field's own text, or what its type says by itself.
func want(f reflect.StructField) string {
	if s := f.Tag.Get("want"); s != "" {
		return s
	}
	switch f.Type {
	case reflect.TypeFor[bool]():
		return "true or false"
	case reflect.TypeFor[time.Duration]():
		return "a duration above 0 with its unit, such as " + f.Tag.Get("default")
	}
	return "another value"
}

// current is the field's value in c as the environment would say it.
func (v variable) current(c Config) string {
	value := reflect.ValueOf(c).Field(v.index).Interface()
	switch x := value.(type) {
	case []string:
		return strings.Join(x, ",")
	case time.Duration:
		return shortDuration(x)
	}
	return fmt.Sprint(value)
}

// shown is value, masked when the variable is a secret that is set. In an address a user and a password are masked, which do not
// belong there.
func (v variable) shown(value string) string {
	switch {
	case value == "":
	case v.secret:
		return mask
	case strings.HasSuffix(v.name, "_URL"):
		return withoutPassword(value)
	}
	return value
}

// withoutPassword masks the user and the password of an URL, which need not be right.
func withoutPassword(address string) string {
	begin := 0
	if scheme, _, ok := strings.Cut(address, "://"); ok {
		begin = len(scheme) + len("://")
	}
	path, _, _ := strings.Cut(address, "?")
	if at := strings.LastIndexByte(path, '@'); at >= begin {
		return address[:begin] + mask + address[at:]
	}
	return address
}

// problem says that value is wrong for the variable.
func (v variable) problem(value string) Problem {
	return Problem{Name: v.name, Value: v.shown(value), Want: v.want}
}

// shortDuration is 60s for what time.Duration prints as 1m0s, and 5m for 5m0s.
func shortDuration(d time.Duration) string {
	if d < 2*time.Minute && d%time.Second == 0 {
		return strconv.FormatInt(int64(d/time.Second), 10) + "s"
	}
	s := d.String()
	if strings.HasSuffix(s, "m0s") {
		s = strings.TrimSuffix(s, "0s")
	}
	if strings.HasSuffix(s, "h0m") {
		s = strings.TrimSuffix(s, "0m")
	}
	return s
}
