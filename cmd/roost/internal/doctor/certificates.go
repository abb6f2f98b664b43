package doctor

import (
	"fmt"
	"strings"

	"roost/cmd/roost/internal/sizing"
)

// Certificate is one that the settings name, read and checked by the caller.
type Certificate struct {
	Source   string // the variables
	Found    string // for whom it is and until when
	Problems []CertificateProblem
}

// CertificateProblem is what is wrong with a certificate.
type CertificateProblem struct {
	Text  string
	Fatal bool // clients refuse it, or Roost can't start
}

// Texts are those of the problems.
func (c Certificate) Texts() (all []string) {
	for _, p := range c.Problems {
		all = append(all, p.Text)
	}
	return all
}

// finding judges a certificate.
func (c Certificate) finding() Finding {
	f := Finding{Name: "certificate", Source: c.Source, Found: c.Found, State: OK, Note: strings.Join(c.Texts(), "; ")}
	for _, p := range c.Problems {
		switch {
		case p.Fatal:
			f.State = Bad
		case f.State == OK:
			f.State = Warn
		}
	}
	return f
}

// oldTLS says what clients of TLS 1.2 cost. Those of 1.3 are in the figures.
func oldTLS(ask Ask) Finding {
	return Finding{Name: "TLS 1.2 clients", Source: "WS_TLS_MIN_VERSION", Found: "1.2", State: Info,
		Note: fmt.Sprintf("each takes %d KiB more than one of TLS 1.3, %s if all were: roost_tls_connections counts them",
			sizing.PerOldTLS>>10, mebibytes(uint64(ask.Connections)*sizing.PerOldTLS))}
}
