package hub

import (
	"encoding/json"
	"hash/fnv"
	"slices"
	"strconv"
	"strings"
	"time"

	"roost/internal/jsonscan"
	"roost/internal/wirecodec"
)

// options is what a notification says beside its type and payload. It is nil where it says nothing more, as nearly all do, and
// does not change.
type options struct {
	only, except []connID // the connections that it is for, or is not for; those of its user, group, or everyone

	hasTTL   bool
	ttl      time.Duration // for how long it may wait for a connection
	collapse uint64        // a hash of the key with which a later one takes its place; 0: none takes it

	traceparent string // passed on to clients; "": there is none
}

// maxListedConns bounds how many connections a notification names in "only" or "except".
const maxListedConns = 100

// option takes over a member that is no type and no payload. Unknown ones are left out.
func (e *envelope) option(name, value string) {
	switch name {
	case `"only"`:
		e.listConns(&e.more().only, value, InvalidOnly)
	case `"except"`:
		e.listConns(&e.more().except, value, InvalidExcept)
	case `"ttl"`:
		e.readTTL(value)
	case `"collapse"`:
		e.readCollapse(value)
	case `"traceparent"`:
		e.readTraceparent(value)
	}
}

// more returns the options, which it makes.
func (e *envelope) more() *options {
	if e.options == nil {
		e.options = new(options)
	}
	return e.options
}

// append appends the options, for another process. They may be nil.
func (o *options) append(dst []byte) []byte {
	if dst = wirecodec.AppendBool(dst, o != nil); o == nil {
		return dst
	}
	for _, list := range [][]connID{o.only, o.except} {
		if dst = wirecodec.AppendBool(dst, list != nil); list == nil {
			continue
		}
		dst = wirecodec.AppendUint(dst, uint64(len(list)))
		for _, id := range list {
			dst = wirecodec.AppendUint(dst, uint64(id))
		}
	}
	if dst = wirecodec.AppendBool(dst, o.hasTTL); o.hasTTL {
		dst = wirecodec.AppendInt(dst, int64(o.ttl))
	}
	return wirecodec.AppendUint(dst, o.collapse)
}

// readOptions reads what append wrote.
func readOptions(r *wirecodec.Reader) *options {
	if !r.Bool() {
		return nil
	}
	o := new(options)
	for _, list := range []*[]connID{&o.only, &o.except} {
		if !r.Bool() {
			continue
		}
		*list = []connID{} // empty is not nil
		for range r.Count(1) {
			*list = append(*list, connID(r.Uint(1<<64-1)))
		}
	}
	if o.hasTTL = r.Bool(); o.hasTTL {
		o.ttl = time.Duration(r.Int(0, 1<<62))
	}
	o.collapse = r.Uint(1<<64 - 1)
	return o
}

// listConns reads the id of a connection, or a list of them. null is as if it were not there.
func (e *envelope) listConns(to *[]connID, value string, otherwise Invalid) {
	var texts []string
	*to = nil
	switch {
	case value == "null":
		return
	case value[0] == '"':
		quoted := jsonscan.Unescaped(value)
		texts = []string{quoted[1 : len(quoted)-1]}
	case value[0] != '[' || json.Unmarshal([]byte(value), &texts) != nil || len(texts) > maxListedConns:
		e.wrong = otherwise
		return
	}
	*to = make([]connID, 0, len(texts)) // empty is not nil: only no connection
	for _, text := range texts {
		id, ok := parseConnID(text)
		if !ok {
			e.wrong = otherwise
			return
		}
		*to = append(*to, id)
	}
}

// maxTTL bounds "ttl": a year.
const maxTTL = 365 * 24 * time.Hour

// readTTL reads for how many seconds a notification may wait. null is as if it were not there.
func (e *envelope) readTTL(value string) {
	seconds, err := strconv.ParseFloat(value, 64)
	o := e.more()
	switch {
	case value == "null":
		o.hasTTL, o.ttl = false, 0
	case err != nil || seconds < 0 || seconds > maxTTL.Seconds():
		e.wrong = InvalidTTL
	default:
		o.hasTTL, o.ttl = true, time.Duration(seconds*float64(time.Second))
	}
}

// maxCollapseKey bounds "collapse", in bytes.
const maxCollapseKey = 255

// readCollapse reads the collapse key: of one key only the latest waits. null counts as no key.
func (e *envelope) readCollapse(value string) {
	key := jsonscan.Unescaped(value)
	switch {
	case value == "null":
		e.more().collapse = 0
	case value[0] != '"' || len(key) <= len(`""`) || len(key) > maxCollapseKey+len(`""`):
		e.wrong = InvalidCollapse
	default:
		hash := fnv.New64a() // the same in every process
		_, _ = hash.Write([]byte(key))
		e.more().collapse = max(1, hash.Sum64())
	}
}

// readTraceparent reads a traceparent of the W3C's Trace Context, for which there is no other use here than to pass it on. One that is
// not as that wants it is left out, as it says.
func (e *envelope) readTraceparent(value string) {
	text := jsonscan.Unescaped(value)
	if value[0] == '"' && ValidTraceparent(text[1:len(text)-1]) {
		e.more().traceparent = text[1 : len(text)-1]
	}
}

// ValidTraceparent reports whether a text is the value of a traceparent: version 00, a trace id, a parent id, and flags, in lower case (Trace
// Context, section 3.2.2).
func ValidTraceparent(text string) bool {
	const form = "00-0af7651916cd43dd8448eb211c80319c-b7ad6b7169203331-01"
	if len(text) != len(form) || text[:3] != form[:3] || strings.Trim(text[3:35], "0") == "" || strings.Trim(text[36:52], "0") == "" {
		return false
	}
	for i := range len(form) {
		c := text[i]
		if hex := '0' <= c && c <= '9' || 'a' <= c && c <= 'f'; (form[i] == '-') != (c == '-') || c != '-' && !hex {
			return false
		}
	}
	return true
}

// waiting says how a notification that arrived at a time, by Hub.Clock, may wait; nil: for as long as it has to.
func (o *options) waiting(arrived time.Duration) *Waiting {
	if o == nil || !o.hasTTL && o.collapse == 0 {
		return nil
	}
	w := &Waiting{Collapse: o.collapse}
	if o.hasTTL {
		w.Until = max(1, arrived+o.ttl)
	}
	return w
}

// reaches reports whether a notification is for a connection with an id; 0: it has none.
func (o *options) reaches(id connID) bool {
	return o == nil || (o.only == nil || slices.Contains(o.only, id)) && !slices.Contains(o.except, id)
}

// names reports whether it matters which connection is which.
func (o *options) names() bool { return o != nil && (o.only != nil || o.except != nil) }

// addressed returns those connections that a notification is for.
func (h *Hub) addressed(o *options, only Conn, several *batch) (Conn, *batch) {
	if !o.names() {
		return only, several
	}
	if several == nil {
		if !o.reaches(h.idOf(only)) {
			only = nil
		}
		return only, nil
	}
	several.conns = slices.DeleteFunc(several.conns, func(c Conn) bool { return !o.reaches(h.idOf(c)) })
	return nil, several
}
