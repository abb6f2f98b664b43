package config

import (
	"fmt"
	"net/mail"
	"net/netip"
	"strings"
)

// acmePort is the port that ACME servers connect to for TLS-ALPN-01 (RFC 8737 section 3), and so the default where they have to.
const acmePort = 443

// tlsConflicts finds the variables about TLS that need others beside them, or get in their way.
func (c Config) tlsConflicts(add func(wrong bool, name, other, value, want string)) {
	add(c.WSTLSCertFile != "" && len(c.WSTLSAcmeDomain) > 0, "WS_TLS_ACME_DOMAIN", "WS_TLS_CERT_FILE", strings.Join(c.WSTLSAcmeDomain, ","),
		"one of WS_TLS_ACME_DOMAIN and WS_TLS_CERT_FILE: certificates are either got, or read from files")
	add(!c.WSPlain && !c.WSTLS(), "WS_PLAIN", "WS_TLS_CERT_FILE", "false", "WS_TLS_CERT_FILE and WS_TLS_KEY_FILE, or WS_TLS_ACME_DOMAIN, beside it: else no port is left")
	for _, v := range []struct{ name, value string }{
		{"WS_TLS_TICKET_KEY_FILE", c.WSTLSTicketKeyFile}, {"WS_TLS_CLIENT_CA_FILE", c.WSTLSClientCAFile}, {"WS_TLS_HOST", c.WSTLSHost},
	} {
		add(v.value != "" && !c.WSTLS(), v.name, "WS_TLS_CERT_FILE", v.value, "WS_TLS_CERT_FILE and WS_TLS_KEY_FILE beside it: without a certificate there is no TLS")
	}
	for _, v := range []struct{ name, value string }{{"WS_TLS_ACME_EMAIL", c.WSTLSAcmeEmail}, {"WS_TLS_ACME_CACHE", c.WSTLSAcmeCache}, {"WS_TLS_ACME_DIRECTORY", c.WSTLSAcmeDirectory}} {
		add(v.value != "" && len(c.WSTLSAcmeDomain) == 0, v.name, "WS_TLS_ACME_DOMAIN", v.value, "WS_TLS_ACME_DOMAIN beside it, the names that certificates are for")
	}
	if !c.WSTLS() || c.WSTLSPort == 0 {
		return
	}
	tlsHost := c.WSTLSHost
	if tlsHost == "" {
		tlsHost = c.WSHost
	}
	add(c.WSPlain && c.WSTLSPort == c.WSPort && overlap(tlsHost, c.WSHost), "WS_TLS_PORT", "WS_PORT", fmt.Sprint(c.WSTLSPort),
		"a port that WS_PORT does not have already, or WS_PLAIN=false beside it")
	add(c.WSTLSPort == c.HTTPPort && overlap(tlsHost, c.HTTPHost), "WS_TLS_PORT", "HTTP_PORT", fmt.Sprint(c.WSTLSPort),
		"a port that HTTP_PORT does not have already")
}

// notDomain says whether s is anything but a name that an ACME server makes a certificate for by TLS-ALPN-01.
func notDomain(s string) bool {
	if _, err := netip.ParseAddr(s); err == nil {
		return true
	}
	name := strings.TrimSuffix(s, ".")
	return !host(s) || !strings.Contains(name, ".") || strings.ContainsAny(s, "*,;")
}

func email(s string) bool {
	a, err := mail.ParseAddress(s)
	return err == nil && a.Address == s
}
