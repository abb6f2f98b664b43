package main

import (
	"fmt"
	"slices"
	"strings"
	"testing"
)

func TestExcerpt(t *testing.T) {
	t.Parallel()
	const message = "    x_test.go:7: waited 1m0s for a line\n"
	logged := "    process.go:171: [roost serve] printed:\n" + strings.Repeat("        {\"msg\":\"connected\"}\n", 50) +
		"        \n        and on standard error:\n        goroutine 1 [running]:\n        \t/src/x.go:12 +0x1d\n"
	var numbered []string
	for n := range 100 {
		numbered = append(numbered, fmt.Sprintf("    x_test.go:9: error %d", n))
	}
	for _, test := range []struct {
		name, output string
		want         []string
	}{
		{"one message", "=== RUN   TestX\n" + message + "--- FAIL: TestX (60.00s)\n", []string{"    x_test.go:7: waited 1m0s for a line"}},
		{"before and after logs", message + logged + "    server.go:224: redis-server on port 1 said:\n        ready\n" + "    x_test.go:8: more\n", []string{"    x_test.go:7: waited 1m0s for a line", "    x_test.go:8: more"}},
		{"a message of many lines", "    x_test.go:7: got\n" + strings.Repeat("        line\n", 30) + message,
			append(append([]string{"    x_test.go:7: got"}, slices.Repeat([]string{"        line"}, 5)...), "    x_test.go:7: waited 1m0s for a line")},
		{"many messages", strings.Join(numbered, "\n") + "\n",
			slices.Concat(numbered[:10], []string{"    … 80 lines more: see above …"}, numbered[90:])},
		{"a long line", "    x_test.go:7: " + strings.Repeat("é", 300) + "\n", []string{"    x_test.go:7: " + strings.Repeat("é", 141) + " …"}},
		{"a panic", "panic: boom [recovered]\n\ngoroutine 7 [running]:\n", []string{"panic: boom [recovered]", "goroutine 7 [running]:"}},
		{"nothing", "=== RUN   TestX\n--- FAIL: TestX (0.00s)\n", nil},
	} {
		t.Run(test.name, func(t *testing.T) {
			t.Parallel()
			if got := excerpt(slices.Collect(strings.Lines(test.output))); !slices.Equal(got, test.want) {
				t.Errorf("got\n%s\nwant\n%s", strings.Join(got, "\n"), strings.Join(test.want, "\n"))
			}
		})
	}
}
