package tlsrecord

import (
	"crypto/cipher"
	"fmt"
)

// Cache keeps the cipher objects of the connections that were used last, one Cache for each
// event loop. An object costs about 2 µs and 1.3 KB to make from its secret, which an idle connection does
// for each ping and a busy one does not have to. The caller has the lock that guards the connections.
type Cache struct {
	slots []slot
	hand  int
	only  keyed // of a cache without slots: the last one that was made

	// Arguments of cipher.AEAD, kept here since an interface's arguments would be allocated.
	nonce [12]byte
	key   [32]byte

	deriver deriver

	// Made counts the cipher objects that were made, for metrics and tests.
	Made uint64
}

type slot struct {
	owner  *Conn
	recent bool // used since the hand passed
	keyed  [2]keyed
}

// keyed is what comes from a secret (RFC 8446 section 7.3), and the secret's first 16 bytes: it is used
// for that secret and no other, whatever became of the connection meanwhile.
type keyed struct {
	aead   cipher.AEAD
	iv     [12]byte
	secret [16]byte
}

// NewCache keeps objects for n connections, 65,536 at most; with 0 it keeps none.
func NewCache(n int) *Cache {
	return &Cache{slots: make([]slot, max(0, min(n, 1<<16)))}
}

// keyed returns what comes from a direction's present secret. It is valid until the next call.
func (k *Cache) keyed(c *Conn, d direction) (*keyed, error) {
	var s *slot
	if int(c.slot) < len(k.slots) && k.slots[c.slot].owner == c {
		s = &k.slots[c.slot]
		if entry := &s.keyed[d]; entry.aead != nil && entry.secret == [16]byte(c.half(d).secret[:]) {
			s.recent = true
			return entry, nil
		}
	}
	made, err := k.derive(c, d)
	if err != nil {
		return nil, err
	}
	if len(k.slots) == 0 {
		k.only = made
		return &k.only, nil
	}
	k.Made++
	if s == nil {
		c.slot = k.free()
		s = &k.slots[c.slot]
		s.owner = c
	}
	s.keyed[d] = made
	return &s.keyed[d], nil
}

// derive makes the key and the IV of a direction's present secret, and the cipher object.
func (k *Cache) derive(c *Conn, d direction) (made keyed, err error) {
	var buf [48]byte
	secret := c.secretOf(d, &buf)
	key := k.key[:c.suite.keyLen()]
	k.deriver.expand(key, c.suite, secret, "key")
	k.deriver.expand(made.iv[:], c.suite, secret, "iv")
	copy(made.secret[:], secret)
	made.aead, err = c.suite.aead(key)
	clear(key)
	clear(buf[:])
	if err != nil {
		return keyed{}, fmt.Errorf("making the cipher of %v: %w", c.suite, err)
	}
	return made, nil
}

// free empties a slot that was not used since the hand passed it last. Connections that are used once each,
// as in a round of pings, so replace each other and not the busy ones.
func (k *Cache) free() uint16 {
	for {
		i := k.hand
		k.hand = (i + 1) % len(k.slots)
		if s := &k.slots[i]; s.owner == nil || !s.recent {
			*s = slot{}
			return uint16(i)
		}
		k.slots[i].recent = false
	}
}

// drop lets go of a connection's objects.
func (k *Cache) drop(c *Conn) {
	k.only = keyed{}
	if int(c.slot) < len(k.slots) && k.slots[c.slot].owner == c {
		k.slots[c.slot] = slot{}
	}
}
