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

// Where TLS 1.2 is served the report says what that costs, and nowhere else.
func TestOldTLSIsInTheReport(t *testing.T) {
	t.Parallel()
	for _, old := range []bool{false, true} {
		report := Judge(ReadHost(fstest.MapFS{}, 1), Ask{Connections: 100_000, MaxConnections: 1, OldTLS: old})
		i := slices.IndexFunc(report.Findings, func(f Finding) bool { return f.Source == "WS_TLS_MIN_VERSION" })
		if (i >= 0) != old {
			t.Errorf("with TLS 1.2 served %v the finding is at %d", old, i)
		}
		if i >= 0 && (report.Findings[i].State != Info || report.Findings[i].Note != "each takes 8 KiB more than one of TLS 1.3, 781 MiB if all were: roost_tls_connections counts them") {
			t.Errorf("%+v", report.Findings[i])
		}
	}
}
