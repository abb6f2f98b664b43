package sendqueue

import "roost/hub"

// sealed is what a TLS connection has encrypted and the kernel has not taken. It leaves as it is, ahead of everything:
// encrypting it again would take other nonces, and leaving a part out would break the connection. The notifications in it
// wait until its last byte has left, since the client can read nothing of half a record, and are dropped only with the
// connection.
type sealed struct {
	rest    []byte              // never empty: nil or what is left
	of      []*hub.Notification // those whose last byte is in it
	bytes   int                 // of notifications, whole and parts, that are in it
	sealing bool                // Took moves notifications here
	whole   bool                // Took lets them leave together
}

// Sealed returns the sealed bytes that leave next; nil if there are none.
func (q *Queue) Sealed() []byte { return q.sealed.rest }

// AppendSealed makes b, which is copied, the last of the sealed bytes: the kernel did not take them. The first n bytes of
// what Gather returned are in them.
func (q *Queue) AppendSealed(b []byte, n int) {
	before := q.bytes
	q.sealed.sealing = true
	q.Took(n)
	q.sealed.sealing = false
	q.sealed.bytes += before - q.bytes
	q.sealed.rest = append(q.sealed.rest, b...)
	if q.memory != nil {
		q.memory.bytes.Add(int64(len(b)))
	}
}

// TookWhole is Took for sealed bytes that the kernel has taken all of: each notification left with the last one.
func (q *Queue) TookWhole(n int) (sent int) {
	q.sealed.whole = true
	sent = q.Took(n)
	q.sealed.whole = false
	return sent
}

// TookSealed notes that the kernel took the first n of the sealed bytes, and returns how many notifications have left.
func (q *Queue) TookSealed(n int) (sent int) {
	if q.memory != nil {
		q.memory.bytes.Add(-int64(n))
	}
	if q.sealed.rest = rest(q.sealed.rest, n); q.sealed.rest != nil {
		return 0
	}
	of := q.sealed.of
	q.sealed = sealed{}
	for _, one := range of {
		q.left(one, 0)
	}
	return len(of)
}

// dropSealed drops what is sealed, and returns how many notifications it dropped.
func (q *Queue) dropSealed(why string) (dropped int) {
	for _, n := range q.sealed.of {
		n.Trace.Failed(why)
		q.uncount(n)
	}
	if q.memory != nil {
		q.memory.bytes.Add(-int64(len(q.sealed.rest)))
	}
	dropped = len(q.sealed.of)
	q.sealed = sealed{}
	return dropped
}
