package rules

import "strings"

// httpCases are about RFC 9112, by which a request is read.
func httpCases() []Case {
	return append(bodyCases(), []Case{
		{Section: "RFC 9112, 3.2", Name: "no Host", Send: []string{request("-Host")}, Want: badHTTP},
		{Section: "RFC 9112, 3.2", Name: "two Hosts", Send: []string{request("+Host: elsewhere")}, Want: badHTTP},
		{Section: "RFC 9112, 3.2", Name: "Host that is none", Send: []string{request("Host: a b/c")}, Want: badHTTP},
		{Section: "RFC 9112, 3.2.2", Name: "absolute form", Send: []string{request(">GET http://{host}{path}?token={token} HTTP/1.1")}, Want: accepted},
		{ // the same resource by RFC 3986, section 6.2.2.2, or none: either is an answer
			Section: "RFC 9110, 4.2.3", Name: "path %-encoded", Send: []string{request(">GET /%77s?token={token} HTTP/1.1")},
			Want: Want{Status: []int{101, 400, 404, NoAnswer}},
		},
		{Section: "RFC 9112, 5.1", Name: "space before a colon", Send: []string{request("+X-A : b")}, Want: badHTTP},
		// A server may also read it as one line with a space.
		{Section: "RFC 9112, 5.2", Name: "folded line", Send: []string{request("+X-A: b\r\n c")}, Advice: true, Want: badHTTP},
		// A recipient may take a bare LF for the end of a line, and a bare CR for a space.
		{Section: "RFC 9112, 2.2", Name: "bare LF", Send: []string{request("+X-A: b\nX-C: d")}, Advice: true, Want: badHTTP},
		{Section: "RFC 9112, 2.2", Name: "bare CR", Send: []string{request("+X-A: b\rX-C: d")}, Advice: true, Want: badHTTP},
		// NUL may be taken for a space.
		{Section: "RFC 9110, 5.5", Name: "NUL in a value", Send: []string{request("+X-A: b\x00c")}, Advice: true, Want: badHTTP},
		{Section: "RFC 9112, 3", Name: "two spaces in the first line", Send: []string{request(">GET  {path}?token={token} HTTP/1.1")}, Advice: true, Want: badHTTP},
		{Section: "RFC 9110, 5.1", Name: "field without a name", Send: []string{request("+: b")}, Want: badHTTP},
		{
			Section: "RFC 9110, 5.4", Name: "head of 64 KiB", Advice: true,
			Send: []string{request("X-Long: " + strings.Repeat("x", 64<<10))}, Want: Want{Status: []int{400, 413, 414, 431, NoAnswer}},
		},
	}...)
}

// bodyCases are requests with a body, or with what looks like one: taken for
// frames it is a way to smuggle.
func bodyCases() []Case {
	return []Case{
		{Section: "RFC 9112, 6.3", Name: "two lengths", Send: []string{request("+Content-Length: 1", "+Content-Length: 2") + "xx"}, Want: badHTTP},
		{Section: "RFC 9112, 6.3", Name: "length that is no number", Send: []string{request("Content-Length: one") + "x"}, Want: badHTTP},
		{Section: "RFC 9112, 6", Name: "body", Send: []string{request("Content-Length: 5"), "hello"}, Advice: true, Want: badHTTP},
		{Section: "RFC 9112, 6.1", Name: "chunked body", Send: []string{request("Transfer-Encoding: chunked"), "0\r\n\r\n"}, Advice: true, Want: badHTTP},
		{
			Section: "RFC 9112, 6.1", Name: "chunked, and a length", Advice: true,
			Send: []string{request("Transfer-Encoding: chunked", "Content-Length: 5"), "0\r\n\r\n"}, Want: badHTTP,
		},
	}
}

// strangerCases are not HTTP/1 at all. RFC 9112 says SHOULD of how they are
// answered; a server that upgrades or waits for more of them is told.
func strangerCases() []Case {
	hello := "\x16\x03\x01\x00\x2f\x01\x00\x00\x2b\x03\x03" + strings.Repeat("r", 32) + "\x00\x00\x02\x13\x01\x01\x00\x00\x00"
	return []Case{
		{Section: "RFC 9112, 2.3", Name: "HTTP/2 preface", Send: []string{"PRI * HTTP/2.0\r\n\r\nSM\r\n\r\n"}, Want: notHTTP},
		// RFC 6455 says "1.1 or higher".
		{Section: "RFC 9112, 2.3", Name: "HTTP/3.0", Send: []string{request(">GET {path}?token={token} HTTP/3.0")}, Advice: true, Want: notHTTP},
		{Section: "RFC 9112, 3", Name: "TLS client hello", Send: []string{hello}, Advice: true, Want: notHTTP},
		{Section: "RFC 9112, 3", Name: "garbage", Send: []string{"\x00\xff garbage \x7f\r\n\r\n"}, Want: notHTTP},
		{Section: "RFC 9112, 3", Name: "a frame before the request", Send: []string{frame(fin|text, "hello") + "\r\n\r\n"}, Want: notHTTP},
		{Section: "RFC 9112, 3", Name: "words", Send: []string{"hello, is anybody there?\r\n\r\n"}, Want: notHTTP},
	}
}
