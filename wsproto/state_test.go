package wsproto

import (
	"bytes"
	"fmt"
	"testing"

	"roost/internal/wirecodec"
)

// moved is a decoder as another process gets it.
func moved(t *testing.T, d *Decoder) *Decoder {
	t.Helper()
	state := d.AppendState(nil)
	next := new(Decoder)
	r := wirecodec.NewReader(state)
	next.ReadState(r)
	if err := r.Done(); err != nil {
		t.Fatalf("%+v can't be read back: %v", *d, err)
	}
	if again := next.AppendState(nil); !bytes.Equal(again, state) {
		t.Fatalf("%x became %x", state, again)
	}
	return next
}

// A stream that changes hands behind any of its bytes is read as if it had not.
func TestDecoderMovesAnywhere(t *testing.T) {
	t.Parallel()
	stream := text("{\"type\":\"ping\"}") + ping("are you there") + begin("gr\xc3\xbc") + ping("") + end("\xc3\x9fe") + blob("123") + text("\xf0\x9f\x90\xa6")
	var want string
	for at := range len(stream) {
		d, got := new(Decoder), ""
		for i, piece := range []string{stream[:at], stream[at:]} {
			if i == 1 {
				d = moved(t, d)
			}
			in := []byte(piece)
			for {
				event, rest, err := d.Next(in, 0)
				if err != nil {
					t.Fatalf("moved behind byte %d: %v", at, err)
				}
				if event.Kind == EventNone {
					break
				}
				got += said(event)
				in = rest
			}
		}
		if !d.Idle() || got == "" {
			t.Fatalf("moved behind byte %d: not idle", at)
		}
		if at == 0 {
			want = got
		} else if got != want {
			t.Fatalf("moved behind byte %d: %s, want %s", at, got, want)
		}
	}
}

func said(e Event) string {
	return fmt.Sprintf("%d %v %v %d %q; ", e.Kind, e.Text, e.TextPing, e.Size, e.Payload)
}

// With any bytes as a state, the client's bytes do no harm.
func FuzzDecoderState(f *testing.F) {
	d := new(Decoder)
	_, _, _ = d.Next([]byte(begin("gr\xc3")), 0)
	f.Add(d.AppendState(nil), []byte(end("\xbc")))
	_, _, _ = d.Next([]byte(ping("12345")[:9]), 0)
	f.Add(d.AppendState(nil), []byte("45"))
	d = new(Decoder)
	_, _, _ = d.NextWithin([]byte(begin(`{"type":"auth","tok`)), Limits{Auth: MaxAuth})
	f.Add(d.AppendState(nil), []byte(end(`en":"abc"}`)))
	f.Fuzz(func(t *testing.T, state, input []byte) {
		r := wirecodec.NewReader(state)
		d := new(Decoder)
		d.ReadState(r)
		if r.Done() != nil {
			return
		}
		if again := d.AppendState(nil); !bytes.Equal(again, state) {
			t.Fatalf("%x became %x", state, again)
		}
		for range len(input) + 1 {
			event, rest, err := d.NextWithin(input, Limits{Message: 1 << 16, Auth: MaxAuth})
			if err != nil || event.Kind == EventNone {
				return
			}
			input = rest
		}
	})
}
