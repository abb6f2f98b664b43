package config

import "reflect"

// Change is a variable that has another value than before.
type Change struct {
	Name   string
	Reload bool // it can change while roost runs

	secret   bool
	old, new string
}

// String names the variable with its old and new value; of a secret it says only that it changed.
func (c Change) String() string {
	if c.secret {
		return c.Name + " changed"
	}
	return c.Name + " " + orNothing(c.old) + " → " + orNothing(c.new)
}

func orNothing(value string) string {
	if value == "" {
		return `""`
	}
	return value
}

// Changes lists what is different in next, in the order of the fields.
func (c Config) Changes(next Config) []Change {
	var all []Change
	for _, v := range variables() {
		if !reflect.DeepEqual(v.in(c).Interface(), v.in(next).Interface()) {
			all = append(all, Change{Name: v.name, Reload: v.reload, secret: v.secret, old: v.current(c), new: v.current(next)})
		}
	}
	return all
}

// Reloaded is c with the values of next where they can change while roost runs. It has to be validated: what is right
// in next may be wrong beside what stays.
func (c Config) Reloaded(next Config) Config {
	into := reflect.ValueOf(&c).Elem()
	for _, v := range variables() {
		if v.reload {
			into.Field(v.index).Set(v.in(next))
		}
	}
	return c
}

// in is the variable's field in c.
func (v variable) in(c Config) reflect.Value { return reflect.ValueOf(c).Field(v.index) }
