package auth

import (
	"slices"
	"sync"
)

// secret is a key that tokens are signed with too. Static after construction; any goroutine.
type secret struct {
	key       []byte
	verifiers [len(hmacs)]sync.Pool // of *verifier, by algorithm; as many as goroutines call at once
}

func newSecret(key []byte) *secret {
	s := &secret{key: slices.Clone(key)}
	for kind := range s.verifiers {
		s.verifiers[kind].New = func() any { return newVerifier(s.key, kind) }
	}
	return s
}

// verifier lends one for an algorithm, to be given to release.
func (s *secret) verifier(kind int) *verifier { return s.verifiers[kind].Get().(*verifier) }

// release takes a verifier back.
func (s *secret) release(v *verifier) {
	v.forget()
	s.verifiers[v.kind].Put(v)
}
