package topology

import (
	"errors"

	"roost/internal/wirecodec"
	"roost/redisfeed/internal/boottime"
)

// errView is the error for a View that no process writes down.
var errView = errors.New("a map of slots that can't be")

// maxAddr is more than an address may have, in bytes.
const maxAddr = 1 << 10

// Append appends the view, for another process on this host.
func (v *View) Append(dst []byte) []byte {
	dst = wirecodec.AppendInt(dst, int64(v.Asked))
	for _, list := range [][]string{v.Masters, v.Nodes} {
		dst = wirecodec.AppendUint(dst, uint64(len(list)))
		for _, addr := range list {
			dst = wirecodec.AppendString(dst, addr)
		}
	}
	for slot := 0; slot < Slots; {
		end := slot
		for end < Slots && v.owner[end] == v.owner[slot] {
			end++
		}
		dst = wirecodec.AppendUint(dst, uint64(v.owner[slot]))
		dst = wirecodec.AppendUint(dst, uint64(end-slot))
		slot = end
	}
	return dst
}

// ReadView reads what Append wrote. r has the error.
func ReadView(r *wirecodec.Reader) *View {
	v := &View{Asked: min(boottime.Instant(r.Int(0, 1<<62)), boottime.Now())}
	for _, list := range []*[]string{&v.Masters, &v.Nodes} {
		for range r.Count(1) {
			*list = append(*list, r.String(maxAddr))
		}
	}
	before := uint16(0)
	for slot := 0; slot < Slots && r.Err() == nil; {
		owner, n := uint16(r.Uint(uint64(len(v.Masters)))), int(r.Uint(uint64(Slots-slot)))
		if n == 0 || slot > 0 && owner == before {
			r.Fail(errView)
			break
		}
		for ; n > 0; n-- {
			v.owner[slot] = owner
			slot++
		}
		before = owner
	}
	return v
}
