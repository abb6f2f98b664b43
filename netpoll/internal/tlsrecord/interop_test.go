package tlsrecord

import (
	"bytes"
	"errors"
	"io"
	"net"
	"testing"
)

// Every length of data, with crypto/tls at the other side, as the client and as the server.
func TestEveryLengthWithCryptoTLS(t *testing.T) {
	step := 1
	if testing.Short() {
		step = 89
	}
	data := make([]byte, maxPlaintext+1)
	for i := range data {
		data[i] = byte(i * 7)
	}
	for _, s := range allSuites {
		for _, server := range []bool{true, false} {
			t.Run(s.String()+map[bool]string{true: "/server", false: "/client"}[server], func(t *testing.T) {
				p, cache := newPair(t, s), NewCache(4)
				c, peer, to, from := p.asServer(t), p.client, p.toClient, p.toServer
				if !server {
					c, peer, to, from = p.asClient(t), p.server, p.toServer, p.toClient
				}
				var sealed []byte
				for n := 0; n <= len(data); n += step {
					var err error
					if sealed, err = c.Seal(sealed[:0], data[:n], cache); err != nil {
						t.Fatal(err)
					}
					if len(sealed) != SealedLen(n) {
						t.Fatalf("%d bytes became %d, SealedLen says %d", n, len(sealed), SealedLen(n))
					}
					to.write(sealed)
					if got := readFull(t, peer, n); !bytes.Equal(got, data[:n]) {
						t.Fatalf("crypto/tls read something else of %d bytes", n)
					}
					if _, err := peer.Write(data[:n]); err != nil {
						t.Fatal(err)
					}
					plain, rest, err := c.Open(from.take(), cache)
					if err != nil || len(rest) != 0 || !bytes.Equal(plain, data[:n]) {
						t.Fatalf("of %d bytes came %d, %d left, %v", n, len(plain), len(rest), err)
					}
				}
			})
		}
	}
}

func TestCloseNotifyWithCryptoTLS(t *testing.T) {
	for _, s := range allSuites {
		p, cache := newPair(t, s), NewCache(0)
		c := p.asServer(t)
		p.toClient.write(seal(t, c, []byte("last"), cache))
		p.toClient.write(c.CloseNotify(nil, cache))
		if b, err := io.ReadAll(p.client); string(b) != "last" || err != nil {
			t.Errorf("crypto/tls read %q and then %v, want the end of the stream", b, err)
		}
		if _, err := c.Seal(nil, []byte("more"), cache); err != ErrClosed {
			t.Errorf("sealed after close_notify: %v", err)
		}
		if b := c.CloseNotify(nil, cache); b != nil {
			t.Errorf("close_notify is sent twice")
		}
		_, _ = p.client.Write([]byte("bye"))
		if err := p.client.CloseWrite(); err != nil {
			t.Fatal(err)
		}
		in := append(p.toServer.take(), "what comes after it is ignored"...)
		if b, rest, err := c.Open(in, cache); string(b) != "bye" || rest != nil || err != ErrCloseNotify {
			t.Errorf("opened %q, %q, %v, want close_notify", b, rest, err)
		}
		if b, rest, err := c.Open([]byte("more"), cache); b == nil || len(b)+len(rest) > 0 || err != nil {
			t.Errorf("after the end: %q, %q, %v", b, rest, err)
		}
	}
}

func TestAlertWithCryptoTLS(t *testing.T) {
	p, cache := newPair(t, aes128gcm), NewCache(0)
	c := p.asServer(t)
	p.toClient.write(c.SealAlert(nil, AlertBadRecordMAC, cache))
	_, err := p.client.Read(make([]byte, 1))
	var op *net.OpError
	if !errors.As(err, &op) || op.Op != "remote error" || op.Err.Error() != "tls: bad record MAC" {
		t.Errorf("crypto/tls heard %v", err)
	}

	// crypto/tls sends one when it gets what it can't decrypt.
	p = newPair(t, aes128gcm)
	c = p.asServer(t)
	sealed := seal(t, c, []byte("x"), cache)
	sealed[len(sealed)-1] ^= 1
	p.toClient.write(sealed)
	if _, err := p.client.Read(make([]byte, 1)); err == nil {
		t.Fatal("crypto/tls takes anything")
	}
	var got *Error
	if _, _, err := c.Open(p.toServer.take(), cache); !errors.As(err, &got) || !got.Remote || got.Alert != AlertBadRecordMAC {
		t.Errorf("got %v, want the alert of crypto/tls", err)
	}
	if want := "tls: the client sent the alert bad_record_mac"; got.Error() != want {
		t.Errorf("%q, want %q", got, want)
	}
}

// crypto/tls follows KeyUpdates of ours, those that come before the limit of a key and those that ask for
// one in return, which it sends.
func TestKeyUpdateWithCryptoTLS(t *testing.T) {
	for _, s := range allSuites {
		p, cache := newPair(t, s), NewCache(2)
		c := p.asServer(t)
		exchange := func(what string) {
			t.Helper()
			p.toClient.write(seal(t, c, []byte(what), cache))
			if got := readFull(t, p.client, len(what)); string(got) != what {
				t.Fatalf("%s: crypto/tls read %q", what, got)
			}
			if _, err := p.client.Write([]byte(what)); err != nil {
				t.Fatal(err)
			}
			if b, _, err := c.Open(p.toServer.take(), cache); err != nil || string(b) != what {
				t.Fatalf("%s: opened %q, %v", what, b, err)
			}
		}
		exchange("before")
		old := c.out.secret
		sealed, err := c.SealKeyUpdate(nil, false, cache)
		if err != nil {
			t.Fatal(err)
		}
		p.toClient.write(sealed)
		exchange("a new key of ours")
		if c.out.secret == old || c.out.seq != 1 {
			t.Errorf("the key is %x as before, record %d", old, c.out.seq)
		}
		oldOut, oldIn := c.out.secret, c.in.secret
		c.flags |= flagUpdateWanted | flagUpdateAsked
		if !c.Due() {
			t.Error("a KeyUpdate waits, and is not due")
		}
		exchange("new keys of both")
		exchange("once more")
		if c.out.secret == oldOut || c.in.secret == oldIn || c.flags != 0 || c.Due() {
			t.Errorf("after both have changed their keys: flags %b", c.flags)
		}
	}
}
