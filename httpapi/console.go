package httpapi

import (
	"embed"
	"io/fs"
	"mime"
	"net/http"
	"path"
	"strconv"
	"strings"
)

// consoleFiles is the page: plain HTML, CSS and JavaScript, nothing built, nothing from elsewhere.
//
//go:embed console
var consoleFiles embed.FS

// consolePolicy lets the page load and ask this server only. WebSockets are for its demonstration, whose port differs.
const consolePolicy = "default-src 'none'; script-src 'self'; style-src 'self'; img-src 'self'; connect-src 'self' ws: wss:; " +
	"form-action 'none'; base-uri 'none'; frame-ancestors 'none'"

// consoleFile answers for / and what is below /console/.
func consoleFile(urlPath string) (e endpoint, found bool) {
	name := strings.TrimPrefix(urlPath, "/")
	if urlPath == "/" {
		name = "console/index.html"
	}
	if !strings.HasPrefix(name, "console/") || !fs.ValidPath(name) {
		return endpoint{}, false
	}
	content, err := consoleFiles.ReadFile(name)
	if err != nil {
		return endpoint{}, false
	}
	return page(name, content), true
}

// page answers with a file of the console.
func page(name string, content []byte) endpoint {
	kind := mime.TypeByExtension(path.Ext(name))
	return endpoint{page: true, serve: func(w http.ResponseWriter, _ *http.Request) {
		h := w.Header()
		h.Set("Content-Type", kind)
		h.Set("Content-Length", strconv.Itoa(len(content)))
		h.Set("Content-Security-Policy", consolePolicy)
		h.Set("Referrer-Policy", "no-referrer")
		_, _ = w.Write(content) // a client that left needs no answer
	}}
}
