package rules

import "fmt"

func closeCases() []Case {
	return []Case{
		{Section: "5.5.1", Name: "close", Send: []string{closing(1000, "bye")}, Want: closedWith(1000)},
		{Section: "5.5.1", Name: "close without a code", Send: []string{frame(fin|closes, "")}, Want: closedWith(1005, 1000)},
		{Section: "5.5.1", Name: "close with one byte", Send: []string{frame(fin|closes, "\x03")}, Want: protocolError},
		{Section: "5.5.1", Name: "reason that is not UTF-8", Send: []string{closing(1000, "\xff\xfe")}, Want: badReason},
		{Section: "5.5.1", Name: "reason cut inside a character", Send: []string{closing(1000, "a\xe2\x82")}, Want: badReason},
		{Section: "5.5.1", Name: "reason of 123 bytes", Send: []string{closing(1000, fill(123))}, Want: closedWith(1000)},
		{
			Section: "5.5.1", Name: "ping, then close", Send: []string{frame(fin|ping, "p"), closing(1000, "")},
			Want: Want{Pongs: []string{"p"}, Closes: []int{1000}},
		},
		{Section: "1.4", Name: "ping after close", Send: []string{closing(1000, "") + frame(fin|ping, "late")}, Want: closedWith(1000)},
		{Section: "1.4", Name: "bad frame after close", Send: []string{closing(1000, "") + "\x81\x01x"}, Want: closedWith(1000)},
		{Section: "1.4", Name: "second close", Send: []string{closing(1000, "") + closing(1001, "")}, Want: closedWith(1000)},
		{Section: "7.1.7", Name: "ping after a violation", Send: []string{frame(fin|3, "") + frame(fin|ping, "late")}, Want: protocolError},
	}
}

// closeCodeCases are section 7.4: an answer typically echoes the code.
func closeCodeCases() []Case {
	var all []Case
	for _, code := range []int{1000, 1001, 1003, 1007, 1011, 3000, 3999, 4000, 4999} {
		all = append(all, Case{
			Section: "7.4", Name: fmt.Sprintf("close code %d", code), Send: []string{closing(code, "")}, Want: closedWith(code, 1000),
		})
	}
	for _, code := range []int{0, 999, 1004, 1005, 1006, 1015, 1016, 2000, 2999, 5000, 65535} {
		forbidden := code < 1000 || code == 1005 || code == 1006 || code == 1015
		all = append(all, Case{
			Section: "7.4", Name: fmt.Sprintf("close code %d, not for the wire", code), Send: []string{closing(code, "")},
			Advice: !forbidden, // the others are reserved, or not defined
			Want:   protocolError,
		})
	}
	return all
}
