package app

import (
	"encoding/json"
	"errors"
	"strings"
	"testing"

	"roost/cmd/roost/internal/handover"
	"roost/httpapi"
)

// TestOutlook: what `roost upgrade --check` says beforehand is decided as the upgrade itself is, in the same order.
func TestOutlook(t *testing.T) {
	same := []handover.Fact{{Name: "REDIS_FEED", Value: "user"}}
	other := []handover.Fact{{Name: "REDIS_FEED", Value: "pattern"}}
	for name, test := range map[string]struct {
		program Agreement
		cannot  string
		drains  string
		refusal string
	}{
		"a handover":                      {Agreement{Mode: "handover", Must: same}, "", "", ""},
		"the program drains":              {Agreement{Mode: "drain", Must: same}, "", "WS_UPGRADE=drain", ""},
		"so settings may differ":          {Agreement{Mode: "drain", Must: other}, "", "WS_UPGRADE=drain", ""},
		"the server can't":                {Agreement{Mode: "handover", Must: same}, "Redis over TLS", "Redis over TLS", ""},
		"so settings may differ, too":     {Agreement{Mode: "handover", Must: other}, "Redis over TLS", "Redis over TLS", ""},
		"the program drains, for both":    {Agreement{Mode: "drain", Must: same}, "Redis over TLS", "WS_UPGRADE=drain", ""},
		"settings differ":                 {Agreement{Mode: "handover", Must: other}, "", "", `REDIS_FEED is "pattern" in the new process and "user" in the running one`},
		"the program lacks the setting":   {Agreement{Mode: "handover"}, "", "", "does not say what its REDIS_FEED is"},
		"the program of a mode not known": {Agreement{Mode: "", Must: same}, "", "WS_UPGRADE=", ""},
	} {
		t.Run(name, func(t *testing.T) {
			server := httpapi.Upgrade{Drains: test.cannot, Agree: []httpapi.UpgradeSetting{{Name: "REDIS_FEED", Value: "user"}}}
			drains, err := test.program.Outlook(server)
			if drains != test.drains || (err != nil) != (test.refusal != "") || err != nil && (!errors.Is(err, handover.ErrRefused) || !strings.Contains(err.Error(), test.refusal)) {
				t.Errorf("Outlook is %q, %v", drains, err)
			}
		})
	}
}

// TestSecretsStayIn: neither /upgrade nor `roost upgrade --agreement` shows a secret on which both processes have to agree, and the outlook
// does not take two that it can't see for different ones.
func TestSecretsStayIn(t *testing.T) {
	facts := func() []handover.Fact {
		return []handover.Fact{{Name: "REDIS_FEED", Value: "user"}, {Name: "A_KEY", Value: "hush", Secret: true}}
	}
	server := httpapi.Upgrade{Agree: settingsShown(facts())}
	program := Agreement{Mode: "handover", Must: withoutSecrets(facts())}
	for _, shown := range []any{server, program} {
		text, err := json.Marshal(shown)
		if err != nil || strings.Contains(string(text), "hush") || !strings.Contains(string(text), "REDIS_FEED") {
			t.Errorf("%T shows %s, %v", shown, text, err)
		}
	}
	earlier := httpapi.Upgrade{Agree: append(server.Agree, httpapi.UpgradeSetting{Name: "A_KEY", Value: "of a release in which it is none"})}
	for _, server := range []httpapi.Upgrade{server, earlier} {
		if drains, err := program.Outlook(server); drains != "" || err != nil {
			t.Errorf("the outlook is %q, %v", drains, err)
		}
	}
}
