// Package acme gets certificates from an ACME server such as Let's Encrypt (RFC 8555), and renews them. The server
// checks who owns a name by a TLS handshake with the port that the certificate is for (TLS-ALPN-01, RFC 8737), so nothing else has to be open.
//
// golang.org/x/crypto/acme/autocert does the protocol. It gets a certificate when a client asks for one, and has
// that client wait; here a goroutine of its own asks beforehand, and the port never waits: handshakes get what is there.
package acme

import (
	"cmp"
	"context"
	"crypto/tls"
	"errors"
	"fmt"
	"log/slog"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"sync/atomic"
	"time"

	"golang.org/x/crypto/acme"
	"golang.org/x/crypto/acme/autocert"

	"roost/internal/pause"
)

const (
	// lookEvery is how often autocert is asked, from memory, whether it has renewed a certificate.
	lookEvery = time.Minute
	// firstRetry is after how long a failed attempt is made again, and twice as long each time, up to lastRetry: Let's Encrypt allows five
	// failures an hour.
	firstRetry = 2 * time.Minute
	lastRetry  = time.Hour
)

// Config says what to get, and where.
type Config struct {
	Domains   []string
	Email     string // of whom the authority may write to; optional
	Directory string // URL; empty: Let's Encrypt
	Cache     string // the directory for account, keys and certificates, see CacheDir

	// Use gets the certificates whenever one of them is new, in the order of Domains, as far as they are there. Run's goroutine calls it.
	Use    func([]tls.Certificate)
	Logger *slog.Logger
}

// Manager gets and renews certificates while Run runs. Any goroutine.
type Manager struct {
	cfg     Config
	auto    *autocert.Manager
	certs   map[string]*tls.Certificate // owned by Run's goroutine
	failed  atomic.Uint64
	renewed atomic.Uint64
	first   chan struct{}
}

// CacheDir is the directory to keep things in: the given one, or what systemd gives (StateDirectory=), or the user's cache.
func CacheDir(given string) (string, error) {
	if given != "" {
		return given, nil
	}
	if state, _, _ := strings.Cut(os.Getenv("STATE_DIRECTORY"), ":"); state != "" {
		return filepath.Join(state, "acme"), nil
	}
	dir, err := os.UserCacheDir()
	if err != nil {
		return "", fmt.Errorf("no directory for certificates is named, and this user has none: %w", err)
	}
	return filepath.Join(dir, "roost-acme"), nil
}

// CheckCache makes the directory, and checks that this user can write to it.
func CheckCache(dir string) error {
	if err := os.MkdirAll(dir, 0o700); err != nil {
		return err
	}
	probe, err := os.CreateTemp(dir, ".probe-*")
	if err != nil {
		return fmt.Errorf("user %d can't write to it: %w", os.Geteuid(), err)
	}
	return errors.Join(probe.Close(), os.Remove(probe.Name()))
}

// New makes a Manager. The error is that of the cache.
func New(cfg Config) (*Manager, error) {
	if err := CheckCache(cfg.Cache); err != nil {
		return nil, err
	}
	return &Manager{
		cfg: cfg, certs: make(map[string]*tls.Certificate), first: make(chan struct{}),
		auto: &autocert.Manager{
			Prompt: autocert.AcceptTOS, Cache: autocert.DirCache(cfg.Cache), HostPolicy: autocert.HostWhitelist(cfg.Domains...),
			Email:  cfg.Email,
			Client: &acme.Client{DirectoryURL: cmp.Or(cfg.Directory, autocert.DefaultACMEDirectory), UserAgent: "roost"},
		},
	}, nil
}

// GetCertificate is for tls.Config: it answers challenges for Domains, and leaves everything else to the other certificates. It waits for
// nothing: a challenge's certificate is in memory, and where a stranger asks without one, a small file is looked for.
func (m *Manager) GetCertificate(hello *tls.ClientHelloInfo) (*tls.Certificate, error) {
	if !slices.Equal(hello.SupportedProtos, []string{acme.ALPNProto}) {
		return nil, nil
	}
	if !slices.Contains(m.cfg.Domains, strings.ToLower(hello.ServerName)) {
		return nil, fmt.Errorf("no certificate is wanted for %q", hello.ServerName)
	}
	return m.auto.GetCertificate(hello)
}

// Counts are how many certificates were got, or renewed, and how many attempts failed.
func (m *Manager) Counts() (renewed, failed uint64) { return m.renewed.Load(), m.failed.Load() }

// Loaded is closed when each domain was asked for once, which takes no time for those that the cache has.
func (m *Manager) Loaded() <-chan struct{} { return m.first }

// Run gets what is missing and renews what is old, until ctx ends.
func (m *Manager) Run(ctx context.Context) {
	next := make(map[string]time.Time)
	retry := make(map[string]time.Duration)
	var warned time.Time
	for first := true; ; first = false {
		changed := false
		for _, domain := range m.cfg.Domains {
			if time.Now().Before(next[domain]) {
				continue
			}
			isNew, err := m.ask(ctx, domain)
			switch {
			case ctx.Err() != nil:
				return
			case err != nil:
				wait := min(max(firstRetry, 2*retry[domain]), lastRetry)
				retry[domain], next[domain] = wait, time.Now().Add(wait)
				m.failed.Add(1)
				m.cfg.Logger.Error("no certificate from the ACME server", "domain", domain, "error", err, "again_in", wait.String())
			default:
				delete(retry, domain)
				changed = changed || isNew
			}
		}
		if changed {
			m.cfg.Use(m.list())
		}
		if first {
			close(m.first)
		}
		warned = m.warnOfLate(warned)
		if !pause.For(ctx, lookEvery) {
			return
		}
	}
}

// ask gets one certificate, from memory, from the cache, or from the ACME server, and reports whether it is another one than before. When ctx
// ends an attempt goes on alone.
func (m *Manager) ask(ctx context.Context, domain string) (isNew bool, err error) {
	type result struct {
		c   *tls.Certificate
		err error
	}
	got := make(chan result, 1)
	go func() {
		c, err := m.auto.GetCertificate(wanted(domain))
		got <- result{c, err}
	}()
	select {
	case <-ctx.Done():
		return false, ctx.Err()
	case r := <-got:
		if r.err != nil {
			return false, r.err
		}
		before := m.certs[domain]
		if before != nil && before.Leaf.Equal(r.c.Leaf) {
			return false, nil
		}
		m.certs[domain] = r.c
		m.renewed.Add(1)
		return true, nil
	}
}

// wanted is a client that asks for a domain's certificate and can check one of ECDSA.
func wanted(domain string) *tls.ClientHelloInfo {
	return &tls.ClientHelloInfo{
		ServerName: domain, CipherSuites: []uint16{tls.TLS_ECDHE_ECDSA_WITH_AES_128_GCM_SHA256},
		SignatureSchemes: []tls.SignatureScheme{tls.ECDSAWithP256AndSHA256}, SupportedCurves: []tls.CurveID{tls.CurveP256},
	}
}

// list is what is there.
func (m *Manager) list() (all []tls.Certificate) {
	for _, domain := range m.cfg.Domains {
		if c := m.certs[domain]; c != nil {
			all = append(all, *c)
		}
	}
	return all
}

// warnOfLate says, once a day, which certificates should have been renewed: autocert does that when a third of their time is
// left, and is silent when it fails.
func (m *Manager) warnOfLate(warned time.Time) time.Time {
	now := time.Now()
	if now.Sub(warned) < 24*time.Hour {
		return warned
	}
	for domain, c := range m.certs {
		lifetime := c.Leaf.NotAfter.Sub(c.Leaf.NotBefore)
		if left := c.Leaf.NotAfter.Sub(now); left < lifetime/4 {
			m.cfg.Logger.Warn("a certificate should have been renewed by now, and it will be tried again", "domain", domain, "expires", c.Leaf.NotAfter.UTC().Format(time.RFC3339))
			warned = now
		}
	}
	return warned
}
