package suite

import (
	"io"
	"log"
	"net"
	"net/http"
	"os"
	"os/exec"
	"path/filepath"
	"slices"
	"strings"
	"testing"
	"time"
)

// TestMain is the server under test, too, where it is started as one.
func TestMain(m *testing.M) {
	switch os.Getenv("SUITE_TEST_SERVER") {
	case "broken":
		log.Fatal("broken")
	case "good":
		log.Fatal(http.ListenAndServe(net.JoinHostPort("127.0.0.1", os.Getenv("WS_PORT")), http.HandlerFunc(func(http.ResponseWriter, *http.Request) {})))
	}
	os.Exit(m.Run())
}

// fakeBench writes a report that has the arguments that it got.
const fakeBench = `#!/bin/sh
for arg in "$@"; do
  case "$arg" in
    --json=*) file=${arg#--json=} ;;
    --label=*) label=${arg#--label=} ;;
    --step=*) step=${arg#--step=} ;;
    --fail) echo "it does not work" >&2; exit 1 ;;
  esac
done
echo "{\"step\":\"$step\",\"server\":\"$label\",\"args\":[\"$*\"]}" >"$file"
`

func TestRun(t *testing.T) {
	t.Parallel()
	if _, err := exec.LookPath("redis-server"); err != nil {
		t.Skip(err)
	}
	self, err := os.Executable()
	if err != nil {
		t.Fatal(err)
	}
	dir := t.TempDir()
	bench := filepath.Join(dir, "bench")
	if err := os.WriteFile(bench, []byte(fakeBench), 0o700); err != nil {
		t.Fatal(err)
	}
	out, err := Run(t.Context(), Config{
		Bench: bench, Dir: dir, Log: io.Discard, Limit: 10 * time.Minute,
		Servers: []Server{
			{Label: "a", Path: self, Env: []string{"SUITE_TEST_SERVER=good"}},
			{Label: "broken", Path: self, Env: []string{"SUITE_TEST_SERVER=broken"}, Only: []string{"good"}},
		},
		Steps: []Step{
			{ID: "good", Title: "a good one", Args: []string{"--some"}, Rounds: 2, Lasts: time.Second, Redis: true},
			{ID: "bad", Args: []string{"--fail"}, Rounds: 1, Lasts: time.Second},
			{ID: "long", Rounds: 1, Lasts: time.Hour},
		},
	})
	if err == nil {
		t.Error("what failed is not an error")
	}
	if len(out.Reports) != 2 || out.Reports[1].Round != 2 || out.Reports[1].Title != "a good one" || out.Reports[1].Server != "a" {
		t.Fatalf("reports: %+v", out.Reports)
	}
	for _, want := range []string{"--some", "--pid=", "--metrics=http://127.0.0.1:", "--redis=127.0.0.1:"} {
		if !strings.Contains(out.Reports[0].Args[0], want) {
			t.Errorf("%s is missing in %v", want, out.Reports[0].Args)
		}
	}
	if !slices.Equal(out.LeftOut, []string{"long, round 1: a"}) {
		t.Errorf("left out: %q", out.LeftOut)
	}
	if len(out.Failed) != 3 || !strings.Contains(out.Failed[0], "exit status 1") || !strings.Contains(out.Failed[1], "it does not work") {
		t.Errorf("failed: %q", out.Failed)
	}
}
