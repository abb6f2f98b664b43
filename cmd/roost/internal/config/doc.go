// Package config reads what the environment, and a file of variables that it may name, say about how roost is to run:
// one flat struct, filled by envconfig, checked as a whole, described by its own tags.
//
// It is called by main before anything is started, and again by the goroutine that reloads; it keeps no state. It opens
// no other file, reads no flags, and does not know what the packages do with a value: only cmd/roost reads the
// environment, packages take a small Config of their own.
package config
