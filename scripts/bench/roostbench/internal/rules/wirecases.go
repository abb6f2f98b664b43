package rules

import "fmt"

// The expected answers to frames.
var (
	servesOn = Want{}
	// protocolError fails the connection (7.1.7): the end is a MUST, the code is not.
	protocolError = Want{Closes: []int{1002, NoFrame}}
	badText       = Want{Closes: []int{1007, NoFrame}}
	badReason     = Want{Closes: []int{1007, 1002, NoFrame}} // 5.5.1 names no code
	// tooBig is what breaks a rule by its length, or only somebody's limit.
	tooBig = Want{Closes: []int{1009, 1002, NoFrame}}
)

func ponged(payloads ...string) Want { return Want{Pongs: payloads} }
func closedWith(codes ...int) Want   { return Want{Closes: codes} }

func wireCases() []Case {
	var all []Case
	for _, group := range [][]Case{
		frameCases(), reservedCases(), lengthCases(), fragmentCases(), pingCases(), textCases(), closeCases(), closeCodeCases(),
	} {
		all = append(all, group...)
	}
	for i := range all {
		all[i].Group = Wire
	}
	return all
}

func frameCases() []Case {
	return []Case{
		{Section: "5.1", Name: "unmasked text", Send: []string{"\x81\x01x"}, Want: protocolError},
		{Section: "5.1", Name: "unmasked, empty", Send: []string{"\x81\x00"}, Want: protocolError},
		{Section: "5.1", Name: "unmasked ping", Send: []string{"\x89\x00"}, Want: protocolError},
		{Section: "5.1", Name: "unmasked close", Send: []string{"\x88\x00"}, Want: protocolError},
		{Section: "5.1", Name: "unmasked after a good message", Send: []string{frame(fin|text, "a"), "\x81\x01x"}, Want: protocolError},
		{Section: "5.3", Name: "a key of zeros", Send: []string{"\x89\x82\x00\x00\x00\x00hi"}, Want: ponged("hi")},
		{Section: "5.5", Name: "fragmented ping", Send: []string{frame(ping, "x"), frame(fin|cont, "y")}, Want: protocolError},
		{Section: "5.5", Name: "fragmented pong", Send: []string{frame(pong, "x")}, Want: protocolError},
		{Section: "5.5", Name: "fragmented close", Send: []string{frame(closes, "\x03\xe8")}, Want: protocolError},
		{Section: "5.5", Name: "ping of 126 bytes", Send: []string{frame(fin|ping, fill(126))}, Want: tooBig},
		{Section: "5.5", Name: "close of 126 bytes", Send: []string{closing(1000, fill(124))}, Want: tooBig},
		{Section: "5.6", Name: "text", Send: []string{frame(fin|text, "hello")}, Want: servesOn},
		{Section: "5.6", Name: "binary that is no text", Send: []string{frame(fin|binry, "\xff\xfe\x00")}, Want: servesOn},
		{Section: "5.6", Name: "empty messages", Send: []string{frame(fin|text, ""), frame(fin|binry, "")}, Want: servesOn},
	}
}

func reservedCases() []Case {
	var all []Case
	for bit := range 3 {
		name, rsv := fmt.Sprintf("RSV%d on ", bit+1), byte(0x40>>bit)
		all = append(all,
			Case{Section: "5.2", Name: name + "text", Send: []string{frame(fin|text|rsv, "x")}, Want: protocolError},
			Case{Section: "5.2", Name: name + "a ping", Send: []string{frame(fin|ping|rsv, "x")}, Want: protocolError},
			Case{Section: "5.2", Name: name + "a continuation", Send: []string{frame(text, "x"), frame(fin|cont|rsv, "y")}, Want: protocolError})
	}
	for _, op := range []byte{3, 4, 5, 6, 7, 11, 12, 13, 14, 15} {
		all = append(all, Case{Section: "5.2", Name: fmt.Sprintf("opcode %d", op), Send: []string{frame(fin|op, "")}, Want: protocolError})
	}
	return all
}

func lengthCases() []Case {
	return []Case{
		{Section: "5.2", Name: "5 in 16 bits", Send: []string{headed(fin|text, long(126, 5), "hello")}, Want: protocolError},
		{Section: "5.2", Name: "125 in 16 bits", Send: []string{headed(fin|text, long(126, 125), fill(125))}, Want: protocolError},
		{Section: "5.2", Name: "5 in 64 bits", Send: []string{headed(fin|text, long(127, 5), "hello")}, Want: protocolError},
		{Section: "5.2", Name: "300 in 64 bits", Send: []string{headed(fin|text, long(127, 300), fill(300))}, Want: protocolError},
		{Section: "5.2", Name: "top bit of 64", Send: []string{headed(fin|text, long(127, 1<<63|5), "hello")}, Want: tooBig},
		{Section: "5.2", Name: "125 bytes", Send: []string{frame(fin|text, fill(125))}, Want: servesOn},
		{Section: "5.2", Name: "126 bytes", Send: []string{frame(fin|text, fill(126))}, Want: servesOn},
		{Section: "10.4", Name: "a terabyte announced", Send: []string{headed(fin|text, long(127, 1<<40), "")}, Advice: true, Want: tooBig},
	}
}

func fragmentCases() []Case {
	return []Case{
		{Section: "5.4", Name: "three fragments", Send: []string{frame(text, "a"), frame(cont, "b"), frame(fin|cont, "c")}, Want: servesOn},
		{Section: "5.4", Name: "empty fragments", Send: []string{frame(text, ""), frame(cont, ""), frame(fin|cont, "")}, Want: servesOn},
		{Section: "5.4", Name: "continuation first", Send: []string{frame(fin|cont, "x")}, Want: protocolError},
		{Section: "5.4", Name: "continuation first, not final", Send: []string{frame(cont, "x")}, Want: protocolError},
		{
			Section: "5.4", Name: "continuation after the end",
			Send: []string{frame(text, "a"), frame(fin|cont, "b"), frame(fin|cont, "c")}, Want: protocolError,
		},
		{Section: "5.4", Name: "text inside a message", Send: []string{frame(text, "a"), frame(fin|text, "b")}, Want: protocolError},
		{Section: "5.4", Name: "binary inside a message", Send: []string{frame(text, "a"), frame(binry, "b")}, Want: protocolError},
		{Section: "5.4", Name: "close inside a message", Send: []string{frame(text, "a"), closing(1000, "")}, Want: closedWith(1000)},
	}
}

func pingCases() []Case {
	ping3 := []string{frame(fin|ping, "1") + frame(fin|ping, "2"), frame(fin|ping, "3")}
	return []Case{
		{Section: "5.5.2", Name: "ping", Send: []string{frame(fin|ping, "hello")}, Want: ponged("hello")},
		{Section: "5.5.2", Name: "empty ping", Send: []string{frame(fin|ping, "")}, Want: ponged("")},
		{Section: "5.5.3", Name: "ping that is no text", Send: []string{frame(fin|ping, "\x00\xff\xfe")}, Want: ponged("\x00\xff\xfe")},
		{Section: "5.5.3", Name: "ping of 125 bytes", Send: []string{frame(fin|ping, fill(125))}, Want: ponged(fill(125))},
		{Section: "5.5.3", Name: "three pings, in order", Send: ping3, Want: ponged("1", "2", "3")},
		{Section: "5.4", Name: "ping among fragments", Send: []string{frame(text, "a"), frame(fin|ping, "p"), frame(fin|cont, "b")}, Want: ponged("p")},
		{
			Section: "5.4", Name: "ping inside a character",
			Send: []string{frame(text, "\xc3"), frame(fin|ping, "p"), frame(fin|cont, "\xa9")}, Want: ponged("p"),
		},
		{Section: "5.5.3", Name: "pong that nobody asked for", Send: []string{frame(fin|pong, "x")}, Want: servesOn},
	}
}
