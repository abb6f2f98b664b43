package httpapi

import (
	"io/fs"
	"net/http"
	"strings"
)

// docsPage answers for /docs/ and the pages below it. Browsers get a page that asks for the Markdown, with ?raw, and
// lays it out; headings have the addresses that GitHub gives them, so that a runbook's address works here too.
func (s *Server) docsPage(urlPath string) (e endpoint, found bool) {
	name, below := strings.CutPrefix(urlPath, "/docs/")
	if !below || s.cfg.Docs == nil {
		return endpoint{}, false
	}
	if name == "" {
		name = "README.md"
	}
	text, err := fs.ReadFile(s.cfg.Docs, name)
	if err != nil {
		return endpoint{}, false
	}
	layout, _ := consoleFile("/console/docs.html") // embedded, as the test of the page proves
	return endpoint{page: true, serve: func(w http.ResponseWriter, r *http.Request) {
		if !r.URL.Query().Has("raw") {
			layout.serve(w, r)
			return
		}
		w.Header().Set("Content-Type", "text/markdown; charset=utf-8")
		write(w, http.StatusOK, text)
	}}, true
}
