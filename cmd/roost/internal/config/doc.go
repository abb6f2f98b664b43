// Package config reads what the environment says about how roost is to run: one flat struct, filled by envconfig,
// checked once, described by its own tags.
//
// It is called by main before anything is started, on one goroutine, and keeps no state. It opens no files, reads no
// flags, and does not know what the rooms do with a value: only cmd/roost reads the environment, rooms take a small
// Config of their own.
package config
