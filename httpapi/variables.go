package httpapi

import "net/http"

// Variable is one variable of the configuration, as the server runs with it. It is an entry of the JSON of /config.
type Variable struct {
	Name         string `json:"name"`
	Value        string `json:"value"`   // masked where it is a secret; empty: none
	Default      string `json:"default"` // empty: none
	From         string `json:"from"`    // default, environment, or the path of the file
	Reload       bool   `json:"reload"`  // can change while the server runs
	NeedsRestart bool   `json:"needs_restart,omitempty"`
}

// serveVariables answers /config: with what the server runs, which is not always what its file says by now.
func (s *Server) serveVariables(w http.ResponseWriter, _ *http.Request) {
	if s.cfg.Variables == nil {
		writeError(w, http.StatusNotImplemented, "this server does not say what it runs with")
		return
	}
	writeJSON(w, http.StatusOK, marshal(map[string][]Variable{"variables": s.cfg.Variables()}))
}
