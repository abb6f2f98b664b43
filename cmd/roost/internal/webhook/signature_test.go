package webhook

import (
	"encoding/base64"
	"strings"
	"testing"
	"time"
)

// The signature is that of the convention's own libraries: a vector of theirs.
func TestSignature(t *testing.T) {
	t.Parallel()
	keys, err := parseSecrets([]string{"whsec_MfKQ9r8GKYqrTwjUPD8ILPZIo2LaLaSw", testSecret})
	if err != nil {
		t.Fatal(err)
	}
	got := sign(keys, "msg_p5jXN8AQM9LWM0D4loKWxJek", time.Unix(1614265330, 0), []byte(`{"test": 2432232314}`))
	first, second, _ := strings.Cut(got, " ")
	if first != "v1,g0hM9SsE+OTPJTGt/tmIKtSyZlE3uFJELVlNIOLJ1OE=" {
		t.Errorf("signed %s", first)
	}
	if !strings.HasPrefix(second, "v1,") || len(second) != len(first) || second == first {
		t.Errorf("the second secret signed %q", second)
	}
}

func TestCheckSecrets(t *testing.T) {
	t.Parallel()
	of := func(n int) string { return secretPrefix + base64.StdEncoding.EncodeToString(make([]byte, n)) }
	for name, test := range map[string]struct {
		secrets []string
		says    string // "": right
	}{
		"one":            {[]string{testSecret}, ""},
		"two":            {[]string{testSecret, of(24)}, ""},
		"longest":        {[]string{of(64)}, ""},
		"none":           {nil, "0 secrets"},
		"three":          {[]string{of(24), of(32), of(64)}, "3 secrets"},
		"short":          {[]string{of(23)}, "23 bytes"},
		"long":           {[]string{of(65)}, "65 bytes"},
		"no prefix":      {[]string{"0123456789abcdef0123456789abcdef"}, "whsec_"},
		"no base64":      {[]string{secretPrefix + "!" + of(24)}, "base64"},
		"the second one": {[]string{testSecret, "whsec_"}, "0 bytes"},
	} {
		err := CheckSecrets(test.secrets)
		switch {
		case test.says == "" && err != nil:
			t.Errorf("%s: %v", name, err)
		case test.says != "" && (err == nil || !strings.Contains(err.Error(), test.says)):
			t.Errorf("%s: %v, want %q", name, err, test.says)
		}
	}
}

func TestCheckURL(t *testing.T) {
	t.Parallel()
	for address, right := range map[string]bool{
		"https://app.example.com/hooks":        true,
		"http://127.0.0.1:3000":                true,
		"http://app/hooks?from=roost":          true,
		"https://[::1]:3000/":                  true,
		"":                                     false,
		"app.example.com/hooks":                false,
		"https://":                             false,
		"https:///hooks":                       false,
		"https://:443/":                        false,
		"ftp://app.example.com":                false,
		"unix:/run/app.sock":                   false,
		"https://user:pw@app.example.com":      false,
		"https://app.example.com/#x":           false,
		"https://app.example.com/\nhooks":      false,
		"file:///etc/passwd":                   false,
		"https://app.example.com:port/":        false,
		"javascript:alert(1)":                  false,
		"gopher://127.0.0.1:6379/_FLUSHALL%0a": false,
	} {
		if err := CheckURL(address); (err == nil) != right {
			t.Errorf("%q: %v", address, err)
		}
	}
}
