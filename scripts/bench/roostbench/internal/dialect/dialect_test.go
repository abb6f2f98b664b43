package dialect

import "testing"

func TestDialects(t *testing.T) {
	t.Parallel()
	roost, err1 := Named("roost")
	centrifugo, err2 := Named("centrifugo")
	if err1 != nil || err2 != nil {
		t.Fatal(err1, err2)
	}
	tests := []struct{ what, got, want string }{
		{"Roost's channel", string(roost.AppendChannel(nil, 7)), "user_noti:bench-7"},
		{"Roost's message", string(roost.AppendMessage([]byte("x"), []byte(`{"a":1}`))), `x{"a":1}`},
		{"Centrifugo's channel", string(centrifugo.AppendChannel(nil, 7)), "centrifugo.client.#bench-7"},
		{"Centrifugo's message", string(centrifugo.AppendMessage([]byte("x"), []byte(`{"a":1}`))), "x\x22\x07" + `{"a":1}`},
		{"a long one", string(centrifugo.AppendMessage(nil, make([]byte, 300))[:3]), "\x22\xac\x02"},
	}
	for _, tt := range tests {
		if tt.got != tt.want {
			t.Errorf("%s: got %q, want %q", tt.what, tt.got, tt.want)
		}
	}
	for message, want := range map[string]bool{
		"{}": true, "{}\n": true, `{"connect":{"client":"x"}}`: true, `{"channel":"#bench-7","pub":{"data":{}}}`: false, "": false,
	} {
		if got := centrifugo.Aside([]byte(message)); got != want {
			t.Errorf("%q is an aside: %t, want %t", message, got, want)
		}
		if roost.Aside([]byte(message)) {
			t.Errorf("to Roost %q is an aside", message)
		}
	}
	if _, err := Named("latin"); err == nil {
		t.Error("latin is a dialect")
	}
}
