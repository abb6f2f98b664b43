package config

import (
	"os"
	"path/filepath"
	"reflect"
	"strings"
	"testing"
)

func TestFile(t *testing.T) {
	t.Parallel()
	for _, tt := range []struct {
		name, text string
		want       map[string]string
	}{
		{"nothing", "", nil},
		{"comments", "# WS_PORT=1\n; WS_PORT=1\n\n \t\n  # more", nil},
		{"plain", "WS_PORT=1\nWS_HOST = h \nA_1=\n_b= x y ", map[string]string{"WS_PORT": "1", "WS_HOST": "h", "A_1": "", "_b": "x y"}},
		{"of another system", "WS_PORT=1\r\nWS_HOST=\"h\"\r\n", map[string]string{"WS_PORT": "1", "WS_HOST": "h"}},
		{"nothing is expanded", "S=a$HOME${X}$(id)`id`%h~*\nD=\"$HOME ${X} %h\"\nQ='$HOME'",
			map[string]string{"S": "a$HOME${X}$(id)`id`%h~*", "D": "$HOME ${X} %h", "Q": "$HOME"}},
		{"quotes", `S=' a "b" \n #c ; '` + "\n" + `D=" a 'b' \"c\" \\ \$ ` + "\\`" + ` #"` + "\nE=''\nF=\"\"  ",
			map[string]string{"S": ` a "b" \n #c ; `, "D": " a 'b' \"c\" \\ $ ` #", "E": "", "F": ""}},
		{"what is special at the beginning only", `S=a"b'c#d;e=f==`, map[string]string{"S": `a"b'c#d;e=f==`}},
		{"not ASCII", "S=ü→", map[string]string{"S": "ü→"}},
	} {
		t.Run(tt.name, func(t *testing.T) {
			t.Parallel()
			entries, err := parseFile(tt.text)
			if err != nil {
				t.Fatal(err)
			}
			got := map[string]string{}
			for name, at := range entries {
				got[name] = at.value
			}
			if tt.want == nil {
				tt.want = map[string]string{}
			}
			if !reflect.DeepEqual(got, tt.want) {
				t.Errorf("got  %q\nwant %q", got, tt.want)
			}
		})
	}
}

// Each of these is read differently by systemd, docker and shells, or is a slip. No error shows a value.
func TestFileErrors(t *testing.T) {
	t.Parallel()
	for _, tt := range []struct {
		name, text string
		want       []string
	}{
		{"no name", "s3cret", []string{"line 1: want NAME=value"}},
		{"empty name", "=s3cret", []string{"line 1: the name before = has something else"}},
		{"odd name", "WS-PORT=s3cret", []string{"line 1: the name"}},
		{"digit first", "1A=s3cret", []string{"line 1: the name"}},
		{"a byte order mark", "\ufeffA=s3cret", []string{"line 1: the name"}},
		{"export", "\n export A=s3cret", []string{"line 2: export is for shells"}},
		{"open quote", "A='s3cret\nB=\"s3cret", []string{"line 1: A: a quote is opened", "line 2: B: a quote is opened"}},
		{"behind the quote", "A='s3cret'b\nB=\"s3cret\" # why", []string{"line 1: A: something stands behind", "line 2: B: something"}},
		{"backslash", `A=s3\cret`, []string{"line 1: A: a backslash outside of quotes"}},
		{"a line that goes on", "A=s3cret\\\nb", []string{"line 1: A: a backslash", "line 2: want NAME=value"}},
		{"escapes", `A="s3\ncret"` + "\n" + `B="s3cret\`, []string{"line 1: A: in double quotes", "line 2: B: in double quotes"}},
		{"a comment behind", "A=s3cret # why\nB=#s3cret\nC=s3cret\t#", []string{"line 1: A: a # behind a space", "line 2: B: a #", "line 3: C: a #"}},
		{"control character", "A=s3\x00cret\nB=s3\x1bcret", []string{"line 1: bytes", "line 2: bytes"}},
		{"not UTF-8", "A=s3\xffcret", []string{"line 1: bytes that are not UTF-8"}},
		{"twice", "A=s3cret\n\nA=s3cret", []string{"line 3: A: the name stands in the file already, in line 1"}},
	} {
		t.Run(tt.name, func(t *testing.T) {
			t.Parallel()
			_, err := parseFile(tt.text)
			checkLines(t, err, tt.want)
			if err != nil && strings.Contains(err.Error(), "cret") {
				t.Errorf("the error shows a value: %v", err)
			}
		})
	}
}

// No file causes a panic or a value that an environment could not have. Text that single quotes can hold comes back as it is.
func FuzzFile(f *testing.F) {
	f.Add("A=b\n", "value")
	f.Add("A='b\"", `a\b $c # "d"`)
	f.Add("A=\"\\\"\\x\"\nexport B=c", "ü")
	f.Fuzz(func(t *testing.T, text, value string) {
		entries, _ := parseFile(text)
		for name, at := range entries {
			if !validName(name) || at.line < 1 || strings.ContainsAny(at.value, "\n\x00") {
				t.Errorf("%q: %+v", name, at)
			}
		}
		name, got, err := parseLine("A='" + value + "'\n")
		switch {
		case strings.ContainsFunc(value, func(r rune) bool { return r < ' ' && r != '\t' || r == 0x7f || r == '\'' || r == '\ufffd' }):
		case err != nil || name != "A" || got != value:
			t.Errorf("%q came back as %s=%q, %v", value, name, got, err)
		}
	})
}

// withFile makes the environment name a file, and hold env as well.
func withFile(t *testing.T, text string, env map[string]string) (path string) {
	t.Helper()
	setenv(t, env)
	path = filepath.Join(t.TempDir(), "roost.env")
	if err := os.WriteFile(path, []byte(text), 0o600); err != nil {
		t.Fatal(err)
	}
	t.Setenv("ROOST_CONFIG_FILE", path)
	return path
}

func TestEnvironmentCountsMoreThanTheFile(t *testing.T) {
	path := withFile(t, "WS_PORT=1\nWS_MODE=debug\nWS_ALLOWED_ORIGINS=' https://a.example , b'\nWS_PONG_WAIT=90s\nJWT_AUDIENCE=\nWS_PROT=2\nGOGC=50\n",
		map[string]string{"WS_PORT": "3"})
	source, err := Open()
	if err != nil {
		t.Fatal(err)
	}
	c, err := source.Load()
	if err != nil {
		t.Fatal(err)
	}
	if c.WSPort != 3 || c.WSMode != "debug" || c.WSPongWait.Seconds() != 90 || !reflect.DeepEqual(c.WSAllowedOrigins, []string{"https://a.example", "b"}) ||
		c.RoostConfigFile != path || c.JWTSecretKey != goodSecret || len(c.JWTAudience) != 0 || c.HTTPPort != 8082 {
		t.Errorf("got %+v", c)
	}
	for name, want := range map[string]string{"WS_PORT": "environment", "WS_MODE": "file", "HTTP_PORT": ""} {
		if got := source.Of(name); got != want || source.Set(name) != (want != "") {
			t.Errorf("%s is from %q, want %q", name, got, want)
		}
	}
	want := []string{
		"GOGC is not a variable of roost and has no effect (" + path + ", line 7)",
		"WS_PORT is in the environment too, which counts: what " + path + " says in line 1 has no effect, and a reload can't change it",
		"WS_PROT is not a variable of roost and has no effect; did you mean WS_PORT? (" + path + ", line 6)",
	}
	if got := source.Warnings(c, nil); !reflect.DeepEqual(got, want) {
		t.Errorf("got  %q\nwant %q", got, want)
	}
}

// Commands read the service's file where nothing names another one; what is wrong with it is said of that file.
func TestOpenOr(t *testing.T) {
	named := withFile(t, "WS_PORT=1\n", nil)
	path := filepath.Join(t.TempDir(), "service.env")
	if err := os.WriteFile(path, []byte("WS_PORT=2\n"), 0o600); err != nil {
		t.Fatal(err)
	}
	port := func() (int, Source) {
		t.Helper()
		source, err := OpenOr(path)
		if err != nil {
			t.Fatal(err)
		}
		c, err := source.Read()
		if err != nil {
			t.Fatal(err)
		}
		return c.WSPort, source
	}
	if got, source := port(); got != 1 || source.Default() || source.File() != named {
		t.Errorf("with a file named: %d, %v", got, source)
	}
	t.Setenv("ROOST_CONFIG_FILE", "")
	if got, source := port(); got != 2 || !source.Default() || source.File() != path || source.From("WS_PORT", true) != path {
		t.Errorf("without: %d, %v", got, source)
	}
	if err := os.WriteFile(path, []byte("WS_PORT\n"), 0o600); err != nil {
		t.Fatal(err)
	}
	_, err := OpenOr(path)
	checkLines(t, err, []string{path + ": line 1: want NAME=value"})
	if err := os.Remove(path); err != nil {
		t.Fatal(err)
	}
	if got, source := port(); got != 8081 || source.Default() || source.From("WS_PORT", false) != "default" {
		t.Errorf("without a file: %d, %v", got, source)
	}
}

// A value is as wrong in the file as in the environment, and the error says where it stands.
func TestProblemsInTheFile(t *testing.T) {
	path := withFile(t, "WS_PORT=\nREDIS_USE_TLS=ja\nWS_PONG_WAIT=20s\nHTTP_TOKEN=s3cret\nLOGGER_LEVEL=loud\n", map[string]string{"LOGGER_LEVEL": "quiet"})
	source, err := Open()
	if err != nil {
		t.Fatal(err)
	}
	_, err = source.Load()
	checkLines(t, err, []string{
		`WS_PORT="" (` + path + `, line 1): want a port number from 1 to 65535, or 0 for any free one; unset it for the default 8081`,
		`WS_PING_INTERVAL="30s": want less than WS_PONG_WAIT, which is 20s`,
		`REDIS_USE_TLS="ja" (` + path + `, line 2): want true or false`,
		`LOGGER_LEVEL="quiet": want debug`,
		`HTTP_TOKEN="********" (` + path + `, line 4): want`,
	})
}

func TestFilesThatCannotBeRead(t *testing.T) {
	path := withFile(t, "A='\nB\n", nil)
	_, err := Open()
	checkLines(t, err, []string{"ROOST_CONFIG_FILE: " + path + ": line 1: A: a quote", "ROOST_CONFIG_FILE: " + path + ": line 2: want NAME=value"})
	path = withFile(t, "\nROOST_CONFIG_FILE=/etc/other\n", nil)
	_, err = Read()
	checkLines(t, err, []string{"ROOST_CONFIG_FILE: " + path + ": line 2: a file can't name another one"})
	path = withFile(t, strings.Repeat("#\n", maxFile/2+1), nil)
	_, err = Open()
	checkLines(t, err, []string{"ROOST_CONFIG_FILE: " + path + " has more than 1048576 bytes"})
	t.Setenv("ROOST_CONFIG_FILE", filepath.Dir(path))
	_, err = Open()
	checkLines(t, err, []string{"ROOST_CONFIG_FILE: " + filepath.Dir(path) + " is not a regular file"})
	t.Setenv("ROOST_CONFIG_FILE", path+".none")
	_, err = Open()
	checkLines(t, err, []string{"ROOST_CONFIG_FILE: stat " + path + ".none: no such file"})
}

// Editors on Windows put a byte order mark in front, or write UTF-16.
func TestFileOfWindows(t *testing.T) {
	for _, text := range []string{"\ufeffWS_PORT=7\r\n", "\xff\xfeW\x00S\x00_\x00P\x00O\x00R\x00T\x00=\x007\x00\r\x00\n\x00"} {
		path := filepath.Join(t.TempDir(), "roost.env")
		if err := os.WriteFile(path, []byte(text), 0o600); err != nil {
			t.Fatal(err)
		}
		setenv(t, map[string]string{"ROOST_CONFIG_FILE": path})
		s, err := Open()
		if err != nil {
			t.Fatal(err)
		}
		if c, err := s.Load(); err != nil || c.WSPort != 7 {
			t.Errorf("%q: %d, %v", text, c.WSPort, err)
		}
	}
}
