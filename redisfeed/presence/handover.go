package presence

import (
	"context"
	"crypto/rand"
	"errors"
	"fmt"
	"time"

	"roost/internal/wirecodec"
)

// A Writer can go on in another process on this host, which has taken over its users' connections: under the same identity, so
// that these users are never offline. The old process calls Freeze and Export, and then Commit, or Unfreeze if the other
// process fails; the new one calls Import and FinishImport before Run.

const (
	stateVersion = 1
	maxState     = 1 << 30 // bytes
	maxUser      = 1 << 16 // bytes
)

// imported is what another process has left to this one.
type imported struct {
	pieces wirecodec.Pieces
	users  map[string]bool // who was connected there, and is written as here unless marked
	listed bool            // the process kept a list
	gone   []string        // who is on it, and has gone
}

// Freeze waits until what is under way is written, for 3 s at most. From then on nothing is written until Unfreeze or Commit, one of
// which has to follow. The error says that ctx ended first; then nothing is frozen. Call it while Run runs, and the methods below
// from the same goroutine.
func (p *Writer) Freeze(ctx context.Context) error {
	locked := make(chan struct{})
	go func() {
		p.working.Lock()
		close(locked)
	}()
	select {
	case <-locked:
		p.frozen = true
		return nil
	case <-ctx.Done():
		go func() {
			<-locked
			p.working.Unlock()
		}()
		return fmt.Errorf("freezing presence: %w", context.Cause(ctx))
	}
}

// Unfreeze goes on as if nothing had been. It does nothing where nothing is frozen.
func (p *Writer) Unfreeze() {
	if p.frozen {
		p.frozen = false
		p.working.Unlock()
	}
}

// Commit ends a frozen Writer whose users another process has: Run returns nil soon, and takes nobody out of Redis.
func (p *Writer) Commit() {
	if p.frozen {
		p.released.Store(true)
		close(p.ended)
		p.Unfreeze()
	}
}

// Export writes down the state of a frozen Writer: its identity, who is connected, and who is to be written. Nobody may come or
// go meanwhile. It calls send with pieces, one after the other, within the bounds of package wirecodec; an error of send ends it.
func (p *Writer) Export(send func(section []byte, descriptors []int) error) error {
	if !p.frozen {
		return errors.New("redisfeed: Export of presence that is not frozen")
	}
	p.take(time.Now())
	dst := wirecodec.AppendUint(nil, stateVersion)
	dst = wirecodec.AppendString(dst, p.id)
	for user, change := range p.failed.All() {
		if _, marked := p.pending.Find(user); !marked {
			p.pending.Put(user, change)
		}
	}
	dst = wirecodec.AppendUint(dst, uint64(p.pending.Len()))
	for user, change := range p.pending.All() {
		dst = wirecodec.AppendString(dst, user)
		dst = wirecodec.AppendBool(dst, change.told)
	}
	var users []string
	for part := range p.registry.Shards() {
		users = p.registry.AppendUsers(part, users)
	}
	dst = wirecodec.AppendUint(dst, uint64(len(users)))
	for _, user := range users {
		dst = wirecodec.AppendString(dst, user)
	}
	return wirecodec.Send(p.appendList(p.appendDoubts(dst)), nil, send)
}

// appendDoubts appends the users whose arrival got no answer, which only an Event tells of. Where there are none it appends nothing, as
// releases had it that tell nobody.
func (p *Writer) appendDoubts(dst []byte) []byte {
	var users []string
	for user, change := range p.pending.All() {
		if change.maybe {
			users = append(users, user)
		}
	}
	if p.list == nil && (p.tell == nil || len(users) == 0) {
		return dst
	}
	dst = wirecodec.AppendUint(dst, uint64(len(users)))
	for _, user := range users {
		dst = wirecodec.AppendString(dst, user)
	}
	return dst
}

// appendList appends what belongs to the list: nothing where there is none.
func (p *Writer) appendList(dst []byte) []byte {
	if p.list == nil {
		return dst
	}
	dst = wirecodec.AppendString(dst, p.previous)
	dst = wirecodec.AppendBool(dst, p.list.forgot)
	dst = wirecodec.AppendUint(dst, uint64(len(p.list.gone)))
	for _, one := range p.list.gone {
		dst = wirecodec.AppendString(dst, one.user)
	}
	return dst
}

// Import takes a piece of what Export wrote in another process, of which it keeps a copy. Call it before Run, with all pieces in
// order, and then FinishImport; from one goroutine. There are no descriptors.
func (p *Writer) Import(section []byte, _ []int) error {
	if p.imported == nil {
		p.imported = &imported{}
	}
	return p.imported.pieces.Add(section, nil, maxState)
}

// FinishImport reads what was imported. The error says what is wrong with it. From now on users may be registered; Run goes on.
func (p *Writer) FinishImport() error {
	if p.imported == nil {
		return errors.New("redisfeed: no presence was imported")
	}
	r := wirecodec.NewReader(p.imported.pieces.State)
	if version := r.Uint(1 << 32); r.Err() == nil && version != stateVersion {
		return fmt.Errorf("the state of presence has version %d, this release reads %d", version, stateVersion)
	}
	id := r.String(maxUser)
	now := time.Now()
	for range r.Count(2) {
		user, told := r.String(maxUser), r.Bool()
		p.pending.Put(user, change{since: now, told: told})
	}
	from := &imported{users: make(map[string]bool)}
	for range r.Count(1) {
		from.users[r.String(maxUser)] = true
	}
	if r.Err() == nil && r.Len() > 0 {
		p.readDoubts(r)
	}
	if r.Err() == nil && r.Len() > 0 {
		p.readList(r, from)
	}
	if id == "" {
		r.Fail(errors.New("no identity"))
	}
	if err := r.Done(); err != nil {
		return fmt.Errorf("the state of presence: %w", err)
	}
	p.id = id
	p.imported = from
	return nil
}

// readDoubts reads what appendDoubts wrote.
func (p *Writer) readDoubts(r *wirecodec.Reader) {
	for range r.Count(1) {
		user := r.String(maxUser)
		if mark, marked := p.pending.Find(user); marked {
			mark.maybe = true
			p.pending.Put(user, mark)
		}
	}
}

// readList reads what appendList wrote.
func (p *Writer) readList(r *wirecodec.Reader, from *imported) {
	from.listed = true
	p.previous = r.String(maxUser)
	forgot := r.Bool()
	for range r.Count(1) {
		from.gone = append(from.gone, r.String(maxUser))
	}
	if p.list != nil {
		p.list.forgot = forgot
	}
}

// finishImport is the beginning of Run: connections that came along are registered by now. Their users are written already; users whose
// connections did not come along are gone.
func (p *Writer) finishImport(now time.Time) {
	p.working.Lock()
	defer p.working.Unlock()
	if p.imported == nil {
		return
	}
	from, users := p.imported, p.imported.users
	p.imported = nil
	p.registry.TakeChanged(func(user string, was bool) {
		if !users[user] {
			p.mark(user, was, now)
		}
	})
	for user := range users {
		if p.registry.ConnectionsOf(user) == 0 {
			p.mark(user, true, now)
		}
	}
	p.finishImportOfList(from, now)
}

// finishImportOfList goes on with the list of the process before. A process that keeps none goes on under another name: the one before would be
// taken for dead.
func (p *Writer) finishImportOfList(from *imported, now time.Time) {
	switch {
	case !from.listed:
	case p.list == nil:
		p.previous, p.id = p.id, rand.Text()
		p.markAll(now)
	default:
		p.list.registered = true
		for _, user := range from.gone {
			p.list.gone = append(p.list.gone, departed{user, 0}) // their events are imported
		}
	}
}
