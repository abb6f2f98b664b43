package child

import (
	"bufio"
	"io"
	"net/http"
	"net/http/httptest"
	"os"
	"path/filepath"
	"strings"
	"testing"
	"time"
)

func TestOutputGoesToTheFile(t *testing.T) {
	t.Parallel()
	path := filepath.Join(t.TempDir(), "log")
	p, err := Start(path, []string{"WORD=hello"}, "sh", "-c", `echo "$WORD"; exit 3`)
	if err != nil {
		t.Fatal(err)
	}
	never := func() bool { return false }
	if err := p.Await(t.Context(), never); err == nil || !strings.Contains(err.Error(), "exit status 3") {
		t.Errorf("got %v", err)
	}
	if text, err := os.ReadFile(path); err != nil || string(text) != "hello\n" {
		t.Errorf("got %q, %v", text, err)
	}
}

func TestTalkUntilStopped(t *testing.T) {
	t.Parallel()
	p, orders, answers, err := Talk(filepath.Join(t.TempDir(), "log"), nil, "sh", "-c", "trap '' TERM; cat") // ends with its input only
	if err != nil {
		t.Fatal(err)
	}
	if _, err := io.WriteString(orders, "word\n"); err != nil {
		t.Fatal(err)
	}
	if line, err := bufio.NewReader(answers).ReadString('\n'); err != nil || line != "word\n" {
		t.Errorf("got %q, %v", line, err)
	}
	start := time.Now()
	if p.Stop(); time.Since(start) > stopLimit/2 {
		t.Error("it did not end with its input")
	}
}

func TestPorts(t *testing.T) {
	t.Parallel()
	if port, err := FreePort(); err != nil || port == "" || port == "0" {
		t.Errorf("port %q, %v", port, err)
	}
	status := http.StatusServiceUnavailable
	server := httptest.NewServer(http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		if r.URL.Path == "/health" {
			w.WriteHeader(status)
		}
	}))
	defer server.Close()
	port := server.URL[strings.LastIndexByte(server.URL, ':')+1:]
	if !Listening(port)() || Healthy(port)() {
		t.Error("it listens, and is not healthy")
	}
	status = http.StatusOK
	if !Healthy(port)() {
		t.Error("it is healthy")
	}
}
