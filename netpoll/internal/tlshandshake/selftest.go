package tlshandshake

import (
	"bytes"
	"crypto/ecdsa"
	"crypto/elliptic"
	"crypto/rand"
	"crypto/tls"
	"crypto/x509"
	"crypto/x509/pkix"
	"errors"
	"fmt"
	"io"
	"iter"
	"math/big"
	"time"

	"roost/netpoll/internal/tlsrecord"
)

// selfTest does two connections in memory, the second one resumed, with crypto/tls as the client: handshake, data both ways, close. The error
// says what this Go release does differently from what the light way needs.
func selfTest() error {
	certificate, err := selfSigned("roost.invalid")
	if err != nil {
		return err
	}
	s := newServer(Options{Certificates: []tls.Certificate{certificate}, MinVersion: tls.VersionTLS12, Protocols: []string{"http/1.1"}})
	config := &tls.Config{InsecureSkipVerify: true, NextProtos: []string{"http/1.1"}, ClientSessionCache: tls.NewLRUClientSessionCache(1), ServerName: "roost.invalid"}
	for _, resumed := range []bool{false, true} {
		if err := selfTestOnce(s, config, resumed); err != nil {
			return fmt.Errorf("the self-test of TLS (resumed: %v): %w", resumed, err)
		}
	}
	return nil
}

func selfTestOnce(s *Server, config *tls.Config, resumed bool) error {
	client := newMemoryClient(config)
	defer client.stop()
	r, err := client.connect(s)
	if err != nil {
		return err
	}
	switch {
	case r.Light == nil:
		return errors.New("the light way was not taken")
	case r.Resumed != resumed:
		return errors.New("a session ticket did not do what it is for")
	}
	cache := tlsrecord.NewCache(1)
	defer r.Light.Wipe(cache)
	for _, text := range []string{"one", "two"} {
		sealed, err := r.Light.Seal(nil, []byte(text), cache)
		if err != nil {
			return err
		}
		got, err := client.echo(sealed, len(text))
		if err != nil {
			return err
		}
		if plain, _, err := r.Light.Open(got, cache); err != nil || string(plain) != text {
			return fmt.Errorf("what was sent came back as %q, %w", plain, err)
		}
	}
	_, err = client.echo(r.Light.CloseNotify(nil, cache), 1)
	if !errors.Is(err, io.EOF) {
		return fmt.Errorf("close_notify was understood as %w", err)
	}
	return nil
}

// selfSigned makes a certificate for the occasion.
func selfSigned(name string) (tls.Certificate, error) {
	key, err := ecdsa.GenerateKey(elliptic.P256(), rand.Reader)
	if err != nil {
		return tls.Certificate{}, fmt.Errorf("making a key: %w", err)
	}
	template := &x509.Certificate{
		SerialNumber: big.NewInt(1), Subject: pkix.Name{CommonName: name}, DNSNames: []string{name}, NotAfter: time.Now().Add(time.Hour),
	}
	der, err := x509.CreateCertificate(rand.Reader, template, template, key.Public(), key)
	if err != nil {
		return tls.Certificate{}, fmt.Errorf("making a certificate: %w", err)
	}
	leaf, err := x509.ParseCertificate(der)
	if err != nil {
		return tls.Certificate{}, fmt.Errorf("reading a certificate: %w", err)
	}
	return tls.Certificate{Certificate: [][]byte{der}, PrivateKey: key, Leaf: leaf}, nil
}

// memoryClient is a client of crypto/tls that is stopped where it needs more, as parked is for a server.
type memoryClient struct {
	t    *transport
	conn *tls.Conn
	err  error
	next func() (struct{}, bool)
	stop func()
}

func newMemoryClient(config *tls.Config) *memoryClient {
	c := &memoryClient{t: new(transport)}
	c.conn = tls.Client(c.t, config)
	c.next, c.stop = iter.Pull(func(yield func(struct{}) bool) {
		c.t.empty = func() error {
			if !yield(struct{}{}) {
				return errStopped
			}
			return nil
		}
		c.err = c.conn.Handshake()
	})
	return c
}

// connect does a handshake, and gives the client what was sent after it.
func (c *memoryClient) connect(s *Server) (Result, error) {
	h := s.Start()
	defer h.Close()
	status, clientRuns := NeedInput, true
	for status != Done || clientRuns {
		if clientRuns {
			_, clientRuns = c.next()
		}
		sent := c.t.take()
		if status == Done && len(sent) == 0 && clientRuns {
			return Result{}, errors.New("the client waits for more")
		}
		if status != Done {
			var err error
			if status, err = h.Feed(sent); err == nil && status == NeedRun {
				status, err = h.Run()
			}
			answer := h.Output()
			c.t.in = append(c.t.in, answer...)
			if err != nil {
				return Result{}, err
			}
			if !clientRuns && c.err != nil {
				return Result{}, fmt.Errorf("the client: %w", c.err)
			}
			if status != Done && len(sent) == 0 && len(answer) == 0 {
				return Result{}, errors.New("the server waits for more")
			}
		}
	}
	c.t.in = append(c.t.in, h.Output()...)
	c.t.empty = func() error { return wait{} }
	return h.Result(), nil
}

// echo gives the client records, reads n bytes, and returns the records in which the client sends them back.
func (c *memoryClient) echo(records []byte, n int) ([]byte, error) {
	c.t.in = append(c.t.in, records...)
	b := make([]byte, n)
	if _, err := io.ReadFull(c.conn, b); err != nil {
		return nil, err
	}
	if _, err := c.conn.Write(b); err != nil {
		return nil, err
	}
	return bytes.Clone(c.t.take()), nil
}
