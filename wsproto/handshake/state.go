package handshake

import (
	"math"
	"time"

	"roost/internal/names"
	"roost/internal/position"
	"roost/internal/wirecodec"
	"roost/wsproto/auth"
)

// AppendState appends a request after Identify whose token was accepted, for another process that answers it. It leaves out the
// parts that only a refusal of the token or the origin needs.
func (r *Request) AppendState(dst []byte) []byte {
	dst = wirecodec.AppendUint(dst, uint64(r.Kind))
	dst = wirecodec.AppendString(dst, r.User)
	expires := int64(0)
	if !r.Expires.IsZero() {
		expires = r.Expires.Unix()
	}
	dst = wirecodec.AppendInt(dst, expires)
	dst = wirecodec.AppendUint(dst, uint64(len(r.Groups)))
	for _, group := range r.Groups {
		dst = wirecodec.AppendString(dst, group)
	}
	dst = wirecodec.AppendString(dst, r.Since)
	dst = append(dst, r.key[:]...)
	dst = wirecodec.AppendBool(dst, r.protocol)
	dst = wirecodec.AppendBytes(dst, r.page)
	return wirecodec.AppendBool(dst, r.retries)
}

// ReadState reads what AppendState wrote. It copies what it keeps. Errors are the reader's.
func (r *Request) ReadState(from *wirecodec.Reader) {
	*r = Request{Kind: Kind(from.Uint(uint64(EventStream))), User: from.String(names.MaxUser)}
	if expires := from.Int(math.MinInt64, math.MaxInt64); expires != 0 {
		r.Expires = time.Unix(expires, 0)
	}
	for range from.Count(1) {
		if len(r.Groups) >= auth.MaxGroups {
			_ = from.Fail(wirecodec.ErrRange)
		}
		if from.Err() != nil {
			return
		}
		r.Groups = append(r.Groups, from.String(names.MaxGroup))
	}
	r.Since = from.String(position.MaxSize)
	copy(r.key[:], from.Raw(keySize))
	r.protocol = from.Bool()
	if page := from.Bytes(MaxHead); len(page) > 0 {
		r.page = append([]byte(nil), page...)
	}
	r.retries = from.Bool()
}
