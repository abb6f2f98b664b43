package main

import (
	"strings"
	"testing"
)

func TestSuiteRefuses(t *testing.T) {
	t.Parallel()
	tests := map[string]struct {
		args []string
		want string
	}{
		"an unknown step":             {[]string{"--step=nonsense"}, "deliver-10k"},
		"a server without a path":     {[]string{"--server=b"}, "roost=bin/roost"},
		"a variable of nobody":        {[]string{"--env=b=X=1"}, "the label of a --server"},
		"a variable without value":    {[]string{"--env=a=X"}, "WS_PING_INTERVAL=30s"},
		"steps of nobody":             {[]string{"--only=b=idle"}, "the label of a --server"},
		"only nobody":                 {[]string{"--of=b"}, "the label of a --server"},
		"TLS for nobody":              {[]string{"--secure=b"}, "the label of a --server"},
		"a bad pattern":               {[]string{"--only=a=[x"}, "syntax error"},
		"too many rounds":             {[]string{"--rounds=21"}, "from 0 to 20"},
		"a week":                      {[]string{"--limit=168h"}, "6h"},
		"nowhere to put it":           {nil, "--out"},
		"both the short and the full": {[]string{"--short", "--full"}, "can't be used together"},
	}
	for name, tt := range tests {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			code, said := try(t, append([]string{"suite", "--server=a=b"}, tt.args...)...)
			if code != 1 || !strings.Contains(said, tt.want) {
				t.Errorf("exit code %d, %s", code, said)
			}
		})
	}
}

func TestSuitePlan(t *testing.T) {
	t.Parallel()
	code, said := try(t, "suite", "--plan", "--server=a=x", "--server=b b=y", "--env=b b=V=1", "--only=b b=deliver-1*", "--step=connect", "--step=deliver-10k")
	if code != 0 || !strings.Contains(said, "1 servers × 3") || !strings.Contains(said, "2 servers × 5") || !strings.Contains(said, "for 13 measurements") {
		t.Errorf("exit code %d, %s", code, said)
	}
}

func TestSuiteOfSome(t *testing.T) {
	t.Parallel()
	code, said := try(t, "suite", "--plan", "--server=a=x", "--server=b b=y", "--server=c=z", "--of=b b", "--of=c", "--only=c=deliver-10k",
		"--step=connect", "--step=deliver-10k")
	if code != 0 || !strings.Contains(said, "1 servers × 3") || !strings.Contains(said, "2 servers × 5") || !strings.Contains(said, "for 13 measurements") {
		t.Errorf("exit code %d, %s", code, said)
	}
}
