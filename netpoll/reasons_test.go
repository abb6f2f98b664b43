package netpoll

import (
	"testing"

	"roost/wsproto"
)

func TestCloseClass(t *testing.T) {
	t.Parallel()
	frame := func(code wsproto.CloseCode) []byte { return wsproto.AppendClose(nil, code, "why") }
	for _, tt := range []struct {
		lastWords []byte
		want      string
	}{
		{nil, "1006"},
		{[]byte("HTTP/1.1 400 Bad Request\r\n\r\n"), "1006"},
		{frame(0), "1005"},
		{frame(wsproto.CloseNormal), "1000"},
		{frame(wsproto.CloseBadGateway), "1014"},
		{frame(3000), "3xxx"},
		{frame(3999), "3xxx"},
		{frame(4000), "4xxx"},
		{frame(4401), "4401"},
		{frame(4403), "4403"},
		{frame(4429), "4429"},
		{frame(4430), "4xxx"},
		{frame(4999), "4xxx"},
	} {
		if got := closeClassOf(tt.lastWords).String(); got != tt.want {
			t.Errorf("%.20q is counted as %s, want %s", tt.lastWords, got, tt.want)
		}
	}
}

// However many codes there are, a scrape has a line for each class only.
func TestCloseClassesAreFew(t *testing.T) {
	t.Parallel()
	names := make(map[string]bool)
	for code := range 1 << 16 {
		class := closeClassOf(wsproto.AppendClose(nil, wsproto.CloseCode(code), ""))
		if int(class) >= closeClasses {
			t.Fatalf("%d has class %d of %d", code, class, closeClasses)
		}
		names[class.String()] = true
	}
	names[closeNone.String()] = true
	if len(names) != closeClasses {
		t.Errorf("%d names for %d classes", len(names), closeClasses)
	}
}
