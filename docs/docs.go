// Package docs has the documentation, so that the admin server can show what is true of its own version.
package docs

import "embed"

// Files are the pages, in Markdown.
//
//go:embed *.md
var Files embed.FS

// OpenAPI describes POST /publish of the admin server, in YAML.
//
//go:embed openapi.yaml
var OpenAPI string
