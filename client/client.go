// Package client is Roost's client for pages, the npm package roost-client, which docs/frontend.md explains. Go needs of it only
// the source, which the console's page loads.
package client

import _ "embed"

//go:embed roost.js
var script string

// Script returns the module's source, to be served as text/javascript.
func Script() string { return script }
