package remote

import (
	"crypto/tls"
	"crypto/x509"
	"io"
	"log"
	"net/http"
	"net/http/httptest"
	"strings"
	"testing"

	"roost/redisfeed/redistest"
)

// secure serves with a certificate until the test ends, and returns its address and its certificate.
func secure(t *testing.T, made redistest.Certificate) (address string, leaf *x509.Certificate) {
	t.Helper()
	pair, err := tls.LoadX509KeyPair(made.File, made.Key)
	if err != nil {
		t.Fatal(err)
	}
	server := httptest.NewUnstartedServer(http.HandlerFunc(func(w http.ResponseWriter, _ *http.Request) {}))
	server.TLS = &tls.Config{Certificates: []tls.Certificate{pair}}
	server.Config.ErrorLog = log.New(io.Discard, "", 0)
	server.StartTLS()
	t.Cleanup(server.Close)
	return server.Listener.Addr().String(), pair.Leaf
}

func TestTrust(t *testing.T) {
	t.Parallel()
	ours, other := redistest.NewAuthority(t), redistest.NewAuthority(t)
	address, leaf := secure(t, ours.Issue("ws.example.com"))
	_, stranger := secure(t, other.Issue("ws.example.com"))
	_, predecessor := secure(t, ours.Issue("ws.example.com"))
	_, another := secure(t, ours.Issue("another.example.com"))
	for _, test := range []struct {
		name  string
		trust Trust
		want  string // empty: it is believed
	}{
		{"nobody", Trust{Name: "ws.example.com"}, "no authority that this system trusts has signed it"},
		{"the authority, for another name than the address", Trust{CAFile: ours.File}, "127.0.0.1"},
		{"the authority, for the name", Trust{CAFile: ours.File, Name: "ws.example.com"}, ""},
		{"another authority", Trust{CAFile: other.File, Name: "ws.example.com"}, "no authority"},
		{"its own", Trust{Own: []*x509.Certificate{leaf}}, ""},
		{"its own among others", Trust{Own: []*x509.Certificate{stranger, leaf}}, ""},
		{"another's", Trust{Own: []*x509.Certificate{stranger}}, "not the one in the settings' files"},
		{"one that it replaces", Trust{Own: []*x509.Certificate{predecessor}, CAFile: ours.File}, ""},
		{"one that it replaces, of an authority that is not trusted", Trust{Own: []*x509.Certificate{predecessor}}, "not the one in the settings' files"},
		{"one for another name", Trust{Own: []*x509.Certificate{another}, CAFile: ours.File}, "not the one in the settings' files"},
	} {
		client, err := test.trust.Client()
		if err != nil {
			t.Fatal(err)
		}
		response, err := client.Get("https://" + address)
		if err == nil {
			_ = response.Body.Close()
		} else {
			err = Unreachable(address, "--url", err)
		}
		client.CloseIdleConnections()
		switch {
		case test.want == "" && err != nil:
			t.Errorf("%s: %v", test.name, err)
		case test.want != "" && (err == nil || !strings.Contains(err.Error(), test.want)):
			t.Errorf("%s: %v, want %q", test.name, err, test.want)
		}
	}
	for file, want := range map[string]string{"/nowhere/ca.pem": "no such file", ours.Issue("x").Key: "has no certificate in it"} {
		if _, err := (Trust{CAFile: file}).Client(); err == nil || !strings.Contains(err.Error(), want) {
			t.Errorf("%s: %v", file, err)
		}
	}
}
