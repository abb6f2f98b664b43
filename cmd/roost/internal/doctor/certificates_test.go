package doctor

import (
	"slices"
	"testing"
	"testing/fstest"
)

// A certificate is as bad as the worst of its problems, and all of them are named.
func TestCertificates(t *testing.T) {
	t.Parallel()
	warning, fatal := CertificateProblem{Text: "it expires in 5 days"}, CertificateProblem{Text: "it is for another name", Fatal: true}
	for _, test := range []struct {
		problems []CertificateProblem
		state    State
		note     string
	}{
		{nil, OK, ""},
		{[]CertificateProblem{warning}, Warn, "it expires in 5 days"},
		{[]CertificateProblem{fatal}, Bad, "it is for another name"},
		{[]CertificateProblem{warning, fatal}, Bad, "it expires in 5 days; it is for another name"},
		{[]CertificateProblem{fatal, warning}, Bad, "it is for another name; it expires in 5 days"},
	} {
		f := Certificate{Source: "WS_TLS_CERT_FILE", Found: "example.com", Problems: test.problems}.finding()
		if f.State != test.state || f.Note != test.note || f.Wall || f.Source != "WS_TLS_CERT_FILE" || f.Found != "example.com" {
			t.Errorf("%v: %+v, want %s, %q", test.problems, f, test.state, test.note)
		}
	}
}

// The report has a finding for each certificate of the settings.
func TestCertificatesAreInTheReport(t *testing.T) {
	t.Parallel()
	ask := Ask{Connections: 1, MaxConnections: 1, Certificates: []Certificate{{Source: "one"}, {Source: "two", Problems: []CertificateProblem{{Text: "expired", Fatal: true}}}}}
	report := Judge(ReadHost(fstest.MapFS{}, 1), ask)
	var states []State
	for _, f := range report.Findings {
		if f.Name == "certificate" {
			states = append(states, f.State)
		}
	}
	if !slices.Equal(states, []State{OK, Bad}) {
		t.Errorf("%v", states)
	}
}
