// Package client is Roost's client for pages: one ES module without a build step,
// which docs/clients.md explains and shows.
package client

import _ "embed"

//go:embed roost.js
var script string

// Script returns the module's source, to be served as text/javascript.
func Script() string { return script }
