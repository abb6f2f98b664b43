package main

import "sync"

// tickets are the in-process admissions of the deep health check: each is good
// for one connection, while its check runs. The zero value is ready; any
// goroutine may call.
type tickets struct {
	mu    sync.Mutex
	valid map[string]string // guarded by mu: ticket → identity
}

func (t *tickets) add(ticket, identity string) {
	t.mu.Lock()
	defer t.mu.Unlock()
	if t.valid == nil {
		t.valid = make(map[string]string)
	}
	t.valid[ticket] = identity
}

// redeem is the upgrader's Ticket: it runs on event loops, and the lock is held for
// no longer than a look-up.
func (t *tickets) redeem(ticket []byte) (identity string, ok bool) {
	t.mu.Lock()
	defer t.mu.Unlock()
	identity, ok = t.valid[string(ticket)]
	delete(t.valid, string(ticket))
	return identity, ok
}

func (t *tickets) remove(ticket string) {
	t.mu.Lock()
	defer t.mu.Unlock()
	delete(t.valid, ticket)
}
