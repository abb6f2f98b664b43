package wsproto

import (
	"slices"
	"sync"
)

// secret is one HS256 key. Static after construction; any goroutine.
type secret struct {
	key       []byte
	verifiers sync.Pool // of *verifier; as many as goroutines call at once
}

func newSecret(key []byte) *secret {
	key = slices.Clone(key)
	return &secret{key: key, verifiers: sync.Pool{New: func() any { return newVerifier(key) }}}
}

// release takes a verifier back.
func (s *secret) release(v *verifier) {
	v.forget()
	s.verifiers.Put(v)
}
