package e2e

import (
	"testing"

	"roost/cmd/roost/internal/roosttest"
)

// Two processes write one log: which line comes first is chance.
func TestLastPid(t *testing.T) {
	t.Parallel()
	const first, second, third = `{"msg":"listening","pid":10}`, `{"msg":"listening","pid":20}`, `{"msg":"listening","pid":30}`
	const ready, again = `{"msg":"the new process is ready","new_process":[20]}`, `{"msg":"the new process is ready","new_process":[30]}`
	for _, test := range []struct {
		name  string
		lines []string
		want  int
	}{
		{"before an upgrade", []string{first}, 10},
		{"the old process is first", []string{first, ready}, 20},
		{"the new process is first", []string{first, second}, 20},
		{"both, the old one first", []string{first, ready, second}, 20},
		{"both, the new one first", []string{first, second, ready}, 20},
		{"another upgrade", []string{first, ready, again, second}, 30},
		{"another upgrade, whose process is first", []string{first, second, third, ready, again}, 30},
	} {
		t.Run(test.name, func(t *testing.T) {
			t.Parallel()
			log := new(roosttest.Log)
			for _, line := range test.lines {
				_, _ = log.Write([]byte(line + "\n"))
			}
			if got := LastPid(&roosttest.Server{Process: &roosttest.Process{Log: log}}); got != test.want {
				t.Errorf("got %d, want %d", got, test.want)
			}
		})
	}
}
