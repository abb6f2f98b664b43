package rules

// textCases are about UTF-8. That it fails before the message ends is a choice.
func textCases() []Case {
	all := []Case{
		{Section: "8.1", Name: "UTF-8", Send: []string{frame(fin|text, "κόσμε 🐓")}, Want: servesOn},
		{
			Section: "8.1", Name: "character over fragments",
			Send: []string{frame(text, "a\xf0\x9f"), frame(cont, "\x90"), frame(fin|cont, "\x93")}, Want: servesOn,
		},
		{Section: "8.1", Name: "bad over fragments", Send: []string{frame(text, "a\xf0\x9f"), frame(fin|cont, "z")}, Want: badText},
		{Section: "8.1", Name: "cut at the end of fragments", Send: []string{frame(text, "a"), frame(fin|cont, "\xe2\x82")}, Want: badText},
		{Section: "8.1", Name: "bad in the first of two", Send: []string{frame(text, "a\xff"), frame(fin|cont, "b")}, Want: badText},
		{Section: "8.1", Name: "bad, before the message ends", Send: []string{frame(text, "a\xff")}, Advice: true, Want: badText},
		{
			Section: "8.1", Name: "bad, before the frame ends", Advice: true,
			Send: []string{headed(fin|text, string([]byte{masked | 100}), "a\xff")}, Want: badText,
		},
	}
	for _, bad := range []struct{ name, bytes string }{
		{"not a first byte", "a\x80"},
		{"a byte that there is not", "a\xff"},
		{"overlong", "\xc0\xaf"},
		{"overlong in three", "\xe0\x80\xaf"},
		{"a surrogate", "\xed\xa0\x80"},
		{"beyond U+10FFFF", "\xf4\x90\x80\x80"},
		{"cut short", "a\xe2\x82"},
	} {
		all = append(all, Case{Section: "8.1", Name: "text: " + bad.name, Send: []string{frame(fin|text, bad.bytes)}, Want: badText})
	}
	return all
}
