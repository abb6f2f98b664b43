package tlscert

import (
	"bytes"
	"crypto/sha256"
	"fmt"
	"slices"
	"sync"
	"time"
)

func digest(b []byte) [32]byte { return sha256.Sum256(b) }

// Reloader keeps the Set that is served. Any goroutine may use it.
type Reloader struct {
	mu  sync.Mutex
	set *Set
	err error // of the last Reload
}

// NewReloader loads pairs.
func NewReloader(pairs []Pair) (*Reloader, error) {
	set, err := Load(pairs)
	if err != nil {
		return nil, err
	}
	return &Reloader{set: set}, nil
}

// Set is what is served now.
func (r *Reloader) Set() *Set {
	r.mu.Lock()
	defer r.mu.Unlock()
	return r.set
}

// Err is why the files were not taken the last time they were looked at; nil where they were.
func (r *Reloader) Err() error {
	r.mu.Lock()
	defer r.mu.Unlock()
	return r.err
}

// Reload looks at the files, and uses their certificates if they have changed and all are good. changed says that
// Set is another one. With an error the old Set stays; the error is the same until the files change or are
// good, so log it where it is new. A certificate and its key that are replaced one after the other do not fit each other for a moment: the
// next Reload takes them.
func (r *Reloader) Reload(now time.Time) (changed bool, err error) {
	r.mu.Lock()
	defer r.mu.Unlock()
	defer func() { r.err = err }()
	fresh, err := Load(r.set.Pairs)
	if err != nil {
		return false, err
	}
	if slices.EqualFunc(fresh.content, r.set.content, bytes.Equal) && slices.Equal(fresh.keys, r.set.keys) {
		return false, nil
	}
	if expires := fresh.Expires(); !expires.After(now) && r.set.Expires().After(now) {
		return false, fmt.Errorf("what is in the files now expired on %s, and what is served is valid until %s", day(expires), day(r.set.Expires()))
	}
	r.set = fresh
	return true, nil
}
