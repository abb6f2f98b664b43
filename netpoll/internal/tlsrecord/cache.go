package tlsrecord

import "crypto/cipher"

// Cache keeps the cipher objects of the connections that were used last, one Cache for each
// event loop. An object costs about 1 µs and 1.3 KB to make from its key, which an idle connection does
// for each ping and a busy one does not have to. The caller has the lock that guards the connections.
type Cache struct {
	slots []slot
	hand  int

	// Arguments of cipher.AEAD, kept here since an interface's arguments would be allocated.
	nonce [12]byte
	key   [32]byte

	// Made counts the cipher objects that were made, for metrics and tests.
	Made uint64
}

type slot struct {
	owner   *Conn
	recent  bool // used since the hand passed
	ciphers [2]cached
}

// cached is a cipher object and the first 16 bytes of the key it was made from: it is used
// for that key and no other, whatever became of the connection meanwhile.
type cached struct {
	aead cipher.AEAD
	key  [16]byte
}

// NewCache keeps objects for n connections, 65,536 at most; with 0 it keeps none.
func NewCache(n int) *Cache {
	return &Cache{slots: make([]slot, max(0, min(n, 1<<16)))}
}

// aead returns the cipher object of a direction's present key.
func (k *Cache) aead(c *Conn, d direction) (cipher.AEAD, error) {
	key := &c.half(d).key
	var s *slot
	if int(c.slot) < len(k.slots) && k.slots[c.slot].owner == c {
		s = &k.slots[c.slot]
		if entry := &s.ciphers[d]; entry.aead != nil && entry.key == *key {
			s.recent = true
			return entry.aead, nil
		}
	}
	aead, err := c.newAEAD(d, &k.key)
	if err != nil || len(k.slots) == 0 {
		return aead, err
	}
	k.Made++
	if s == nil {
		c.slot = k.free()
		s = &k.slots[c.slot]
		s.owner = c
	}
	s.ciphers[d] = cached{aead, *key}
	return aead, nil
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
	if int(c.slot) < len(k.slots) && k.slots[c.slot].owner == c {
		k.slots[c.slot] = slot{}
	}
}
