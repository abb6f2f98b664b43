package config

import (
	"os"
	"path/filepath"
	"reflect"
	"slices"
	"strings"
	"testing"
)

// secret writes a file and returns its path.
func secret(t *testing.T, text string) string {
	t.Helper()
	path := filepath.Join(t.TempDir(), "secret")
	if err := os.WriteFile(path, []byte(text), 0o600); err != nil {
		t.Fatal(err)
	}
	return path
}

// Every secret can be in a file, and of what is there one line feed at the end does not count.
func TestSecretFiles(t *testing.T) {
	for _, v := range variables() {
		if !v.secret {
			continue
		}
		for text, want := range map[string]string{
			"0123456789abcdef": "0123456789abcdef", "0123456789abcdef\n": "0123456789abcdef", "0123456789abcdef\r\n": "0123456789abcdef",
			"0123456789abcdef\n\n": "0123456789abcdef\n", " 0123456789abcdef ": " 0123456789abcdef ", "0123456789,abcdef": "0123456789,abcdef",
			"\x80\xff\x00\"'\\": "\x80\xff\x00\"'\\",
		} {
			if v.field.Type.Kind() == reflect.Slice {
				want = strings.TrimSuffix(want, "\n")
			}
			setenv(t, map[string]string{v.fileName(): secret(t, text), v.name: ""})
			s := Source{}
			c, problem := s.one(v)
			if problem != nil {
				t.Fatalf("%s: %v", v.name, problem)
			}
			field := c.Elem().Field(0)
			got := field.String()
			if list, is := field.Interface().([]string); is {
				got = strings.Join(list, "\n")
			}
			if got != want {
				t.Errorf("%s: %q is read as %q, want %q", v.fileName(), text, got, want)
			}
			if s.From(v.name, true) == "default" || !s.Set(v.name) || len(s.Unknown(os.Environ())) != 0 {
				t.Errorf("%s: from %q, unknown %q", v.fileName(), s.From(v.name, true), s.Unknown(os.Environ()))
			}
		}
	}
}

func TestSecretFilesThatAreWrong(t *testing.T) {
	dir := t.TempDir()
	absent := filepath.Join(dir, "absent")
	large := secret(t, strings.Repeat("x", maxSecretFile+1))
	for _, tt := range []struct {
		name string
		env  map[string]string
		want string
	}{
		{"not there", map[string]string{"JWT_SECRET_KEY": "", "JWT_SECRET_KEY_FILE": absent},
			`JWT_SECRET_KEY_FILE="` + absent + `": want the path of a file with the secret that your backend signs tokens with`},
		{"a directory", map[string]string{"REDIS_PASSWORD_FILE": dir}, `REDIS_PASSWORD_FILE="` + dir + `": want the path of a file with the password of Redis: ` + dir + ` is not a regular file`},
		{"empty", map[string]string{"HTTP_TOKEN_FILE": secret(t, "\n")}, `HTTP_TOKEN_FILE="`},
		{"large", map[string]string{"REDIS_PASSWORD_FILE": large}, `REDIS_PASSWORD_FILE="` + large + `": want the path of a file with the password of Redis: ` + large + ` has more than 65536 bytes`},
		{"both", map[string]string{"REDIS_PASSWORD": "hush", "REDIS_PASSWORD_FILE": secret(t, "hush")}, `REDIS_PASSWORD_FILE="`},
		{"no good", map[string]string{"HTTP_TOKEN_FILE": secret(t, "short")}, `HTTP_TOKEN="********": want 16 to 256 letters`},
		{"too many", map[string]string{"JWT_SECRET_KEY_PREVIOUS_FILE": secret(t, strings.Repeat("x\n", 9))}, `JWT_SECRET_KEY_PREVIOUS_FILE="`},
	} {
		t.Run(tt.name, func(t *testing.T) {
			setenv(t, tt.env)
			_, err := Source{}.Load()
			checkLines(t, err, []string{tt.want})
			if err != nil && strings.Contains(err.Error(), "hush") {
				t.Error("it shows the secret")
			}
		})
	}
}

// The file of variables can name them too, and the environment goes first.
func TestSecretFileNamedInTheFile(t *testing.T) {
	path := filepath.Join(t.TempDir(), "roost.env")
	hush := secret(t, "hush\n")
	if err := os.WriteFile(path, []byte("REDIS_PASSWORD_FILE="+hush+"\n"), 0o600); err != nil {
		t.Fatal(err)
	}
	setenv(t, map[string]string{"ROOST_CONFIG_FILE": path})
	s, err := Open()
	if err != nil {
		t.Fatal(err)
	}
	c, err := s.Load()
	if err != nil || c.RedisPassword != "hush" {
		t.Errorf("%q, %v", c.RedisPassword, err)
	}
	if from := s.From("REDIS_PASSWORD", true); from != hush {
		t.Errorf("from %s", from)
	}
	var b strings.Builder
	if err := s.Write(&b, c); err != nil || !strings.Contains(strings.Join(strings.Fields(b.String()), " "), "(From "+hush+".)") || strings.Contains(b.String(), "hush\n") {
		t.Errorf("%v: %s", err, b.String())
	}
	if ws := s.Warnings(c, os.Environ()); len(ws) != 0 {
		t.Errorf("warns of %q", ws)
	}
	if err := os.WriteFile(hush, []byte("again"), 0o600); err != nil {
		t.Fatal(err)
	}
	if next, _ := s.Load(); next.RedisPassword != "again" {
		t.Error("it is not read again")
	}
}

// A former JWT_SECRET_KEY works letter by letter as JWT_SECRET_KEY_PREVIOUS too.
func TestPreviousSecrets(t *testing.T) {
	long := strings.Repeat("x", 32)
	for _, tt := range []struct {
		name, value string
		want        []string // nil: it is wrong
	}{
		{"strong", long, []string{long}},
		{"weak", "s3cret", []string{"s3cret"}},
		{"with white space", " s3cret\t", []string{" s3cret\t"}},
		{"in quotes", `"s3cret"`, []string{`"s3cret"`}},
		{"with a line feed", "s3cret\n", []string{"s3cret\n"}},
		{"a list", long + "," + long + "y", []string{long + "," + long + "y", long, long + "y"}},
		{"a list with spaces", long + ", " + long + "y", []string{long + ", " + long + "y", long, long + "y", " " + long + "y"}},
		{"a list that ends with a comma", long + ",", []string{long + ",", long}},
		{"a comma in a secret", long + ",z", nil},
		{"a list of weak ones", "s3cret,hush", nil},
		{"too many", strings.Repeat(long+",", 9), nil},
	} {
		t.Run(tt.name, func(t *testing.T) {
			setenv(t, map[string]string{"JWT_SECRET_KEY_PREVIOUS": tt.value})
			c, err := Source{}.Load()
			if (err == nil) != (tt.want != nil) || err == nil && !slices.Equal(c.JWTSecretKeyPrevious, tt.want) {
				t.Errorf("%q, %v, want %q", c.JWTSecretKeyPrevious, err, tt.want)
			}
			if err != nil && (!strings.Contains(err.Error(), "JWT_SECRET_KEY_PREVIOUS_FILE") || strings.Contains(err.Error(), "hush")) {
				t.Error(err)
			}
		})
	}
	setenv(t, map[string]string{"JWT_SECRET_KEY_PREVIOUS_FILE": secret(t, "a,b\n c\r\n\nweak")})
	c, err := Source{}.Load()
	if want := []string{"a,b", " c", "weak"}; err != nil || !slices.Equal(c.JWTSecretKeyPrevious, want) {
		t.Errorf("%q, %v, want %q", c.JWTSecretKeyPrevious, err, want)
	}
}

// Invisible characters around a secret are part of it: the log warns of them, and never shows them.
func TestBlemishes(t *testing.T) {
	t.Parallel()
	const hush = "hush-hush-hush-hush-hush-hush-hush"
	for text, want := range map[string]string{
		hush: "", "": "", hush + "\n": "ends with a line feed", " " + hush: "has white space at its beginning or end", hush + "\t": "has white space",
		"\ufeff" + hush: "begins with a byte order mark", `"` + hush + `"`: "is in quotes", "'" + hush + "'": "is in quotes",
		`"` + hush: "begins or ends with a quote", hush + "\u00a0": "has white space", "hush-hush-hush-hush-\nhush-hush-hush-hush": "has a line feed in it",
		`hush"hush'hush-hush-hush-hush-hush`: "",
	} {
		for name, c := range map[string]Config{
			"JWT_SECRET_KEY": {JWTSecretKey: text}, "JWT_ISSUER": {JWTIssuer: text}, "REDIS_PASSWORD": {RedisPassword: text},
			"JWT_SECRET_KEY_PREVIOUS": {JWTSecretKeyPrevious: []string{text}}, "JWT_AUDIENCE": {JWTAudience: []string{"a", text}},
			"REDIS_USERNAME": {RedisUsername: text}, "HTTP_TOKEN": {HTTPToken: text},
		} {
			got := Source{}.Warnings(c, nil)
			switch {
			case want == "" && len(got) != 0, want != "" && (len(got) != 1 || !strings.HasPrefix(got[0], name+" "+want)):
				t.Errorf("%s=%q: warned of %q, want %q", name, text, got, want)
			case strings.Contains(strings.Join(got, ""), "hush"):
				t.Errorf("%s is shown: %q", name, got)
			}
		}
	}
}

// The two secrets of a webhook may be on lines of their file, or in a list as in the environment.
func TestWebhookSecretsInAFile(t *testing.T) {
	const next, last = "whsec_MfKQ9r8GKYqrTwjUPD8ILPZIo2LaLaSw", "whsec_AfKQ9r8GKYqrTwjUPD8ILPZIo2LaLaSw"
	for _, text := range []string{next + "," + last, next + " , " + last + "\n", next + "\n" + last + "\n", next + ",\r\n" + last + "\r\n"} {
		setenv(t, map[string]string{"JWT_SECRET_KEY": goodSecret, "REDIS_PRESENCE": "true", "WEBHOOK_URL": "https://app.example/hooks",
			"WEBHOOK_SECRET_FILE": secret(t, text)})
		c, err := Source{}.Load()
		if err != nil || !slices.Equal(c.WebhookSecret, []string{next, last}) {
			t.Errorf("%q: %q, %v", text, c.WebhookSecret, err)
		}
	}
}

// A weak secret is warned of, whether it is in use or was.
func TestWeakSecrets(t *testing.T) {
	t.Parallel()
	got := Source{}.Warnings(Config{JWTSecretKey: "s3cret", JWTSecretKeyPrevious: []string{goodSecret, "hush"}}, nil)
	if len(got) != 2 || !strings.HasPrefix(got[0], "JWT_SECRET_KEY is 6 bytes long") || !strings.HasPrefix(got[1], "JWT_SECRET_KEY_PREVIOUS is 4 bytes long") {
		t.Errorf("got %q", got)
	}
}

// Numbers are what people read: no other base, and no separators.
func TestNumbersAreDecimal(t *testing.T) {
	for value, good := range map[string]bool{
		"8081": true, "0": true, "+8081": true, "08081": false, "0x1f91": false, "8_081": false, "0b11": false, "0o17": false, "1e3": false, " 8081": false, "-0": true,
	} {
		setenv(t, map[string]string{"WS_PORT": value})
		if _, err := (Source{}).Load(); (err == nil) != good {
			t.Errorf("%q: %v", value, err)
		}
	}
	setenv(t, map[string]string{"WS_MAX_CONNECTIONS": "0100000"})
	_, err := Source{}.Load()
	checkLines(t, err, []string{`WS_MAX_CONNECTIONS="0100000": want a number of connections of at least 1, in decimal digits without a 0 before them`})
}

// An address is shown without the password that does not belong there, be it an address or not.
func TestAddressesAreShownWithoutPasswords(t *testing.T) {
	t.Parallel()
	for value, want := range map[string]string{
		"": "", "https://app.example/a?b=c@d": "https://app.example/a?b=c@d", "https://u:hush@app.example/a": "https://********@app.example/a",
		"https://hush@app.example": "https://********@app.example", "https://u:h/us@h@app.example": "https://********@app.example",
		"u:hush@app.example": "********@app.example", "ftp://u:hush@": "ftp://********@",
	} {
		for _, v := range variables() {
			if v.name != "WEBHOOK_URL" && v.name != "JWT_JWKS_URL" {
				continue
			}
			if got := v.shown(value); got != want {
				t.Errorf("%s: %q is shown as %q, want %q", v.name, value, got, want)
			}
		}
	}
}
