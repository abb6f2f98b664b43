package wsproto

import (
	"bytes"
	"encoding/json"
	"fmt"
	"regexp"
	"strings"
	"testing"
	"unicode/utf8"

	"roost/internal/wirecodec"
)

// decodeAuth feeds in, cut by next, within limits, and writes down what comes out. The decoder changes hands behind each
// piece if moves is set.
func decodeAuth(t testing.TB, in string, limits Limits, moves bool, next func() int) string {
	t.Helper()
	d, log := new(Decoder), []string{}
	for len(in) > 0 {
		n := min(max(1, next()), len(in))
		rest := []byte(in[:n])
		in = in[n:]
		for {
			event, more, err := d.NextWithin(rest, limits)
			if rest = more; err != nil {
				if d.Kept() != 0 {
					t.Errorf("%d bytes are kept after an error", d.Kept())
				}
				return strings.Join(append(log, "error "+err.Code.String()), "; ")
			}
			if event.Kind == EventNone {
				break
			}
			switch {
			case event.Auth:
				log = append(log, fmt.Sprintf("auth %d %s", event.Size, event.Payload))
			case event.Kind == EventFragment, event.Kind == EventPing:
			default:
				log = append(log, describe(event))
			}
		}
		if d.Idle() && d.Kept() != 0 || d.Kept() > 2*limits.Auth {
			t.Errorf("%d bytes are kept", d.Kept())
		}
		if moves && !d.Idle() {
			r := wirecodec.NewReader(d.AppendState(nil))
			if d = new(Decoder); true {
				d.ReadState(r)
			}
			if err := r.Done(); err != nil {
				t.Fatal(err)
			}
		}
	}
	if d.Idle() {
		log = append(log, "idle")
	}
	return strings.Join(log, "; ")
}

// everyWay decodes a message in one frame, at once, byte by byte and with a change of hands behind each byte, and in two and three fragments, split everywhere.
func everyWay(t *testing.T, message string, limits Limits) (outcomes map[string]string) {
	t.Helper()
	whole, bytewise := func() int { return 1 << 20 }, func() int { return 1 }
	outcomes = map[string]string{
		"at once":             decodeAuth(t, text(message), limits, false, whole),
		"byte by byte":        decodeAuth(t, text(message), limits, false, bytewise),
		"from hand to hand":   decodeAuth(t, text(message), limits, true, bytewise),
		"in empty fragments":  decodeAuth(t, begin("")+more("")+begin2(message)+end(""), limits, false, whole),
		"behind another":      strings.TrimPrefix(decodeAuth(t, text("x")+text(message), limits, false, whole), "text 1; "),
		"before another text": strings.Replace(decodeAuth(t, text(message)+text("x"), limits, false, whole), "; text 1; idle", "; idle", 1),
	}
	for i := 0; i <= len(message); i += 1 + len(message)/200 {
		outcomes[fmt.Sprintf("split at %d", i)] = decodeAuth(t, begin(message[:i])+ping("?")+end(message[i:]), limits, i%3 == 0, whole)
		outcomes[fmt.Sprintf("split at %d, byte by byte", i)] = decodeAuth(t, begin(message[:i])+ping("?")+end(message[i:]), limits, false, bytewise)
	}
	return outcomes
}

func begin2(payload string) string { return more(payload) }

func TestAuthMessages(t *testing.T) {
	t.Parallel()
	limits := Limits{Message: 40, Auth: 300}
	long := strings.Repeat("x", 200)
	for _, tt := range []struct {
		name, in, want string
		limits         Limits
	}{
		{"a token", `{"type":"auth","token":"abc"}`, `auth 29 ,"token":"abc"}; idle`, limits},
		{"longer than others may be", `{"type":"auth","token":"` + long + `"}`, `auth 226 ,"token":"` + long + `"}; idle`, limits},
		{"as long as allowed", `{"type":"auth"` + strings.Repeat(" ", 285) + `}`, `auth 300 ` + strings.Repeat(" ", 285) + `}; idle`, limits},
		{"too long", `{"type":"auth"` + strings.Repeat(" ", 286) + `}`, `error 1009`, limits},
		{"others may be as long as anything", `{"type":"auth"` + strings.Repeat(" ", 286) + `}`, `error 1009`, Limits{Auth: 300}},
		{"with white space", " {\n\"type\" : \"auth\"\t,\"token\":\"abc\"} ", "auth 35 \t,\"token\":\"abc\"} ; idle", limits},
		{"nothing behind it", `{"type":"auth"`, `auth 14 ; idle`, limits},
		{"not quite", `{"type":"author","token":"abc"}`, `text 31; idle`, limits},
		{"not quite, and long", `{"type":"author","token":"` + long + `"}`, `error 1009`, limits},
		{"escaped, and long", `{"type":"\u0061uth","token":"` + long + `"}`, `error 1009`, limits},
		{"another member first, and long", `{"token":"` + long + `","type":"auth"}`, `error 1009`, limits},
		{"long white space", strings.Repeat(" ", 41), `error 1009`, limits},
		{"white space as long as allowed", strings.Repeat(" ", 40), `text 40; idle`, limits},
		{"long white space before it", strings.Repeat(" ", 41) + `{"type":"auth","token":"abc"}`, `auth 70 ,"token":"abc"}; idle`, limits},
		{"a ping", textPing, `text ping 15; idle`, limits},
		{"a ping with too much white space", `{"type":"ping"}` + strings.Repeat(" ", 30), `error 1009`, limits},
		{"a ping, where others have no bound", `{"type":"ping"}` + strings.Repeat(" ", 400), `text ping 415; idle`, Limits{Auth: 300}},
		{"another, where others have no bound", strings.Repeat("x", 400), `text 400; idle`, Limits{Auth: 300}},
		{"no UTF-8", `{"type":"auth","token":"` + "\xff\"}", `error 1007`, limits},
		{"where none is expected", `{"type":"auth","token":"abc"}`, `text 29; idle`, Limits{Message: 40}},
		{"where none is expected, and long", `{"type":"auth","token":"` + long + `"}`, `error 1009`, Limits{Message: 40}},
		{"others may be longer", strings.Repeat("x", 350), `text 350; idle`, Limits{Message: 400, Auth: 300}},
	} {
		for way, got := range everyWay(t, tt.in, tt.limits) {
			if got != tt.want {
				t.Errorf("%s, %s: %s, want %s", tt.name, way, got, tt.want)
			}
		}
	}
	for _, in := range []string{blob(`{"type":"auth","token":"abc"}`), blob(`{"type":"auth","token":"` + long + `"}`)} {
		if got := decodeAuth(t, in, limits, false, func() int { return 1 }); strings.Contains(got, "auth") {
			t.Errorf("a binary message: %s", got)
		}
	}
}

// Nothing is kept of what can't be a token, nor of one that comes whole.
func TestAuthKeepsLittle(t *testing.T) {
	t.Parallel()
	limits := Limits{Message: 512, Auth: MaxAuth}
	kept := func(in string, piece int) (most int) {
		var d Decoder
		for b := []byte(in); len(b) > 0; b = b[min(piece, len(b)):] {
			rest := b[:min(piece, len(b))]
			for {
				event, more, err := d.NextWithin(rest, limits)
				if err != nil || event.Kind == EventNone {
					break
				}
				rest = more
			}
			most = max(most, d.Kept())
		}
		return most
	}
	token := `{"type":"auth","token":"` + strings.Repeat("x", 8000) + `"}`
	for name, tt := range map[string]struct {
		in          string
		piece, most int
	}{
		"a whole token":       {text(token), 1 << 20, 0},
		"a token in pieces":   {text(token), 1000, 2 * len(token)},
		"white space":         {begin(strings.Repeat(" ", 500)), 10, 0},
		"garbage":             {begin(strings.Repeat("{", 500)), 10, 0},
		"nearly a token":      {begin(`{"type":"authority"` + strings.Repeat("x", 400)), 10, 0},
		"a message of 8 KiB":  {text(strings.Repeat("x", 8000)), 100, 0},
		"a frame without end": {text(token)[:5000], 100, 2 * 5000},
	} {
		if n := kept(tt.in, tt.piece); n > tt.most || tt.most > 0 && n == 0 {
			t.Errorf("%s: %d bytes are kept, %d at most", name, n, tt.most)
		}
	}
}

func TestAuthToken(t *testing.T) {
	t.Parallel()
	for in, want := range map[string]string{
		`,"token":"abc"}`:                    "abc",
		`,"token":""}`:                       "",
		" , \"token\" : \"abc\" } \n":        "abc",
		`,"x":{"token":1},"token":"abc"}`:    "abc",
		`,"\u0074oken":"a\u0062c"}`:          "abc",
		`,"token":"abc","type":"x"}`:         "abc",
		`}`:                                  errAuthNone.Error(),
		``:                                   errAuthJSON.Error(),
		`,`:                                  errAuthJSON.Error(),
		`,"token":"abc"`:                     errAuthJSON.Error(),
		`,"token":"abc"}}`:                   errAuthJSON.Error(),
		`,"token":"abc"}{"token":"abc"}`:     errAuthJSON.Error(),
		`"token":"abc"}`:                     errAuthJSON.Error(),
		`,"token":abc}`:                      errAuthJSON.Error(),
		`,"token":null}`:                     errAuthType.Error(),
		`,"token":["abc"]}`:                  errAuthType.Error(),
		`,"token":"a","token":"b"}`:          errAuthTwice.Error(),
		`,"Token":"a"}`:                      errAuthNone.Error(),
		strings.Repeat(`,"x":{`, 20) + `}}}`: errAuthJSON.Error(),
	} {
		got, err := AuthToken([]byte(in))
		if err != nil {
			got = []byte(err.Error())
		}
		if string(got) != want {
			t.Errorf("%q: %s, want %s", in, got, want)
		}
	}
}

var authPattern = regexp.MustCompile(`^[ \t\r\n]*\{[ \t\r\n]*"type"[ \t\r\n]*:[ \t\r\n]*"auth"`)

// FuzzAuth compares with a regular expression and encoding/json, which have the whole message.
func FuzzAuth(f *testing.F) {
	for _, seed := range []string{`{"type":"auth","token":"abc"}`, ` {"type" : "auth", "x":[1], "token":"a\u0062c" }`, `{"type":"ping"}`, `{"type":"auth"`, `{"type":"auth","token":7}`} {
		f.Add([]byte(seed), uint64(0x0102_0301_0105_0201))
	}
	f.Fuzz(func(t *testing.T, message []byte, cuts uint64) {
		if len(message) > 1000 || !utf8.Valid(message) {
			return
		}
		limits := Limits{Message: 60, Auth: 120}
		prefix := authPattern.Find(message)
		want := fmt.Sprintf("text %d; idle", len(message))
		switch {
		case prefix == nil && len(message) > limits.Message, len(message) > limits.Auth:
			want = "error 1009"
		case prefix != nil:
			want = fmt.Sprintf("auth %d %s; idle", len(message), message[len(prefix):])
		case textPingPattern.Match(message):
			want = fmt.Sprintf("text ping %d; idle", len(message))
		}
		at := int(cuts>>32) % (len(message) + 1)
		next := func() int {
			n := int(cuts & 15)
			cuts = cuts>>4 | cuts<<60
			return n + 1
		}
		for _, stream := range []string{text(string(message)), begin(string(message[:at])) + ping("") + end(string(message[at:]))} {
			for _, moves := range []bool{false, true} {
				got := decodeAuth(t, stream, limits, moves, next)
				if got != want {
					t.Fatalf("%q: %s, want %s", message, got, want)
				}
			}
		}
		if prefix == nil {
			return
		}
		token, err := AuthToken(message[len(prefix):])
		var fields map[string]json.RawMessage
		var text string
		valid := json.Unmarshal(message, &fields) == nil && fields["token"] != nil && fields["token"][0] == '"' && json.Unmarshal(fields["token"], &text) == nil
		switch {
		case err == nil && (!valid || !bytes.Equal(token, []byte(text))):
			t.Fatalf("%q: token %q, encoding/json has %q", message, token, text)
		case err != nil && valid && err != errAuthTwice:
			t.Fatalf("%q: %v, encoding/json has %q", message, err, text)
		}
	})
}
