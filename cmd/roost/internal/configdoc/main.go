// Command configdoc prints docs/configuration.md, which `make docs` writes and a test compares.
//
// The variables, their defaults and what each does come from package config, where they are said once; page.md.tmpl
// holds what concerns several of them, or needs more words than a table has room for. It is run by hand and by the
// test, reads no environment, and is no part of the server.
package main

import (
	"fmt"
	"os"
)

func main() {
	if err := write(os.Stdout); err != nil {
		fmt.Fprintln(os.Stderr, "configdoc:", err)
		os.Exit(1)
	}
}
