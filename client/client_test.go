package client

import (
	"os"
	"strings"
	"testing"
)

// The documentation shows the client as it is.
func TestClientIsInTheDocs(t *testing.T) {
	t.Parallel()
	page, err := os.ReadFile("../docs/clients.md")
	if err != nil {
		t.Fatal(err)
	}
	if !strings.Contains(string(page), "\n```js\n"+Script()+"```\n") {
		t.Error("docs/clients.md shows another client than roost.js: run make docs")
	}
}
