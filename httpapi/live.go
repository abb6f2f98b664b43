package httpapi

import "net/http"

// Live is the body of /health/live, on both ports.
//
// It says only that the process answers, whatever it thinks of Redis and while it drains: a supervisor that restarts it
// would take every connection down for what a restart does not mend. A loop that hangs needs no probe either: the
// process ends by itself.
func Live() []byte { return []byte("{\"status\":\"alive\"}\n") }

func serveLive(w http.ResponseWriter, _ *http.Request) { writeJSON(w, http.StatusOK, Live()) }
