package tlsrecord

import (
	"fmt"
	"log/slog"
)

// half is one direction: the secret of its present key, and how many records the key has
// protected. Key and IV are not kept: Cache.keyed derives them from the secret, where it has to make the
// cipher object anyway. Secrets of 48 bytes go on in Conn.tails.
type half struct {
	seq    uint32 // records of this key so far; a new key starts at 0
	secret [32]byte
}

// tails are the last thirds of 48-byte secrets, by direction.
type tails [2][16]byte

// Conn is the record layer of one connection whose handshake is over: 96 bytes, or
// 128 for the suite with SHA-384. Its methods never wait and may not be called at the
// same time; with an event loop, only the one that holds the loop's lock calls them.
//
// A Conn must not be copied: a copy would use each nonce a second time.
type Conn struct {
	_       noCopy
	in, out half
	tails   *tails // nil where secrets have 32 bytes

	suite  Suite
	flags  flags
	slot   uint16 // where the AEADs may be in the loop's Cache
	begun  uint8  // bytes of a KeyUpdate that came in pieces
	idle   uint8  // records since the last one that carried data
	credit uint8  // KeyUpdates the client may send at once
	earned uint8  // data records towards the next credit
}

type flags uint8

const (
	flagNoRead       flags = 1 << iota // close_notify or a fatal alert came, or the client broke the protocol
	flagNoWrite                        // close_notify or a fatal alert was sent
	flagUpdateOwed                     // the client asked for a KeyUpdate
	flagUpdateWanted                   // the client's key is old: ask for a new one
	flagUpdateAsked                    // asked; nothing has come yet
)

// noCopy makes go vet report copies.
type noCopy struct{}

func (*noCopy) Lock()   {}
func (*noCopy) Unlock() {}

// New returns the record layer for a suite and the secrets with which the other side
// writes and with which this side writes (RFC 8446 section 7.1: the
// client's and the server's application traffic secret, on a server). It copies them:
// the caller can wipe its own. The error names a suite that is none of TLS 1.3, or a
// secret of the wrong length.
func New(suite uint16, readSecret, writeSecret []byte) (*Conn, error) {
	s, err := suiteOf(suite)
	if err != nil {
		return nil, err
	}
	c, err := s.newConn(readSecret)
	if err != nil {
		return nil, err
	}
	if err := c.setSecret(writing, writeSecret); err != nil {
		return nil, err
	}
	return c, nil
}

// NewReader returns a record layer that can only open.
func NewReader(suite uint16, secret []byte) (*Conn, error) {
	s, err := suiteOf(suite)
	if err != nil {
		return nil, err
	}
	c, err := s.newConn(secret)
	if err != nil {
		return nil, err
	}
	c.flags |= flagNoWrite
	return c, nil
}

func (s Suite) newConn(readSecret []byte) (*Conn, error) {
	c := &Conn{suite: s, credit: maxCredit}
	if s.secretLen() > len(c.in.secret) {
		c.tails = new(tails)
	}
	if err := c.setSecret(reading, readSecret); err != nil {
		return nil, err
	}
	return c, nil
}

// Suite is the cipher suite's number, as crypto/tls has it.
func (c *Conn) Suite() uint16 { return c.suite.id() }

// SkipSent says that n records were already sent with this key, by
// the handshake: the next one is record n. It panics once this Conn has sent any
// itself, as a number could be used twice then.
func (c *Conn) SkipSent(n int) {
	if c.out.seq != 0 || n < 0 || n > updateAfter {
		panic("tlsrecord: SkipSent after a record was sealed")
	}
	c.out.seq = uint32(n)
}

// Wipe overwrites keys and secrets and ends both directions. The cipher objects
// in the cache are let go of; what these hold of a key is the collector's to free.
func (c *Conn) Wipe(cache *Cache) {
	cache.drop(c)
	if c.tails != nil {
		*c.tails = tails{}
	}
	c.in, c.out = half{}, half{}
	c.flags = flagNoRead | flagNoWrite
}

// String says the suite and nothing of the keys; so do Format, for every verb, and LogValue.
func (c *Conn) String() string { return "tlsrecord.Conn(" + c.suite.String() + ")" }

// Format hides the keys from every verb of package fmt.
func (c *Conn) Format(f fmt.State, _ rune) { _, _ = f.Write([]byte(c.String())) }

// LogValue hides the keys from log/slog.
func (c *Conn) LogValue() slog.Value { return slog.StringValue(c.String()) }

// MarshalText hides the keys from encoders.
func (c *Conn) MarshalText() ([]byte, error) { return []byte(c.String()), nil }
