package handshake

import (
	"bytes"
	"net/url"
	"strings"
	"testing"
)

// FuzzQuery compares with net/url.
func FuzzQuery(f *testing.F) {
	for _, seed := range []string{"", "token=a", "a=b&token=a.b-c_d&c", "token=%41%2e+x", "t%6fken=1&token", "token=%", "&&=&token==", "token=%zz&token=1", "%=1", "TOKEN=1"} {
		f.Add(seed)
	}
	f.Fuzz(func(t *testing.T, query string) {
		given := []byte(query)
		value, count, ok := queryValue(given, "token")
		if string(given) != query {
			t.Fatal("the query was changed")
		}
		if strings.Contains(query, ";") {
			return // net/url refuses what is an ordinary character here
		}
		var want []string
		bad := false
		for pair := range strings.SplitSeq(query, "&") {
			values, err := url.ParseQuery(pair)
			if key, _, _ := strings.Cut(pair, "="); err != nil {
				decoded, keyErr := url.QueryUnescape(key)
				bad = bad || keyErr == nil && decoded == "token"
			}
			want = append(want, values["token"]...)
		}
		if ok == bad {
			t.Fatalf("ok = %v", ok)
		}
		if !ok {
			return
		}
		if count != len(want) || count > 0 && string(value) != want[count-1] {
			t.Fatalf("%q, %d times; want %q", value, count, want)
		}
	})
}

func TestPlainValuesAreNotCopied(t *testing.T) {
	t.Parallel()
	query := []byte("a=b&token=abc&c=d")
	value, _, _ := queryValue(query, "token")
	query[bytes.IndexByte(query, 'c')] = 'x'
	if string(value) != "abx" {
		t.Errorf("%q is a copy", value)
	}
}
