package site

import "sync"

// Client is one connection. Send must not block.
type Client interface{ Send(envelope []byte) }

// Users is who is connected.
type Users[C interface {
	comparable
	Client
}] struct {
	Frame func(envelope []byte) []byte // makes of an envelope what Send gets, once for all of a user's; nil: nothing

	mu    sync.RWMutex
	users map[string]map[C]struct{} // guarded by mu
}

// Add adds a connection of user.
func (u *Users[C]) Add(user string, c C) {
	u.mu.Lock()
	defer u.mu.Unlock()
	if u.users == nil {
		u.users = map[string]map[C]struct{}{}
	}
	if u.users[user] == nil {
		u.users[user] = map[C]struct{}{}
	}
	u.users[user][c] = struct{}{}
}

// Remove forgets a connection.
func (u *Users[C]) Remove(user string, c C) {
	u.mu.Lock()
	defer u.mu.Unlock()
	delete(u.users[user], c)
	if len(u.users[user]) == 0 {
		delete(u.users, user)
	}
}

// Deliver sends a notification, as it was published, to all connections of user.
func (u *Users[C]) Deliver(user, published string) {
	u.mu.RLock()
	defer u.mu.RUnlock()
	clients := u.users[user]
	if len(clients) == 0 {
		return
	}
	envelope, err := envelopeOf(published)
	if err != nil {
		return
	}
	if u.Frame != nil {
		envelope = u.Frame(envelope)
	}
	for c := range clients {
		c.Send(envelope)
	}
}
