package main

import (
	"strings"
	"testing"
	"time"

	"roost/httpapi"
)

// The columns of the connections stand below each other, whatever is said of each in between.
func TestWhyAlignsConnections(t *testing.T) {
	expires := time.Date(2026, 1, 2, 3, 4, 5, 0, time.UTC)
	var out strings.Builder
	why := httpapi.Why{Verdict: "All is well.", Connections: 2, Open: []httpapi.WhyConnection{
		{Remote: "127.0.0.1:1", ID: "q83vEjRWeJA", Expires: &expires, Groups: []string{"staff"}},
		{Remote: "192.0.2.7:45674", WaitingBytes: 12345},
	}}
	if err := printWhy(&out, &why); err != nil {
		t.Fatal(err)
	}
	var columns []int
	for line := range strings.Lines(out.String()) {
		for _, from := range []string{"last heard", "0s ago"} {
			if at := strings.Index(line, from); at >= 0 {
				columns = append(columns, at)
			}
		}
	}
	if len(columns) != 3 || columns[0] != columns[1] || columns[1] != columns[2] {
		t.Errorf("the second column is at %v:\n%s", columns, out.String())
	}
}
