package tlsrecord

import (
	"bytes"
	"errors"
	"strings"
	"testing"
)

// moved is the connection in another process.
func moved(t *testing.T, c *Conn) *Conn {
	t.Helper()
	state := c.AppendState(nil)
	next, err := FromState(state)
	if err != nil {
		t.Fatal(err)
	}
	if again := next.AppendState(nil); !bytes.Equal(again, state) {
		t.Fatalf("state %x became %x", state, again)
	}
	c.Wipe(NewCache(0))
	return next
}

// A connection whose state moves goes on where it was, between any two bytes of what the client sends.
func TestStateMovesBetweenAnyBytes(t *testing.T) {
	for _, s := range allSuites {
		c, peer := twins(t, s)
		first := c.AppendState(nil)
		cache := NewCache(8)
		stream, want := script(t, peer, cache)
		for at := range len(stream) + 1 {
			c, err := FromState(first)
			if err != nil {
				t.Fatal(err)
			}
			plain, rest, err1 := c.Open(bytes.Clone(stream[:at]), cache)
			c = moved(t, c)
			more, _, err2 := c.Open(append(bytes.Clone(rest), stream[at:]...), NewCache(1))
			if got := string(plain) + string(more); got != want || err1 != nil && err1 != ErrCloseNotify || err1 == nil && err2 != ErrCloseNotify {
				t.Fatalf("%v, moved at %d: %q, %v, %v", s, at, got, err1, err2)
			}
		}
	}
}

// No record is sealed twice: the one that reads sees no seam.
func TestStateGoesOnSealing(t *testing.T) {
	for _, s := range allSuites {
		c, peer := twins(t, s)
		var stream []byte
		for i := range 20 {
			cache := NewCache(i % 2)
			stream = append(stream, seal(t, c, []byte{byte('a' + i)}, cache)...)
			if i%5 == 4 {
				sealed, err := c.SealKeyUpdate(nil, i == 4, cache)
				if err != nil {
					t.Fatal(err)
				}
				stream = append(stream, sealed...)
			}
			c = moved(t, c)
		}
		stream = c.CloseNotify(stream, NewCache(0))
		c = moved(t, c)
		if b := c.CloseNotify(nil, NewCache(0)); len(b) > 0 {
			t.Errorf("%v: close_notify twice", s)
		}
		if plain, _, err := peer.Open(stream, NewCache(1)); string(plain) != "abcdefghijklmnopqrst" || err != ErrCloseNotify {
			t.Errorf("%v: %q, %v", s, plain, err)
		}
	}
}

func TestFromStateRefuses(t *testing.T) {
	for _, s := range allSuites {
		c, _ := twins(t, s)
		good := c.AppendState(nil)
		change := func(at int, to byte) []byte {
			b := bytes.Clone(good)
			b[at] = to
			return b
		}
		for name, test := range map[string]struct {
			state []byte
			want  string
		}{
			"nothing":              {nil, "0 bytes"},
			"another version":      {change(0, 2), "version 2"},
			"another suite":        {change(1, 3), "suite 3"},
			"too short":            {good[:len(good)-1], "bytes of"},
			"too long":             {append(bytes.Clone(good), 0), "bytes of"},
			"begun":                {change(3, 5), "out of its bounds"},
			"records without data": {change(4, maxIdle+2), "out of its bounds"},
			"credit":               {change(5, maxCredit+1), "out of its bounds"},
			"earned":               {change(6, creditPer), "out of its bounds"},
		} {
			if c, err := FromState(test.state); c != nil || !errors.Is(err, ErrState) || !strings.Contains(err.Error(), test.want) {
				t.Errorf("%v, %s: %v, want %q", s, name, err, test.want)
			}
		}
	}
}

// FuzzFromState reads anything: it never panics, and takes only what AppendState would write.
func FuzzFromState(f *testing.F) {
	f.Add([]byte{1, 0, 0, 0, 0, 16, 0})
	f.Add(append([]byte{1, 1, 0, 0, 0, 16, 0}, make([]byte, 104)...))
	f.Add(append([]byte{1, 2, 3, 4, 32, 0, 15}, make([]byte, 72)...))
	f.Fuzz(func(t *testing.T, b []byte) {
		c, err := FromState(b)
		if err != nil {
			return
		}
		if got := c.AppendState(nil); !bytes.Equal(got, b) {
			t.Fatalf("%x became %x", b, got)
		}
		cache := NewCache(1)
		_, _ = c.Seal(nil, []byte("x"), cache)
		_, _, _ = c.Open([]byte("\x17\x03\x03\x00\x13aaaaaaaaaaaaaaaaaaa"), cache)
	})
}
