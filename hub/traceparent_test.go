package hub

import (
	"strings"
	"testing"
)

func TestTraceparentPassesThrough(t *testing.T) {
	t.Parallel()
	const good = "00-0af7651916cd43dd8448eb211c80319c-b7ad6b7169203331-01"
	for _, resume := range []bool{false, true} {
		h := New(Config{Logger: quiet()})
		if resume {
			h = resuming(t, Limits{})
		}
		h.Watch("alice")
		c := &client{}
		if _, _, _, err := h.Arrive(c, Arrival{User: "alice"}); err != nil {
			t.Fatal(err)
		}
		for text, want := range map[string]string{
			`"` + good + `"`:                                            good,
			`"` + strings.ToUpper(good) + `"`:                           "",
			`"` + strings.Replace(good, "00", "01", 1):                  "", // not JSON
			`"00-00000000000000000000000000000000-b7ad6b7169203331-01"`: "",
			`"00-0af7651916cd43dd8448eb211c80319c-0000000000000000-01"`: "",
			`"` + good[1:] + `0"`:                                       "",
			`7`:                                                         "",
			`null`:                                                      "",
		} {
			h.Deliver("alice", `{"type":"n","payload":1,"traceparent":`+text+`}`)
			got := c.take()
			if !strings.HasPrefix(text, `"`) || strings.HasSuffix(text, `"`) {
				if len(got) != 1 {
					t.Fatalf("%s: %d were delivered", text, len(got))
				}
				frame := string(got[0].Frame)
				if has := strings.Contains(frame, `","traceparent":"`+good+`"`); has != (want != "") {
					t.Errorf("%s: %q", text, frame)
				}
				latest := h.Watch("alice").Latest
				if traced := latest[len(latest)-1].Traceparent; traced != want {
					t.Errorf("%s: traced as %q", text, traced)
				}
				if resume {
					receive(t, got[0]) // the id is the last member
				}
			}
		}
	}
}
