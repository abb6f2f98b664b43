package admin

import (
	"encoding/json"
	"io/fs"
	"strings"
	"testing"

	"roost/cmd/roost/internal/e2e"
	"roost/cmd/roost/internal/roosttest"
	"roost/docs"
	"roost/httpapi"
)

// TestLimitsLeadToTheRunbook looks up what the console links to for each limit. What is full by design says so.
func TestLimitsLeadToTheRunbook(t *testing.T) {
	t.Parallel()
	_, server := e2e.Start(t, roosttest.Env{"WS_RESUME_WINDOW": "1m"})
	_, body := server.Get("/console.json")
	var now httpapi.Overview
	if err := json.Unmarshal(body, &now); err != nil {
		t.Fatalf("%v: %s", err, body)
	}
	page, err := fs.ReadFile(docs.Files, "operations.md")
	if err != nil {
		t.Fatal(err)
	}
	leadTo := map[string]string{}
	for _, limit := range now.Limits {
		leadTo[limit.Variable] = limit.Help
		if limit.Help == "" || !strings.Contains(string(page), "\n### "+limit.Help+"\n") {
			t.Errorf("%s leads to %q, which is no heading of operations.md", limit.Name, limit.Help)
		}
		if limit.Cycle != (limit.Variable == "WS_RESUME_BYTES") {
			t.Errorf("%s: full by design %v", limit.Name, limit.Cycle)
		}
	}
	for variable, want := range map[string]string{
		"WS_MAX_CONNECTIONS": "RoostNearlyFull", "WS_MAX_QUEUED_BYTES": "RoostQueuesFull", "WS_MAX_BROADCAST_BYTES": "RoostBroadcastsDropped",
		"WS_MAX_PENDING_BYTES": "RoostRefusesForWantOfRoom", "WS_RESUME_BYTES": "RoostResumeShort", "ulimit -n, LimitNOFILE=": "RoostDescriptorsLow",
	} {
		if leadTo[variable] != want {
			t.Errorf("%s leads to %q, want %q", variable, leadTo[variable], want)
		}
	}
}
