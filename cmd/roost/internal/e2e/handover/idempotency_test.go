package handover

import (
	"io"
	"net/http"
	"strings"
	"testing"

	"roost/cmd/roost/internal/e2e"
	"roost/cmd/roost/internal/roosttest"
)

// A request to publish that is sent again behind an upgrade is known to the new process.
func TestIdempotencyKeyAcrossUpgrade(t *testing.T) {
	t.Parallel()
	const token = "0123456789abcdef"
	s := start(t, "pattern", roosttest.Env{"HTTP_TOKEN": token})
	s.server = s.server.WithToken(token)
	alice := s.server.Connect("alice")
	post := func() (replayed string, answer string) {
		t.Helper()
		body := strings.NewReader(`{"user":"alice","notification":{"type":"once"}}`)
		r, err := http.NewRequestWithContext(t.Context(), http.MethodPost, "http://"+s.server.HTTP+"/publish", body)
		if err != nil {
			t.Fatal(err)
		}
		r.Header = http.Header{"Content-Type": {"application/json"}, "Authorization": {"Bearer " + token}, "Idempotency-Key": {"k"}}
		response, err := http.DefaultClient.Do(r)
		if err != nil {
			t.Fatal(err)
		}
		defer response.Body.Close()
		text, err := io.ReadAll(response.Body)
		if err != nil || response.StatusCode != http.StatusOK {
			t.Fatalf("%s %s %v", response.Status, text, err)
		}
		return response.Header.Get("Idempotent-Replayed"), string(text)
	}
	_, first := post()
	s.upgrade(1)
	if replayed, again := post(); replayed != "true" || again != first {
		t.Errorf("again: %q %s, the first was %s", replayed, again, first)
	}
	e2e.Notify(s.redis, "alice", `{"type":"end"}`)
	if got := alice.WaitMessages(2); !strings.HasPrefix(got[0], `{"type":"once"`) || !strings.HasPrefix(got[1], `{"type":"end"`) {
		t.Errorf("alice got %q", got)
	}
}
