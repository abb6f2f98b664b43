package app

import (
	"bytes"
	"context"
	"crypto/rand"
	"crypto/tls"
	"crypto/x509"
	"errors"
	"fmt"
	"log/slog"
	"os"
	"sync"
	"time"

	"roost/cmd/roost/internal/acme"
	"roost/cmd/roost/internal/authorities"
	"roost/cmd/roost/internal/config"
	"roost/cmd/roost/internal/textfile"
	"roost/cmd/roost/internal/tlscert"
	"roost/netpoll"
)

// tlsPort is what the port for wss:// shows and asks for. Static once opened, but for what is guarded by mu.
type tlsPort struct {
	server *netpoll.TLS
	files  *certificate  // nil with acme
	acme   *acme.Manager // nil with files
	log    *slog.Logger
	self   *selfCertificate // of this process, where clients have to show one; else nil

	ticketFile, caFile string // empty: none

	mu      sync.Mutex
	own     []tls.Certificate // guarded by mu: got by acme
	tickets ticketKeys        // guarded by mu
	cas     []byte            // guarded by mu: what was in caFile
	said    map[string]string // guarded by mu: the last error of each file
	failed  uint64            // guarded by mu: looks at ticketFile and caFile that failed
}

const (
	// ticketLife is how often a process's own key of session tickets is replaced.
	ticketLife = 24 * time.Hour
	// ticketsKept are how many of them are good, the new one among them: crypto/tls takes tickets for seven days.
	ticketsKept = 7
	// acmePatience is how long the start waits for certificates: the cache's are read within milliseconds, and others take longer than a start may.
	acmePatience = 2 * time.Second
	maxKeyFile   = 64 << 10
)

// ticketKeys are those of a file, or of this process.
type ticketKeys struct {
	text []byte // of the file
	keys [][32]byte
	made time.Time
}

// checkTLSPort reads the files of the port for wss://, as far as a start needs them. The error names the variables.
func checkTLSPort(cfg config.Config) (files *certificate, err error) {
	if !cfg.WSTLS() {
		return nil, nil
	}
	files, wrongFiles := readCertificate(socketWebSocket, "WS_TLS_CERT_FILE", cfg.WSTLSCertFile, "WS_TLS_KEY_FILE", cfg.WSTLSKeyFile)
	var wrongTickets, wrongCAs, wrongCache error
	if cfg.WSTLSTicketKeyFile != "" {
		_, _, wrongTickets = readTicketKeys(cfg.WSTLSTicketKeyFile)
	}
	if cfg.WSTLSClientCAFile != "" {
		_, _, wrongCAs = readClientCAs(cfg.WSTLSClientCAFile)
	}
	if len(cfg.WSTLSAcmeDomain) > 0 {
		wrongCache = checkACMECache(cfg)
	}
	return files, errors.Join(wrongFiles, wrongTickets, wrongCAs, wrongCache)
}

// acmeCache is the directory of the ACME client, which can be written to.
func acmeCache(cfg config.Config) (dir string, err error) {
	if dir, err = acme.CacheDir(cfg.WSTLSAcmeCache); err == nil {
		if err = acme.CheckCache(dir); err == nil {
			return dir, nil
		}
	}
	return "", fmt.Errorf("WS_TLS_ACME_CACHE: %w: name a directory that this user may write to", err)
}

// checkACMECache checks the directory of the ACME client where it is there already: who only looks at settings makes none.
func checkACMECache(cfg config.Config) error {
	dir, err := acme.CacheDir(cfg.WSTLSAcmeCache)
	if _, missing := os.Stat(dir); err == nil && os.IsNotExist(missing) {
		return nil
	}
	_, err = acmeCache(cfg)
	return err
}

func readTicketKeys(file string) (keys [][32]byte, text []byte, err error) {
	if text, err = textfile.Read(file, maxKeyFile); err == nil {
		keys, err = tlscert.TicketKeys(string(text))
	}
	if err != nil {
		return nil, nil, fmt.Errorf("WS_TLS_TICKET_KEY_FILE: %s: %w", file, err)
	}
	return keys, text, nil
}

func readClientCAs(file string) (pool *x509.CertPool, text []byte, err error) {
	pool = x509.NewCertPool()
	if text, err = authorities.AddFile(pool, file); err != nil {
		return nil, nil, fmt.Errorf("WS_TLS_CLIENT_CA_FILE: %w", err)
	}
	return pool, text, nil
}

// openTLSPort makes what the port for wss:// shows; nil where there is no such port.
func openTLSPort(cfg config.Config, log *slog.Logger) (*tlsPort, error) {
	files, err := checkTLSPort(cfg)
	if err != nil || !cfg.WSTLS() {
		return nil, err
	}
	p := &tlsPort{files: files, log: log, ticketFile: cfg.WSTLSTicketKeyFile, caFile: cfg.WSTLSClientCAFile, said: make(map[string]string)}
	options := netpoll.TLSOptions{MinVersion: tls.VersionTLS12}
	if cfg.WSTLSMinVersion == "1.3" {
		options.MinVersion = tls.VersionTLS13
	}
	if p.caFile != "" {
		if p.self, err = newSelfCertificate(); err != nil {
			return nil, err
		}
		if options.ClientCAs, p.cas, err = readClientCAs(p.caFile); err != nil {
			return nil, err
		}
		options.ClientCAs.AddCert(p.self.authority)
	}
	if files != nil {
		files.log = log
		options.Certificates = files.set.Set().Certificates
		files.use = func(set *tlscert.Set) { p.server.SetCertificates(set.Certificates) }
	} else if err := p.openACME(cfg, &options); err != nil {
		return nil, err
	}
	if p.server, err = netpoll.NewTLS(options); err != nil {
		return nil, err
	}
	if err := p.server.Light(); err != nil {
		log.Warn("connections of TLS 1.3 take 8 KB of memory each, in place of a few hundred bytes: this build of Go does not do what the light way needs", "error", err)
	}
	p.look(time.Now())
	return p, nil
}

// openACME makes the client of the ACME server.
func (p *tlsPort) openACME(cfg config.Config, options *netpoll.TLSOptions) error {
	dir, err := acmeCache(cfg)
	if err != nil {
		return err
	}
	p.acme, err = acme.New(acme.Config{
		Domains: cfg.WSTLSAcmeDomain, Email: cfg.WSTLSAcmeEmail, Directory: cfg.WSTLSAcmeDirectory, Cache: dir,
		Use: p.useACME, Logger: p.log,
	})
	if err != nil {
		return fmt.Errorf("WS_TLS_ACME_CACHE: %w", err)
	}
	options.GetCertificate = p.acme.GetCertificate
	options.Protocols = []string{"http/1.1", netpoll.AcmeProtocol}
	if cfg.WSTLSPort != 443 {
		p.log.Warn("the ACME server will connect to port 443 of the names: something has to lead from there to WS_TLS_PORT", "ws_tls_port", cfg.WSTLSPort)
	}
	return nil
}

// useACME takes new certificates from the ACME server.
func (p *tlsPort) useACME(got []tls.Certificate) {
	p.mu.Lock()
	p.own = got
	p.mu.Unlock()
	p.server.SetCertificates(got)
	for _, c := range got {
		p.log.Info("certificate", "port", socketWebSocket, "names", c.Leaf.DNSNames, "expires", moment(c.Leaf.NotAfter))
	}
}

// run gets certificates from the ACME server until ctx ends.
func (p *tlsPort) run(ctx context.Context) {
	if p.acme != nil {
		p.acme.Run(ctx)
	}
}

// awaitACME waits for the certificates that the cache has.
func (p *tlsPort) awaitACME(ctx context.Context) {
	if p == nil || p.acme == nil {
		return
	}
	select {
	case <-p.acme.Loaded():
	case <-time.After(acmePatience):
		p.log.Info("the certificate is not there yet: until it comes, TLS handshakes fail")
	case <-ctx.Done():
	}
}

// shown are the certificates that clients get now; none while the ACME server has made none.
func (p *tlsPort) shown() []tls.Certificate {
	if p.files != nil {
		return p.files.set.Set().Certificates
	}
	p.mu.Lock()
	defer p.mu.Unlock()
	return p.own
}

// selfConfig is for connections of this process to its own port: they believe the certificates that it shows, whatever they are for.
func (p *tlsPort) selfConfig() *tls.Config {
	c := &tls.Config{
		InsecureSkipVerify: true, // VerifyConnection compares
		VerifyConnection: func(state tls.ConnectionState) error {
			for _, own := range p.shown() {
				if bytes.Equal(own.Certificate[0], state.PeerCertificates[0].Raw) {
					return nil
				}
			}
			return errors.New("another process answers on our port, with another certificate")
		},
	}
	if p.self != nil {
		c.Certificates = []tls.Certificate{p.self.shown}
	}
	return c
}

// look takes what is new in the files of keys and authorities, and makes a new key of session tickets when it is time.
func (p *tlsPort) look(now time.Time) {
	p.mu.Lock()
	defer p.mu.Unlock()
	p.lookAtTickets(now)
	if p.caFile == "" {
		return
	}
	pool, text, err := readClientCAs(p.caFile)
	if p.tell("WS_TLS_CLIENT_CA_FILE", err) && !bytes.Equal(text, p.cas) {
		p.cas = text
		pool.AddCert(p.self.authority)
		p.server.SetClientCAs(pool)
		p.log.Info("the authorities of client certificates are read again")
	}
}

// lookAtTickets is look for the keys of session tickets. The caller holds mu.
func (p *tlsPort) lookAtTickets(now time.Time) {
	t := &p.tickets
	if p.ticketFile == "" {
		if now.Sub(t.made) < ticketLife {
			return
		}
		var key [32]byte
		_, _ = rand.Read(key[:]) // never fails: it ends the process where it would
		t.keys, t.made = append([][32]byte{key}, t.keys[:min(len(t.keys), ticketsKept-1)]...), now
		p.server.SetTicketKeys(t.keys)
		return
	}
	keys, text, err := readTicketKeys(p.ticketFile)
	if p.tell("WS_TLS_TICKET_KEY_FILE", err) && !bytes.Equal(text, t.text) {
		t.keys, t.text = keys, text
		p.server.SetTicketKeys(keys)
		p.log.Info("keys of session tickets", "keys", len(keys))
	}
}

// tell logs an error of a file once until it is another, counts it, and reports whether there is none. The caller holds mu.
func (p *tlsPort) tell(variable string, err error) (fine bool) {
	if err == nil {
		delete(p.said, variable)
		return true
	}
	p.failed++
	if p.said[variable] != err.Error() {
		p.said[variable] = err.Error()
		p.log.Error("a file for TLS can't be used, what was in it before stays", "variable", variable, "error", err)
	}
	return false
}

// expires is when the first certificate does; the zero time while there is none.
func (p *tlsPort) expires() (first time.Time) {
	if p.files != nil {
		return p.files.set.Set().Expires()
	}
	for _, c := range p.shown() {
		if first.IsZero() || c.Leaf.NotAfter.Before(first) {
			first = c.Leaf.NotAfter
		}
	}
	return first
}

// counts are how many new certificates were taken, and how often that failed.
func (p *tlsPort) counts() (ok, failed uint64) {
	if p.files != nil {
		ok, failed = p.files.ok.Load(), p.files.failed.Load()
	} else {
		ok, failed = p.acme.Counts()
	}
	p.mu.Lock()
	defer p.mu.Unlock()
	return ok, failed + p.failed
}
