package handshake

import (
	"errors"
	"net/netip"
	"strings"
	"testing"
)

func TestForwardedFor(t *testing.T) {
	t.Parallel()
	upgrader := newUpgrader(t, Config{TrustedProxies: []string{"127.0.0.1", "10.0.0.0/8", "2001:db8:ffff::/48"}})
	for name, test := range map[string]struct {
		peer   string
		fields []string
		want   string
	}{
		"no field":                           {"10.0.0.1", nil, "10.0.0.1"},
		"one hop":                            {"10.0.0.1", []string{"192.0.2.1"}, "192.0.2.1"},
		"peer mapped":                        {"::ffff:10.0.0.1", []string{"192.0.2.1"}, "192.0.2.1"},
		"not a proxy":                        {"192.0.2.9", []string{"198.51.100.1"}, "192.0.2.9"},
		"forged by the client":               {"10.0.0.1", []string{"198.51.100.1, 192.0.2.1"}, "192.0.2.1"},
		"forged as a proxy":                  {"10.0.0.1", []string{"198.51.100.1, 10.0.0.7, 192.0.2.1"}, "192.0.2.1"},
		"two hops":                           {"127.0.0.1", []string{"192.0.2.1, 10.0.0.2"}, "192.0.2.1"},
		"two fields":                         {"127.0.0.1", []string{"192.0.2.1", "10.0.0.2"}, "192.0.2.1"},
		"many fields, the last ones count":   {"127.0.0.1", []string{"192.0.2.1", "10.0.0.1", "10.0.0.2", "10.0.0.3", "10.0.0.4"}, "10.0.0.1"},
		"all trusted":                        {"127.0.0.1", []string{"10.0.0.3,10.0.0.2"}, "10.0.0.3"},
		"port":                               {"127.0.0.1", []string{"192.0.2.1:4711"}, "192.0.2.1"},
		"IPv6":                               {"2001:db8:ffff::1", []string{"2001:db8::1"}, "2001:db8::1"},
		"IPv6 in brackets":                   {"127.0.0.1", []string{"[2001:db8::1]"}, "2001:db8::1"},
		"IPv6 with a port":                   {"127.0.0.1", []string{"[2001:db8::1]:443"}, "2001:db8::1"},
		"mapped":                             {"127.0.0.1", []string{"::ffff:192.0.2.1"}, "192.0.2.1"},
		"unknown":                            {"127.0.0.1", []string{"unknown"}, "127.0.0.1"},
		"garbage before the client":          {"127.0.0.1", []string{"<script>, 192.0.2.1"}, "192.0.2.1"},
		"garbage behind a proxy":             {"127.0.0.1", []string{"192.0.2.1, x, 10.0.0.2"}, "10.0.0.2"},
		"empty":                              {"127.0.0.1", []string{""}, "127.0.0.1"},
		"empty entry":                        {"127.0.0.1", []string{"192.0.2.1,"}, "127.0.0.1"},
		"zone":                               {"127.0.0.1", []string{"fe80::1%eth0"}, "127.0.0.1"},
		"leading zeros":                      {"127.0.0.1", []string{"192.0.02.1"}, "127.0.0.1"},
		"very long":                          {"127.0.0.1", []string{strings.Repeat("1", 4000)}, "127.0.0.1"},
		"bracket only":                       {"127.0.0.1", []string{"["}, "127.0.0.1"},
		"brackets only":                      {"127.0.0.1", []string{"[]"}, "127.0.0.1"},
		"empty, then a field of the proxy's": {"127.0.0.1", []string{"", "192.0.2.1"}, "192.0.2.1"},
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			var lines []string
			for _, field := range test.fields {
				lines = append(lines, "x-forwarded-FOR: "+field)
			}
			request, refusal := upgrader.Read(upgradeHead("/ws?token=x", lines...))
			if refusal != nil {
				t.Fatal(refusal.Text())
			}
			if got := upgrader.Client(&request, netip.MustParseAddr(test.peer)); got.String() != test.want {
				t.Errorf("the client is %s, want %s", got, test.want)
			}
		})
	}
}

func TestTrustedProxiesRefused(t *testing.T) {
	t.Parallel()
	for _, bad := range []string{"", "proxy", "10.0.0.0/33", "10.0.0.1:80", "fe80::1%eth0", "::ffff:10.0.0.0/104", "10.0.0.0/8/8"} {
		_, err := New(Config{TrustedProxies: []string{"127.0.0.1", bad}})
		if !errors.Is(err, ErrProxyPattern) || !strings.Contains(err.Error(), `"`+bad+`"`) {
			t.Errorf("%q: %v", bad, err)
		}
	}
}

// Only trusted hops are believed, with any value of the field.
func FuzzForwardedFor(f *testing.F) {
	for _, seed := range []string{"192.0.2.1", "1.2.3.4, 10.0.0.1", "[2001:db8::1]:80,10.1.1.1", ",", "unknown, 10.0.0.1"} {
		f.Add(seed, "10.0.0.2")
	}
	trusted, err := compileProxies([]string{"10.0.0.0/8"})
	if err != nil {
		f.Fatal(err)
	}
	f.Fuzz(func(t *testing.T, one, two string) {
		var reported forwardedFor
		reported.add([]byte(one))
		reported.add([]byte(two))
		outside := netip.MustParseAddr("192.0.2.99")
		if got := trusted.client(outside, &reported); got != outside {
			t.Fatalf("an untrusted peer made itself %s", got)
		}
		got := trusted.client(netip.MustParseAddr("10.0.0.1"), &reported)
		if !got.IsValid() || got.Is4In6() || got.Zone() != "" {
			t.Fatalf("the client is %s", got)
		}
		// Entries that a client puts in front change nothing once the walk has ended.
		if !trusted.trusts(got) {
			var forged forwardedFor
			forged.add([]byte("203.0.113.7, " + one))
			forged.add([]byte(two))
			if again := trusted.client(netip.MustParseAddr("10.0.0.1"), &forged); again != got {
				t.Fatalf("%s became %s by what was put in front", got, again)
			}
		}
	})
}
