package doctor

import (
	"fmt"
	"log/slog"
	"strings"
	"testing"
	"time"

	"roost/hub"
)

// The server keeps as much in WS_RESUME_BYTES as doctor says.
func TestResumeBytesAreThoseOfTheServer(t *testing.T) {
	t.Parallel()
	for _, payload := range []int{16, 100, 300, 5000} {
		r := Resume{Window: 10 * time.Second, Bytes: 2 << 20, Payload: payload}
		for share, enough := range map[float64]bool{0.9: true, 1.2: false} {
			now := time.Unix(1_800_000_000, 0)
			h := hub.New(hub.Config{
				Logger: slog.New(slog.DiscardHandler), Now: func() time.Time { return now },
				Resume: hub.Resume{Memory: make([]byte, r.Bytes), Window: r.Window},
			})
			rate := float64(r.rate()) * share
			for i := range int(2 * rate * r.Window.Seconds()) {
				h.Deliver(fmt.Sprintf("user-%0*d", resumeName-len("user-"), i%1000), strings.Repeat("x", payload))
				now = now.Add(time.Duration(float64(time.Second) / rate))
			}
			if reach := h.Stats().Resume.Window; reach >= r.Window*99/100 != enough {
				t.Errorf("%.0f a second of %d bytes: the ring reaches %s back", rate, payload, reach)
			}
		}
	}
}

func TestResumeFinding(t *testing.T) {
	t.Parallel()
	host := ReadHost(smallVM().fs(), 2)
	want := ask(1000)
	if r := Judge(host, want); len(r.Findings) == 0 || r.Findings[len(r.Findings)-1].Name == "resume" {
		t.Error("nobody can resume, and doctor speaks of it")
	}
	want.Resume = Resume{Window: 2 * time.Minute, Bytes: 64 << 20}
	f := Judge(host, want).find(t, "resume")
	if f.State != OK || f.Found != "64 MiB for 2m" || !strings.HasPrefix(f.Note, "enough for 1,") || !strings.Contains(f.Note, "--published") {
		t.Errorf("%+v", f)
	}
	want.Resume.Published = 10_000
	r := Judge(host, want)
	f = r.find(t, "resume")
	if f.State != Warn || len(f.Fixes) != 1 || r.OK != Judge(host, ask(1000)).OK {
		t.Errorf("%+v", f)
	}
	var bytes int
	if _, err := fmt.Sscanf(f.Fixes[0].Line, "WS_RESUME_BYTES=%d", &bytes); err != nil {
		t.Fatal(err)
	}
	if want.Resume.Bytes = bytes; Judge(host, want).find(t, "resume").State != OK {
		t.Errorf("%s is not enough", f.Fixes[0].Line)
	}
}
