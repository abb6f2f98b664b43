// Package metric lets a package that counts declare a counter in one place: a field of a struct whose tag holds the name
// and the help text that /metrics shows.
//
//	type Counters[T any] struct {
//		BytesIn T `metric:"roost_received_bytes_total" help:"Bytes read from clients."`
//	}
//
// Counters[atomic.Int64] is what is counted with, on any number of goroutines, and Counters[int] is a reading. Fields
// without a tag are counted and not exported. A name ends in _total if and only if the value never falls.
package metric

import (
	"reflect"
	"strings"
	"sync/atomic"
)

// Desc describes a counter or gauge without labels.
type Desc struct{ Name, Help string }

// Counter reports whether the value never falls; else it is a gauge.
func (d Desc) Counter() bool { return strings.HasSuffix(d.Name, "_total") }

// Value is a reading of one.
type Value struct {
	Name  string // that of its Desc
	Value int64
}

// Add adds what was counted, a pointer to Counters[atomic.Int64], to a sum, a pointer to Counters[int].
func Add(sum, counted any) {
	to, from := reflect.ValueOf(sum).Elem(), reflect.ValueOf(counted).Elem()
	for i := range to.NumField() {
		to.Field(i).SetInt(to.Field(i).Int() + from.Field(i).Addr().Interface().(*atomic.Int64).Load())
	}
}

// Descs describes the fields of a Counters that are exported to /metrics.
func Descs(counters any) (all []Desc) {
	t := reflect.TypeOf(counters)
	for i := range t.NumField() {
		if tag := t.Field(i).Tag; tag.Get("metric") != "" {
			all = append(all, Desc{Name: tag.Get("metric"), Help: tag.Get("help")})
		}
	}
	return all
}

// Values returns the values of a Counters[int], in the order of Descs.
func Values(counters any) (all []Value) {
	v := reflect.ValueOf(counters)
	for i := range v.NumField() {
		if name := v.Type().Field(i).Tag.Get("metric"); name != "" {
			all = append(all, Value{Name: name, Value: v.Field(i).Int()})
		}
	}
	return all
}
