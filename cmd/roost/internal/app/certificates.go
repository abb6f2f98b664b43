package app

import (
	"context"
	"crypto/tls"
	"crypto/x509"
	"errors"
	"fmt"
	"log/slog"
	"slices"
	"strings"
	"sync/atomic"
	"time"

	"roost/cmd/roost/internal/config"
	"roost/cmd/roost/internal/doctor"
	"roost/cmd/roost/internal/tlscert"
	"roost/netpoll"
)

// lookEvery is how often the files of certificates are looked at. They are renewed by programs that signal nobody.
const lookEvery = time.Minute

// tellEvery is how often the log says what is wrong with a certificate.
const tellEvery = 24 * time.Hour

// certificates are those of the ports that speak TLS. Any goroutine, once loaded.
type certificates struct {
	http *certificate // nil: the admin server speaks plain HTTP
	ws   *tlsPort     // nil: there is no wss://
}

// certificate is what one port shows: one or several certificates, for different names.
type certificate struct {
	port      string // as the log and metrics name it
	variables string
	set       *tlscert.Reloader
	use       func(*tlscert.Set) // hands a new set to the server; nil: the server asks each time
	log       *slog.Logger

	said       atomic.Pointer[string] // the last error in the log; nil after a success
	told       atomic.Int64           // when the log last said what is wrong with the certificate, in Unix seconds
	ok, failed atomic.Uint64
}

// readCertificates reads the files without serving them. The error names the variables.
func readCertificates(cfg config.Config) (certificates, error) {
	var all certificates
	var wrongHTTP, wrongWS error
	all.http, wrongHTTP = readCertificate(socketHTTP, "HTTP_TLS_CERT_FILE", cfg.HTTPTLSCertFile, "HTTP_TLS_KEY_FILE", cfg.HTTPTLSKeyFile)
	files, wrongWS := checkTLSPort(cfg)
	if files != nil {
		all.ws = &tlsPort{files: files}
	}
	return all, errors.Join(wrongHTTP, wrongWS)
}

// readCertificate is nil where no files are named.
func readCertificate(port, certName, certs, keyName, keys string) (*certificate, error) {
	pairs, err := tlscert.Pairs(certName, certs, keyName, keys)
	if err != nil || len(pairs) == 0 {
		return nil, err
	}
	set, err := tlscert.NewReloader(pairs)
	if err != nil {
		return nil, fmt.Errorf("%s, %s: %w", certName, keyName, err)
	}
	return &certificate{port: port, variables: certName + ", " + keyName, set: set}, nil
}

// loadCertificates reads the files, and logs what clients will get.
func loadCertificates(cfg config.Config, log *slog.Logger) (certificates, error) {
	all, err := readCertificates(cfg)
	if err != nil {
		return all, err
	}
	if all.ws, err = openTLSPort(cfg, log); err != nil {
		return all, err
	}
	for _, c := range all.each() {
		c.log = log
		c.tell("certificate")
	}
	return all, nil
}

// each lists those that there are.
func (all certificates) each() (list []*certificate) {
	if all.http != nil {
		list = append(list, all.http)
	}
	if all.ws != nil && all.ws.files != nil {
		list = append(list, all.ws.files)
	}
	return list
}

// server is netpoll's part; nil without wss://.
func (all certificates) server() *netpoll.TLS {
	if all.ws == nil {
		return nil
	}
	return all.ws.server
}

func (all certificates) any() bool { return all.http != nil || all.ws != nil }

// watch looks at the files every minute until ctx ends.
func (all certificates) watch(ctx context.Context) {
	ticker := time.NewTicker(lookEvery)
	defer ticker.Stop()
	for {
		select {
		case <-ctx.Done():
			return
		case <-ticker.C:
			all.look()
		}
	}
}

// look takes what is new in the files.
func (all certificates) look() {
	for _, c := range all.each() {
		c.look(time.Now())
	}
	if all.ws != nil {
		all.ws.look(time.Now())
	}
}

// expire is the time that is left, by port; nil without TLS.
func (all certificates) expire(now time.Time) map[string]time.Duration {
	left := make(map[string]time.Duration)
	if all.http != nil {
		left[socketHTTP] = all.http.set.Set().Expires().Sub(now)
	}
	if all.ws != nil {
		left[socketWebSocket] = 0 // while the ACME server has made none
		if first := all.ws.expires(); !first.IsZero() {
			left[socketWebSocket] = first.Sub(now)
		}
	}
	return left
}

// reloads counts looks, by result; nil without TLS.
func (all certificates) reloads() map[string]uint64 {
	if !all.any() {
		return nil
	}
	var ok, failed uint64
	if all.http != nil {
		ok, failed = all.http.ok.Load(), all.http.failed.Load()
	}
	if all.ws != nil {
		more, moreFailed := all.ws.counts()
		ok, failed = ok+more, failed+moreFailed
	}
	return map[string]uint64{"ok": ok, "failed": failed}
}

// config is for a port that net/http serves; nil for none.
func (c *certificate) config() *tls.Config {
	if c == nil {
		return nil
	}
	return &tls.Config{MinVersion: tls.VersionTLS12, GetCertificate: func(hello *tls.ClientHelloInfo) (*tls.Certificate, error) {
		return c.set.Set().Choose(hello)
	}}
}

// look takes what is new in the files. An error is logged once until it is another.
func (c *certificate) look(now time.Time) {
	changed, err := c.set.Reload(now)
	if err != nil {
		c.failed.Add(1)
		text := err.Error()
		if before := c.said.Swap(&text); before == nil || *before != text {
			c.log.Error("the certificate is not renewed, the old one stays", "port", c.port, "variables", c.variables, "error", err,
				"expires", moment(c.set.Set().Expires()))
		}
		return
	}
	mended := c.said.Swap(nil) != nil
	switch {
	case changed:
		c.ok.Add(1)
		if c.use != nil {
			c.use(c.set.Set())
		}
		c.tell("the certificate is renewed")
	case mended:
		c.log.Info("the certificate's files are good again", "port", c.port)
	}
	if now.Unix()-c.told.Load() >= int64(tellEvery.Seconds()) {
		c.tellProblems(now)
	}
}

// tell logs what is served, and what is wrong with it.
func (c *certificate) tell(message string) {
	set := c.set.Set()
	c.log.Info(message, "port", c.port, "names", set.Names(), "expires", moment(set.Expires()))
	c.tellProblems(time.Now())
}

// tellProblems logs problems of the certificates in use: at the start, and once a day, since certificates get old.
func (c *certificate) tellProblems(now time.Time) {
	c.told.Store(now.Unix())
	for _, problem := range c.set.Set().Problems(now, nil, systemRoots()) {
		level := slog.LevelWarn
		if problem.Fatal {
			level = slog.LevelError
		}
		c.log.Log(context.Background(), level, "the certificate of a port", "port", c.port, "file", problem.File, "problem", problem.Text)
	}
}

// InspectCertificates reads the certificates of a configuration, and says what is wrong with them. names are those that clients use in wss://.
func InspectCertificates(cfg config.Config, names []string) (found []doctor.Certificate) {
	all, err := readCertificates(cfg)
	for _, c := range all.each() {
		set := c.set.Set()
		one := doctor.Certificate{Source: c.variables, Found: "for " + strings.Join(set.Names(), ", ") + ", until " + moment(set.Expires())}
		var wanted []string
		if c.port == socketWebSocket {
			wanted = names
		}
		for _, p := range set.Problems(time.Now(), wanted, systemRoots()) {
			one.Problems = append(one.Problems, doctor.CertificateProblem{Text: p.String(), Fatal: p.Fatal})
		}
		found = append(found, one)
	}
	if len(cfg.WSTLSAcmeDomain) > 0 {
		found = append(found, inspectACME(cfg, names))
	}
	if err != nil {
		found = append(found, doctor.Certificate{Source: "TLS", Found: "can't be used", Problems: []doctor.CertificateProblem{{Text: err.Error(), Fatal: true}}})
	}
	return found
}

// inspectACME says what can be known before the ACME server is asked.
func inspectACME(cfg config.Config, names []string) doctor.Certificate {
	one := doctor.Certificate{Source: "WS_TLS_ACME_DOMAIN", Found: "for " + strings.Join(cfg.WSTLSAcmeDomain, ", ") + ", from the ACME server"}
	if cfg.WSTLSPort != 443 {
		one.Problems = append(one.Problems, doctor.CertificateProblem{Text: fmt.Sprintf("the ACME server connects to port 443 of the names: something has to lead from there to WS_TLS_PORT, %d", cfg.WSTLSPort)})
	}
	for _, name := range names {
		if !slices.Contains(cfg.WSTLSAcmeDomain, name) {
			one.Problems = append(one.Problems, doctor.CertificateProblem{Fatal: true, Text: "WS_TLS_ACME_DOMAIN does not have " + name})
		}
	}
	return one
}

func moment(t time.Time) string { return t.UTC().Format(time.RFC3339) }

// systemRoots are what this host trusts. A host without any, such as a container of scratch, says nothing of chains.
func systemRoots() *x509.CertPool {
	roots, err := x509.SystemCertPool()
	if err != nil || roots.Equal(x509.NewCertPool()) {
		return nil
	}
	return roots
}
