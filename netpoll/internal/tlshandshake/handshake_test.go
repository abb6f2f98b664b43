package tlshandshake

import (
	"bytes"
	"crypto/ecdsa"
	"crypto/elliptic"
	"crypto/rand"
	"crypto/tls"
	"crypto/x509"
	"errors"
	"fmt"
	"io"
	"math/big"
	"strings"
	"testing"
	"time"

	"go.uber.org/goleak"

	"roost/netpoll/internal/tlsrecord"
)

// A parked handshake that is not closed is a goroutine that never ends.
func TestMain(m *testing.M) { goleak.VerifyTestMain(m) }

func TestSelfTest(t *testing.T) {
	if err := selfTest(); err != nil {
		t.Fatal(err)
	}
}

func certificate(t testing.TB, name string) tls.Certificate {
	t.Helper()
	c, err := selfSigned(name)
	if err != nil {
		t.Fatal(err)
	}
	return c
}

func testServer(t testing.TB, o Options) *Server {
	t.Helper()
	if o.Certificates == nil {
		o.Certificates = []tls.Certificate{certificate(t, "one.test"), certificate(t, "two.test")}
	}
	s, err := New(o)
	if err != nil {
		t.Fatal(err)
	}
	if s.Light() != nil {
		t.Fatal(s.Light())
	}
	return s
}

// exchange sends text to the client and back, and then ends the connection, over either kind of result.
func exchange(t testing.TB, client *memoryClient, r Result) {
	t.Helper()
	cache := tlsrecord.NewCache(1)
	sealText := func(text string) ([]byte, error) {
		if r.Light != nil {
			return r.Light.Seal(nil, []byte(text), cache)
		}
		return r.Heavy.Seal(nil, []byte(text))
	}
	open := func(in []byte) (string, error) {
		if r.Light != nil {
			plain, _, err := r.Light.Open(in, cache)
			return string(plain), err
		}
		plain, err := r.Heavy.Open(nil, in)
		return string(plain), err
	}
	for i := range 3 {
		text := strings.Repeat(fmt.Sprint("text ", i), 1+i*1000)
		sealed, err := sealText(text)
		if err != nil {
			t.Fatal(err)
		}
		back, err := client.echo(sealed, len(text))
		if err != nil {
			t.Fatal(err)
		}
		if got, err := open(append(r.Leftover, back...)); got != text || err != nil {
			t.Fatalf("%d bytes came back of %d, %v", len(got), len(text), err)
		}
		r.Leftover = nil
	}
	var last []byte
	if r.Light != nil {
		last = r.Light.CloseNotify(nil, cache)
	} else {
		last = r.Heavy.CloseNotify(nil)
	}
	if _, err := client.echo(last, 1); err != io.EOF {
		t.Errorf("the client took close_notify as %v", err)
	}
	if _, err := sealText("more"); err != tlsrecord.ErrClosed {
		t.Errorf("sealed after close_notify: %v", err)
	}
	_ = client.conn.CloseWrite()
	if got, err := open(client.t.take()); got != "" || err != tlsrecord.ErrCloseNotify {
		t.Errorf("the client's close_notify was %q, %v", got, err)
	}
}

// connectTwice does a full handshake and a resumed one.
func connectTwice(t *testing.T, s *Server, config *tls.Config, check func(Result, bool)) {
	t.Helper()
	config.InsecureSkipVerify = true
	config.ClientSessionCache = tls.NewLRUClientSessionCache(1)
	if config.ServerName == "" {
		config.ServerName = "one.test"
	}
	for _, resumed := range []bool{false, true} {
		client := newMemoryClient(config)
		r, err := client.connect(s)
		if err != nil {
			client.stop()
			t.Fatalf("resumed %v: %v", resumed, err)
		}
		if r.Resumed != resumed || r.ServerName != config.ServerName {
			t.Errorf("resumed %v, want %v; for %q", r.Resumed, resumed, r.ServerName)
		}
		check(r, resumed)
		exchange(t, client, r)
		client.stop()
	}
}

func TestVersions(t *testing.T) {
	s := testServer(t, Options{})
	t.Run("1.3", func(t *testing.T) {
		connectTwice(t, s, &tls.Config{}, func(r Result, _ bool) {
			if r.Light == nil || r.Heavy != nil || r.Version != tls.VersionTLS13 || r.Suite != r.Light.Suite() {
				t.Errorf("%+v", r)
			}
		})
	})
	t.Run("1.2", func(t *testing.T) {
		connectTwice(t, s, &tls.Config{MaxVersion: tls.VersionTLS12}, func(r Result, _ bool) {
			if r.Heavy == nil || r.Light != nil || r.Version != tls.VersionTLS12 {
				t.Errorf("%+v", r)
			}
		})
	})
	t.Run("1.3 where the light way does not work", func(t *testing.T) {
		heavy := testServer(t, Options{})
		heavy.heavy = errors.New("for this test")
		connectTwice(t, heavy, &tls.Config{}, func(r Result, _ bool) {
			if r.Heavy == nil || r.Light != nil || r.Version != tls.VersionTLS13 {
				t.Errorf("%+v", r)
			}
		})
	})
	t.Run("1.3 with a HelloRetryRequest", func(t *testing.T) {
		retry := testServer(t, Options{})
		retry.change(func(c *tls.Config) { c.CurvePreferences = []tls.CurveID{tls.CurveP256} })
		config := &tls.Config{CurvePreferences: []tls.CurveID{tls.X25519, tls.CurveP256}}
		connectTwice(t, retry, config, func(r Result, _ bool) {
			if r.Light == nil {
				t.Errorf("%+v", r)
			}
		})
		client := newMemoryClient(config)
		defer client.stop()
		if _, err := client.connect(retry); err != nil || !client.conn.ConnectionState().HelloRetryRequest {
			t.Errorf("there was no HelloRetryRequest, %v", err)
		}
	})
}

// wants checks that a handshake failed with an alert, and that the client has heard the same.
func wants(t *testing.T, s *Server, config *tls.Config, alert tlsrecord.Alert, remote bool) {
	t.Helper()
	client := newMemoryClient(config)
	defer client.stop()
	_, err := client.connect(s)
	var got *tlsrecord.Error
	if !errors.As(err, &got) || got.Alert != alert || got.Remote != remote {
		t.Errorf("the server says %v, want %v, remote %v", err, alert, remote)
	}
	if !remote {
		if client.next(); client.err == nil && client.conn.ConnectionState().HandshakeComplete {
			_, client.err = client.conn.Read(make([]byte, 1))
		}
		if client.err == nil || !strings.Contains(client.err.Error(), tls.AlertError(alert).Error()) {
			t.Errorf("the client heard %v, want %v", client.err, tls.AlertError(alert))
		}
	}
}

func TestAlertsOfTheHandshake(t *testing.T) {
	s := testServer(t, Options{})
	only13 := testServer(t, Options{MinVersion: tls.VersionTLS13})
	insecure := func(c *tls.Config) *tls.Config { c.InsecureSkipVerify = true; return c }
	wants(t, only13, insecure(&tls.Config{MaxVersion: tls.VersionTLS12}), 70, false)
	wants(t, s, insecure(&tls.Config{MinVersion: tls.VersionTLS10, MaxVersion: tls.VersionTLS11}), 70, false)
	wants(t, s, insecure(&tls.Config{NextProtos: []string{"mqtt"}}), 120, false)
	wants(t, s, insecure(&tls.Config{MaxVersion: tls.VersionTLS12, NextProtos: []string{"mqtt"}}), 120, false)
	wants(t, s, insecure(&tls.Config{MaxVersion: tls.VersionTLS12, CipherSuites: []uint16{tls.TLS_ECDHE_RSA_WITH_AES_128_GCM_SHA256}}), 40, false)
	wants(t, s, &tls.Config{ServerName: "one.test"}, 42, true) // the client does not trust the certificate
	wants(t, s, &tls.Config{ServerName: "one.test", MaxVersion: tls.VersionTLS12}, 42, true)
}

func TestCertificateByName(t *testing.T) {
	s := testServer(t, Options{})
	for name, want := range map[string]string{"one.test": "one.test", "two.test": "two.test", "three.test": "one.test", "": "one.test"} {
		for _, version := range []uint16{tls.VersionTLS12, tls.VersionTLS13} {
			client := newMemoryClient(&tls.Config{InsecureSkipVerify: true, ServerName: name, MaxVersion: version})
			r, err := client.connect(s)
			if err != nil {
				t.Fatal(err)
			}
			if got := client.conn.ConnectionState().PeerCertificates[0].DNSNames[0]; got != want || r.ServerName != name {
				t.Errorf("who asks for %q gets %q, want %q", name, got, want)
			}
			client.stop()
		}
	}
	s.SetCertificates([]tls.Certificate{certificate(t, "renewed.test")})
	client := newMemoryClient(&tls.Config{InsecureSkipVerify: true})
	defer client.stop()
	if _, err := client.connect(s); err != nil || client.conn.ConnectionState().PeerCertificates[0].DNSNames[0] != "renewed.test" {
		t.Errorf("the certificate was not replaced, %v", err)
	}
}

func TestProtocols(t *testing.T) {
	s := testServer(t, Options{Protocols: []string{"http/1.1", "acme-tls/1"}})
	for _, test := range []struct {
		offered []string
		want    string
	}{{nil, ""}, {[]string{"http/1.1"}, "http/1.1"}, {[]string{"h2", "http/1.1"}, "http/1.1"}, {[]string{"acme-tls/1"}, "acme-tls/1"}} {
		client := newMemoryClient(&tls.Config{InsecureSkipVerify: true, NextProtos: test.offered})
		if r, err := client.connect(s); err != nil || r.Protocol != test.want {
			t.Errorf("offered %v: %q, %v", test.offered, r.Protocol, err)
		}
		client.stop()
	}
}

func TestTicketsOfOtherInstances(t *testing.T) {
	certificates := []tls.Certificate{certificate(t, "one.test")}
	a, b := testServer(t, Options{Certificates: certificates}), testServer(t, Options{Certificates: certificates})
	config := &tls.Config{InsecureSkipVerify: true, ServerName: "one.test", ClientSessionCache: tls.NewLRUClientSessionCache(1)}
	connect := func(s *Server) bool {
		t.Helper()
		client := newMemoryClient(config)
		defer client.stop()
		r, err := client.connect(s)
		if err != nil {
			t.Fatal(err)
		}
		exchange(t, client, r)
		return r.Resumed
	}
	first, second := newTicketKey(), newTicketKey()
	if connect(a) || connect(b) {
		t.Error("resumed with a key of another")
	}
	a.SetTicketKeys([][32]byte{first})
	b.SetTicketKeys([][32]byte{second, first})
	connect(a)
	if !connect(b) { // takes tickets of a, and gives one of its own
		t.Error("not resumed with the second key")
	}
	if connect(a) {
		t.Error("resumed with a key it does not have")
	}
	b.SetCertificates([]tls.Certificate{certificate(t, "one.test")})
	if !connect(b) {
		t.Error("not resumed after the certificate was renewed")
	}
}

// authority makes a CA and a client's certificate of it.
func authority(t *testing.T) (*x509.CertPool, tls.Certificate) {
	t.Helper()
	caKey, _ := ecdsa.GenerateKey(elliptic.P256(), rand.Reader)
	ca := &x509.Certificate{SerialNumber: big.NewInt(1), NotAfter: time.Now().Add(time.Hour), IsCA: true, BasicConstraintsValid: true, KeyUsage: x509.KeyUsageCertSign}
	der, err := x509.CreateCertificate(rand.Reader, ca, ca, caKey.Public(), caKey)
	if err != nil {
		t.Fatal(err)
	}
	ca, _ = x509.ParseCertificate(der)
	key, _ := ecdsa.GenerateKey(elliptic.P256(), rand.Reader)
	leaf := &x509.Certificate{SerialNumber: big.NewInt(2), NotAfter: time.Now().Add(time.Hour), ExtKeyUsage: []x509.ExtKeyUsage{x509.ExtKeyUsageClientAuth}}
	der, err = x509.CreateCertificate(rand.Reader, leaf, ca, key.Public(), caKey)
	if err != nil {
		t.Fatal(err)
	}
	pool := x509.NewCertPool()
	pool.AddCert(ca)
	return pool, tls.Certificate{Certificate: [][]byte{der}, PrivateKey: key}
}

func TestClientCertificates(t *testing.T) {
	pool, good := authority(t)
	_, strange := authority(t)
	s := testServer(t, Options{ClientCAs: pool})
	for version, light := range map[uint16]bool{tls.VersionTLS12: false, tls.VersionTLS13: true} {
		connectTwice(t, s, &tls.Config{MaxVersion: version, Certificates: []tls.Certificate{good}}, func(r Result, _ bool) {
			if (r.Light != nil) != light {
				t.Errorf("%s: light %v", tls.VersionName(version), r.Light != nil)
			}
		})
	}
	wants(t, s, &tls.Config{InsecureSkipVerify: true}, 116, false)
	wants(t, s, &tls.Config{InsecureSkipVerify: true, MaxVersion: tls.VersionTLS12}, 40, false)
	wants(t, s, &tls.Config{InsecureSkipVerify: true, GetClientCertificate: func(*tls.CertificateRequestInfo) (*tls.Certificate, error) { return &strange, nil }}, 48, false)
	s.SetClientCAs(nil)
	connectTwice(t, s, &tls.Config{MaxVersion: tls.VersionTLS13}, func(Result, bool) {})
	s.SetClientCAs(pool)
	wants(t, s, &tls.Config{InsecureSkipVerify: true}, 116, false)
}

// feed does the server's side for bytes that were recorded, and returns what it said.
func feed(h *Handshake, pieces ...[]byte) (Status, error) {
	status := NeedInput
	for _, piece := range pieces {
		var err error
		if status, err = h.Feed(piece); err == nil && status == NeedRun {
			status, err = h.Run()
		}
		if err != nil {
			return status, err
		}
	}
	return status, nil
}

// helloOf is what a client sends first.
func helloOf(t testing.TB, config *tls.Config) (*memoryClient, []byte) {
	t.Helper()
	config.InsecureSkipVerify = true
	client := newMemoryClient(config)
	t.Cleanup(client.stop)
	client.next()
	return client, bytes.Clone(client.t.take())
}

// A client may send its bytes one by one; each way to serve it is tried.
func TestByteByByte(t *testing.T) {
	pool, good := authority(t)
	certified := testServer(t, Options{ClientCAs: pool})
	retry := testServer(t, Options{})
	retry.change(func(c *tls.Config) { c.CurvePreferences = []tls.CurveID{tls.CurveP256} })
	heavy := testServer(t, Options{})
	heavy.heavy = errors.New("for this test")
	for _, test := range []struct {
		name   string
		s      *Server
		config *tls.Config
	}{
		{"light", testServer(t, Options{}), &tls.Config{}},
		{"retry", retry, &tls.Config{CurvePreferences: []tls.CurveID{tls.X25519, tls.CurveP256}}},
		{"client certificate", certified, &tls.Config{Certificates: []tls.Certificate{good}}},
		{"1.2", retry, &tls.Config{MaxVersion: tls.VersionTLS12}},
		{"heavy", heavy, &tls.Config{}},
	} {
		t.Run(test.name, func(t *testing.T) {
			client, sent := helloOf(t, test.config)
			h := test.s.Start()
			defer h.Close()
			status, clientRuns := NeedInput, true
			for status != Done || clientRuns {
				for i := range sent {
					if status == Done {
						t.Fatalf("done, and %d bytes are left", len(sent)-i)
					}
					var err error
					if status, err = feed(h, sent[i:i+1]); err != nil {
						t.Fatal(err)
					}
				}
				client.t.in = append(client.t.in, h.Output()...)
				if !clientRuns && status != Done {
					t.Fatal("the server waits for more")
				} else if !clientRuns {
					break
				}
				if _, clientRuns = client.next(); client.err != nil {
					t.Fatal(client.err)
				}
				sent = client.t.take()
			}
			client.t.empty = func() error { return wait{} }
			exchange(t, client, h.Result())
		})
	}
}

// Bytes right behind Finished are not lost.
func TestLeftover(t *testing.T) {
	for _, version := range []uint16{tls.VersionTLS12, tls.VersionTLS13} {
		s := testServer(t, Options{})
		client, hello := helloOf(t, &tls.Config{MaxVersion: version})
		h := s.Start()
		if _, err := feed(h, hello); err != nil {
			t.Fatal(err)
		}
		client.t.in = append(client.t.in, h.Output()...)
		_, clientRuns := client.next()
		sent := client.t.take()
		if clientRuns { // TLS 1.2: one more flight of the server
			if _, err := feed(h, sent); err != nil {
				t.Fatal(err)
			}
			client.t.in = append(client.t.in, h.Output()...)
			client.next()
			sent = nil
		}
		_, _ = client.conn.Write([]byte("at once"))
		sent = append(sent, client.t.take()...)
		if version == tls.VersionTLS13 {
			if status, err := feed(h, sent); status != Done || err != nil {
				t.Fatal(status, err)
			}
			r := h.Result()
			if plain, rest, err := r.Light.Open(r.Leftover, tlsrecord.NewCache(0)); string(plain) != "at once" || len(rest) > 0 || err != nil {
				t.Errorf("%q, %v", plain, err)
			}
			continue
		}
		if plain, err := h.Result().Heavy.Open(nil, append(h.Result().Leftover, sent...)); string(plain) != "at once" || err != nil {
			t.Errorf("%q, %v", plain, err)
		}
	}
}

func TestEndedHandshakesDoNothing(t *testing.T) {
	s := testServer(t, Options{})
	for _, config := range []*tls.Config{{}, {MaxVersion: tls.VersionTLS12}} {
		_, hello := helloOf(t, config)
		h := s.Start()
		if status, err := feed(h, hello); status != NeedInput || err != nil {
			t.Fatal(status, err)
		}
		if held := h.Held(); held < 500 || held > 100_000 {
			t.Errorf("holds %d bytes", held)
		}
		h.Close()
		h.Close()
		if status, err := h.Feed([]byte("more")); status != Done || err != ErrEnded {
			t.Error(status, err)
		}
		if status, err := h.Run(); status != Done || err != ErrEnded {
			t.Error(status, err)
		}
		if h.Held() > 300 || h.Output() != nil {
			t.Error("something is held after Close")
		}
	}
}

func TestNewRefuses(t *testing.T) {
	for _, test := range []struct {
		o    Options
		want string
	}{
		{Options{}, "needs a certificate"},
		{Options{Certificates: make([]tls.Certificate, 1), MinVersion: tls.VersionTLS11}, "1.2 or 1.3, not TLS 1.1"},
	} {
		if s, err := New(test.o); s != nil || err == nil || !strings.Contains(err.Error(), test.want) {
			t.Errorf("%v, want %q", err, test.want)
		}
	}
}

// The traffic secrets are in no text.
func TestSecretsAreHidden(t *testing.T) {
	var s secrets
	if _, err := s.Write([]byte("CLIENT_TRAFFIC_SECRET_0 00ff 0102030405060708\n")); err != nil || len(s.client) != 8 {
		t.Fatal(err)
	}
	for _, verb := range []string{"%v", "%+v", "%#v", "%s"} {
		if text := fmt.Sprintf(verb, &s); strings.Contains(text, "1 2 3") || strings.Contains(text, "0x1, 0x2") || strings.Contains(text, "0102") {
			t.Errorf("%s shows %s", verb, text)
		}
	}
	kept := s.client
	s.wipe()
	if !bytes.Equal(kept, make([]byte, 8)) {
		t.Error("a secret is left")
	}
	for _, line := range []string{"", "CLIENT_TRAFFIC_SECRET_0", "CLIENT_TRAFFIC_SECRET_0 00", "CLIENT_TRAFFIC_SECRET_0 00 zz"} {
		if _, err := s.Write([]byte(line)); err != errKeyLog {
			t.Errorf("%q: %v", line, err)
		}
	}
}
