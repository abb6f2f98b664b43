package handshake

import (
	"bytes"
	"strings"
	"testing"
	"time"
)

// The mistakes that integrators make over and over are answered with what to change.
func TestMistakesAreAnsweredInWords(t *testing.T) {
	t.Parallel()
	upgrader := newUpgrader(t, Config{})
	for name, test := range map[string]struct {
		head []byte
		says string
	}{
		"nginx without proxy_http_version": {bytes.Replace(upgradeHead("/ws?token=a.b.c"), []byte("/1.1"), []byte("/1.0"), 1), "proxy_http_version 1.1"},
		"a proxy that drops Upgrade":       {bytes.Replace(upgradeHead("/ws?token=a.b.c"), []byte("Upgrade: websocket\r\n"), nil, 1), "pass both on"},
		"JSON.stringify":                   {upgradeHead("/ws?token=%22a.b.c%22"), "quotes"},
		"quotes as they are":               {upgradeHead(`/ws?token='a.b.c'`), "quotes"},
		"undefined":                        {upgradeHead("/ws?token=undefined"), "undefined"},
		"null":                             {upgradeHead("/ws?token=null"), "undefined, null"},
		"an object":                        {upgradeHead("/ws?token=%5Bobject%20Object%5D"), "[object"},
		"a promise":                        {upgradeHead("/ws?token=[object+Promise]"), "[object"},
		"Bearer in the query":              {upgradeHead("/ws?token=Bearer%20a.b.c"), "Bearer"},
		"Bearer twice":                     {upgradeHead("/ws", "Authorization: Bearer Bearer a.b.c"), "Bearer"},
		"a newline":                        {upgradeHead("/ws?token=a.b.c%0A"), "white space"},
		"an opaque token":                  {upgradeHead("/ws?token=deadbeef"), "three parts"},
		"an encrypted token":               {upgradeHead("/ws?token=a.b.c.d.e"), "three parts"},
	} {
		request, refusal := upgrader.Read(test.head)
		if refusal == nil {
			var later bool
			if refusal, later = upgrader.Identify(&request, time.Now()); later {
				refusal = upgrader.Check(&request, time.Now())
			}
		}
		if refusal == nil || !strings.Contains(refusal.Text(), test.says) || strings.Contains(refusal.Text(), "a.b.c") {
			t.Errorf("%s: %+v", name, refusal)
		}
	}
}

// A server has to take the absolute form of its own address, and ws://host/ws is one.
func TestAbsoluteTargets(t *testing.T) {
	t.Parallel()
	upgrader := newUpgrader(t, Config{})
	for _, target := range []string{"http://h/ws", "HTTPS://h:443/ws", "ws://h/ws", "WSS://[::1]:1/ws"} {
		if _, refusal := upgrader.Read(upgradeHead(target + "?token=a.b.c")); refusal != nil {
			t.Errorf("%s: %s", target, refusal.Text())
		}
	}
	for _, target := range []string{"ftp://h/ws", "ws:/h/ws", "ws://u@h/ws", "ws:///ws", "wsx://h/ws"} {
		if _, refusal := upgrader.Read(upgradeHead(target + "?token=a.b.c")); refusal == nil || refusal.Status != 400 {
			t.Errorf("%s: %+v", target, refusal)
		}
	}
}
