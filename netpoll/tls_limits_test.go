package netpoll

import (
	"crypto/tls"
	"io"
	"net/http"
	"testing"
	"time"
)

// Clients that stop anywhere in the handshake are ended by its deadline, and leave nothing.
func TestStalledTLSHandshakesEnd(t *testing.T) {
	t.Parallel()
	r := startTLS(t, TLSOptions{}, nil)
	hello, old := helloBytes(t, &tls.Config{}), helloBytes(t, &tls.Config{MaxVersion: tls.VersionTLS12})
	var clients []*raw
	read := 0
	for _, sent := range [][]byte{nil, hello[:1], hello[:5], hello[:len(hello)-1], hello, old} {
		client := r.dialFrom("127.0.0.1")
		client.send(t, string(sent))
		clients = append(clients, client)
		read += len(sent)
	}
	eventually(t, "all is read", func() bool { s := r.server.Stats(); return s.Pending == len(clients) && s.BytesIn == read })
	done, secure := r.dialTLS("", &tls.Config{})
	if err := secure.Handshake(); err != nil {
		t.Fatal(err)
	}
	clients = append(clients, done)
	eventually(t, "its handshake is done here, too", func() bool { return r.server.Stats().TLS13 == 1 })
	r.timeOut()
	for i, client := range clients {
		if _, err := io.Copy(io.Discard, client.r); err != nil {
			t.Errorf("client %d: %v", i, err)
		}
	}
	eventually(t, "all have gone", func() bool { return r.server.Stats().Sockets == 0 })
	if s := r.server.Stats(); s.PendingBytes != 0 || s.Pending != 0 || s.Refused["handshake_timeout"] != uint64(len(clients)) {
		t.Errorf("%d bytes, %d handshakes are left, refused %v", s.PendingBytes, s.Pending, s.Refused)
	}
}

// Half-open handshakes of a few addresses are bounded in bytes, and leave room for honest clients.
func TestHalfOpenTLSHandshakesAreBounded(t *testing.T) {
	t.Parallel()
	const total = 512 << 10
	r := startTLS(t, TLSOptions{}, func(c *Config) { c.PendingTotal, c.AuthWorkers, c.HandshakeTimeout = total, 1, time.Hour })
	most := 0
	flood := func(config *tls.Config, from string) {
		hello := helloBytes(t, config)
		for i := range 400 {
			client := r.dialFrom(from)
			if i%3 == 0 {
				_, _ = client.Write(hello[:len(hello)-1])
			} else {
				_, _ = client.Write(hello)
			}
			most = max(most, r.server.Stats().PendingBytes)
		}
	}
	flood(&tls.Config{}, "127.0.3.1")
	flood(&tls.Config{MaxVersion: tls.VersionTLS12}, "127.0.3.2")
	for _, version := range []uint16{tls.VersionTLS12, tls.VersionTLS13} {
		for range 5 {
			client, _ := r.dialTLS("", &tls.Config{MaxVersion: version})
			client.send(t, upgradeRequest(t, "alice"))
			client.answered(t, http.StatusSwitchingProtocols)
		}
	}
	// A run may make a handshake larger by the stack of crypto/tls, and is counted when the loop has it back.
	if s := r.server.Stats(); most > total+64<<10 || s.Unanswered["pending_bytes"] == 0 {
		t.Errorf("%d bytes were kept at most, of %d; %v", most, total, s.Unanswered)
	}
}

// Rates and limits of addresses count before anything is computed for a client.
func TestTLSHandshakesAreRefusedBeforeTheyCost(t *testing.T) {
	t.Parallel()
	r := startTLS(t, TLSOptions{}, func(c *Config) { c.HandshakeRate, c.HandshakeBurst = 1, 32 })
	const tries = 60
	good, begun := 0, time.Now()
	for range tries {
		if _, conn := r.dialTLS("", &tls.Config{}); conn.Handshake() == nil {
			good++
		}
	}
	s := r.server.Stats()
	if refused := s.Unanswered["tls_handshake_rate"]; good > 32+1+int(time.Since(begun)/time.Second) || good == 0 || good+int(refused) != tries {
		t.Errorf("%d of %d handshakes at once are done, %d refused", good, tries, refused)
	}
	if _, conn := r.dialTLS("127.0.3.1", &tls.Config{}); conn.Handshake() != nil {
		t.Error("another address has no share")
	}

	limited := startTLS(t, TLSOptions{}, func(c *Config) { c.MaxPerIP = 2 })
	for range 2 {
		limited.upgradeTLS("alice", &tls.Config{})
	}
	if _, conn := limited.dialTLS("", &tls.Config{}); conn.Handshake() == nil {
		t.Error("an address that is full gets a handshake")
	}
	if n := limited.server.Stats().Unanswered["tls_address_full"]; n != 1 {
		t.Errorf("%d are counted", n)
	}
}

// The queue before the workers is bounded. Jobs that are taken out, or end while they wait, leave nothing behind.
func TestTLSQueueIsBounded(t *testing.T) {
	t.Parallel()
	r := startTLS(t, TLSOptions{}, func(c *Config) { c.AuthWorkers, c.AuthQueue = 1, 4 })
	w := &r.server.workers
	hello := helloBytes(t, &tls.Config{})
	w.mu.Lock() // no worker gets anything, and loops wait where they look
	var clients []*raw
	for range 20 {
		client := r.dialFrom("127.0.0.1")
		client.send(t, string(hello))
		clients = append(clients, client)
	}
	w.mu.Unlock()
	for i, client := range clients {
		if i%2 == 0 {
			_ = client.Close()
		}
	}
	answered := 0
	for i, client := range clients {
		if b, _ := client.r.Peek(1); i%2 == 1 && len(b) == 1 {
			answered++
		}
		_ = client.Close()
	}
	eventually(t, "all have gone", func() bool { return r.server.Stats().Sockets == 0 })
	if s := r.server.Stats(); answered == 0 || s.Pending != 0 || s.PendingBytes != 0 {
		t.Errorf("%d are answered; %d handshakes and %d bytes are left", answered, s.Pending, s.PendingBytes)
	}
}

// A client with a good token is not held back for the TLS handshakes that led to it.
func TestGoodTokensCountForTLSHandshakes(t *testing.T) {
	t.Parallel()
	for name, version := range map[string]uint16{"1.3": tls.VersionTLS13, "1.2": tls.VersionTLS12} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			r := startTLS(t, TLSOptions{}, nil)
			unverified := func() int {
				r.server.workers.mu.Lock()
				defer r.server.workers.mu.Unlock()
				return len(r.server.workers.tls.unverified)
			}
			_, idle := r.dialTLS("127.0.0.66", &tls.Config{MaxVersion: version})
			if err := idle.Handshake(); err != nil || unverified() != 1 {
				t.Fatalf("%v; %d sources are held back for a handshake without a token, want 1", err, unverified())
			}
			for range 5 {
				r.upgradeTLS("alice", &tls.Config{MaxVersion: version})
			}
			if n := unverified(); n != 1 {
				t.Errorf("%d sources are held back, want the one without a token", n)
			}
		})
	}
}
