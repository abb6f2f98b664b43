package main

import (
	"context"
	"io"
	"net/http"
	"net/http/httptest"
	"net/url"
	"os"
	"os/exec"
	"path/filepath"
	"strings"
	"testing"
	"time"
)

// said runs a command in this process and returns all that it prints.
func said(t *testing.T, args ...string) (code int, text string) {
	t.Helper()
	var out strings.Builder
	ctx, cancel := context.WithTimeout(t.Context(), 30*time.Second)
	defer cancel()
	code = run(&environment{ctx: ctx, stdin: strings.NewReader(""), stdout: &out, stderr: &out, program: "roost"}, args)
	return code, out.String()
}

// A wrong command line always exits with 2, and its last line names the help that helps.
func TestMistakesOnTheCommandLine(t *testing.T) {
	t.Setenv("JWT_SECRET_KEY", strings.Repeat("x", 32))
	for _, tt := range []struct{ line, says, help string }{
		{"tokn", `did you mean one of "token"`, "roost --help"},
		{"token --usr alice", `did you mean "--user"`, "roost token --help"},
		{"token", "which user?", "roost token --help"},
		{"token alice --user bob", "given twice", "roost token --help"},
		{"publish alice --user bob {}", "given twice", "roost publish --help"},
		{"disconnect alice --user bob", "given twice", "roost disconnect --help"},
		{"listen alice --user bob", "given twice", "roost listen --help"},
		{"why alice --user bob", "given twice", "roost why --help"},
		{"token alice --ttl 7", "with its unit, such as 90s, 15m, 1h or 7d", "roost token --help"},
		{"token alice --ttl 0s", "above 0", "roost token --help"},
		{"token alice --group=", "the name of a group", "roost token --help"},
		{"publish", "which user?", "roost publish --help"},
		{"publish alice", "what to send?", "roost publish --help"},
		{"publish --user alice", "what to send?", "roost publish --help"},
		{"publish user_noti:alice {}", `"user_noti:alice" is the name of a channel`, "roost publish --help"},
		{"publish alice @/none", "no such file", "roost publish --help"},
		{"publish alice -", "no notification in it", "roost publish --help"},
		{`publish alice {"payload":1}`, "type_missing", "roost publish --help"},
		{"disconnect", "which user?", "roost disconnect --help"},
		{"disconnect alice --code 9", "not a command", "roost disconnect --help"},
		{"online", "which user?", "roost online --help"},
		{"online alice --redis nowhere", "host:port", "roost online --help"},
		{"listen", "who to connect as?", "roost listen --help"},
		{"listen alice --url ftp://x", "ws or wss", "roost listen --help"},
		{"why alice --url http://", "no address", "roost why --help"},
		{"health --url ftp://x", "http or https", "roost health --help"},
		{"doctor --connections many", "whole number", "roost doctor --help"},
		{"completion csh", "bash", "roost completion --help"},
		{"config --url localhost:1", "--running", "roost config --help"},
		{"config --check --running", "--check", "roost config --help"},
		{"help nothing", "no command", "roost help --help"},
	} {
		t.Run(tt.line, func(t *testing.T) {
			code, text := said(t, strings.Fields(tt.line)...)
			if code != 2 || !strings.Contains(text, tt.says) || !strings.HasSuffix(text, "\nroost: see "+tt.help+"\n") {
				t.Errorf("ends with %d, saying %s", code, text)
			}
		})
	}
}

func TestHelpAndVersion(t *testing.T) {
	t.Parallel()
	for line, says := range map[string]string{
		"--version": "roost dev\n", "-v": "roost dev\n", "version": "roost dev\n",
		"help": "Commands:\n  serve", "--help": "Commands:\n  serve", "help token": "Usage: roost token", "token --help": "Usage: roost token",
	} {
		if code, text := said(t, strings.Fields(line)...); code != 0 || !strings.Contains(text, says) {
			t.Errorf("%s ends with %d, saying %s", line, code, text)
		}
	}
}

// The user is a word or a flag, as people guess.
func TestUserAsWordOrFlag(t *testing.T) {
	t.Setenv("JWT_SECRET_KEY", strings.Repeat("x", 32))
	for _, line := range []string{"token alice", "token --user alice", "token --user=alice alice --ttl 7d"} {
		if code, text := said(t, strings.Fields(line)...); code != 0 || strings.Count(text, ".") != 2 {
			t.Errorf("%s ends with %d, saying %s", line, code, text)
		}
	}
}

// Commands have the settings of the service of this machine, and say so.
func TestCommandsReadTheServicesFile(t *testing.T) {
	path := filepath.Join(t.TempDir(), "roost.env")
	if err := os.WriteFile(path, []byte("JWT_SECRET_KEY="+strings.Repeat("x", 32)+"\nWS_PORT=9081\n"), 0o600); err != nil {
		t.Fatal(err)
	}
	t.Setenv("ROOST_CONFIG_FILE", "")
	for line, want := range map[string]string{"config": "9081", "token alice": "."} {
		var out, said strings.Builder
		env := &environment{ctx: t.Context(), stdin: strings.NewReader(""), stdout: &out, stderr: &said, program: "roost", service: path}
		if _, err := env.source(); err != nil { // commands read the settings more than once
			t.Fatal(err)
		}
		if code := run(env, strings.Fields(line)); code != 0 || !strings.Contains(out.String(), want) || strings.Count(said.String(), "settings are those of "+path) != 1 {
			t.Errorf("%s ends with %d, printing %s\nand saying %s", line, code, out.String(), said.String())
		}
	}
}

func TestQuantities(t *testing.T) {
	t.Parallel()
	for text, want := range map[string]time.Duration{"90s": 90 * time.Second, "7d": 168 * time.Hour, "2w": 336 * time.Hour, " 1h30m ": 90 * time.Minute} {
		var got lifetime
		if err := got.UnmarshalText([]byte(text)); err != nil || time.Duration(got) != want {
			t.Errorf("%q: %v, %v", text, time.Duration(got), err)
		}
	}
	for _, text := range []string{"", "7", "d", "1.5d", "99999999999d", "1y"} {
		if err := new(lifetime).UnmarshalText([]byte(text)); err == nil {
			t.Errorf("%q is taken", text)
		}
	}
	for text, want := range map[string]wholeNumber{"0": 0, "100000": 100_000, "100,000": 100_000, "100_000": 100_000, "100k": 100_000, "1.5M": 1_500_000} {
		var got wholeNumber
		if err := got.UnmarshalText([]byte(text)); err != nil || got != want {
			t.Errorf("%q: %d, %v", text, got, err)
		}
	}
	for _, text := range []string{"", "k", "-1", "1.5", "2G", "NaN", "Inf", "1e99"} {
		if err := new(wholeNumber).UnmarshalText([]byte(text)); err == nil {
			t.Errorf("%q is taken", text)
		}
	}
}

// Errors of the network are in words, without a page of HTML and without the token.
func TestErrorsOfTheNetwork(t *testing.T) {
	t.Parallel()
	page := httptest.NewServer(http.HandlerFunc(func(w http.ResponseWriter, _ *http.Request) {
		w.Header().Set("Content-Type", "text/html")
		w.WriteHeader(http.StatusBadGateway)
		_, _ = io.WriteString(w, "<html><h1>502 Bad Gateway</h1></html>")
	}))
	t.Cleanup(page.Close)
	secure := httptest.NewTLSServer(page.Config.Handler)
	t.Cleanup(secure.Close)
	closed := httptest.NewServer(page.Config.Handler)
	closed.Close()
	for _, tt := range []struct{ line, says string }{
		{"listen --url " + page.URL + "/ws?token=hush", "502 Bad Gateway with a page of HTML"},
		{"why alice --url " + page.URL, "502 Bad Gateway with a page of HTML"},
		{"health --url " + page.URL, "502 Bad Gateway with a page of HTML"},
		{"listen --url " + closed.URL + "/ws?token=hush", "nothing listens on"},
		{"why alice --url " + closed.URL, "nothing listens on"},
		{"health --url " + closed.URL, "nothing listens on"},
		{"listen --url " + secure.URL + "/ws?token=hush", "no authority that this system trusts"},
		{"health --url https://" + page.Listener.Addr().String(), "does not speak TLS"},
	} {
		code, text := said(t, strings.Fields(tt.line)...)
		if code != 1 || !strings.Contains(text, tt.says) || strings.Contains(text, "hush") || strings.Contains(text, "<") {
			t.Errorf("%s ends with %d, saying %s", tt.line, code, text)
		}
	}
}

// A page of the admin server is asked for as the settings say, an address is not looked up twice.
func TestEveryAddress(t *testing.T) {
	t.Parallel()
	got, err := everyAddress(t.Context(), &url.URL{Scheme: "http", Host: "[::1]:8082"})
	if err != nil || len(got) != 1 || got[0].String() != "http://[::1]:8082" {
		t.Errorf("%v, %v", got, err)
	}
}

// The scripts are what their shells take, and the page what man takes, where these are here.
func TestCompletionsAndManual(t *testing.T) {
	t.Parallel()
	for _, tt := range []struct {
		line, says string
		check      []string
	}{
		{"completion bash", `token) words="--help`, []string{"bash", "-n"}},
		{"completion zsh", "'token:Print a token", []string{"zsh", "-n"}},
		{"completion fish", "-a token -d", []string{"fish", "-n"}},
		{"man", `.TH ROOST 1`, []string{"man", "--warnings", "-l", "-"}},
	} {
		code, text := said(t, strings.Fields(tt.line)...)
		if code != 0 || !strings.Contains(text, tt.says) {
			t.Errorf("%s ends with %d, saying %s", tt.line, code, text)
		}
		if _, err := exec.LookPath(tt.check[0]); err != nil {
			continue
		}
		check := exec.CommandContext(t.Context(), tt.check[0], tt.check[1:]...)
		check.Stdin = strings.NewReader(text)
		check.Env = append(os.Environ(), "LC_ALL=C.UTF-8") // they warn of a locale that is set and not installed
		var warnings strings.Builder
		check.Stderr = &warnings
		if err := check.Run(); err != nil || warnings.Len() > 0 {
			t.Errorf("%s: %v %s", tt.line, err, warnings.String())
		}
	}
}

func TestBashCompletes(t *testing.T) {
	t.Parallel()
	_, script := said(t, "completion", "bash")
	for typed, want := range map[string]string{"roost tok": "token", "roost token --u": "--user", "roost completion z": "zsh", "roost help dis": "disconnect"} {
		words := strings.Fields(typed)
		probe := script + "\nCOMP_WORDS=(" + typed + ")\nCOMP_CWORD=" + string(rune('0'+len(words)-1)) + "\n_roost\necho \"${COMPREPLY[*]}\"\n"
		out, err := exec.CommandContext(t.Context(), "bash", "-c", probe).Output()
		if err != nil || strings.TrimSpace(string(out)) != want {
			t.Errorf("%q: %q, %v", typed, out, err)
		}
	}
}

// A good configuration is said to be so; what a start would fail for is an error, what it would warn of a warning.
func TestConfigCheck(t *testing.T) {
	for _, tt := range []struct {
		name string
		env  map[string]string
		code int
		says []string
	}{
		{"good", nil, 0, []string{"is good"}},
		{"warned of", map[string]string{"WS_PROT": "1"}, 0, []string{"warning: WS_PROT", "is good"}},
		{"missing, under another name", map[string]string{"JWT_SECRET_KEY": "", "JWT_SECRET": "x"}, 1,
			[]string{"warning: JWT_SECRET is not", "JWT_SECRET_KEY="}},
		{"all at once", map[string]string{"JWT_PUBLIC_KEY_FILE": "/none", "WS_ALLOWED_ORIGINS": "https://a b", "WS_TRUSTED_PROXIES": "x", "REDIS_USE_TLS": "true", "REDIS_TLS_CA_FILE": "/none"}, 1,
			[]string{"JWT_PUBLIC_KEY_FILE: ", "WS_ALLOWED_ORIGINS: ", "WS_TRUSTED_PROXIES: ", "REDIS_TLS_CA_FILE"}},
	} {
		t.Run(tt.name, func(t *testing.T) {
			t.Setenv("JWT_SECRET_KEY", strings.Repeat("x", 32))
			for name, value := range tt.env {
				t.Setenv(name, value)
			}
			code, text := said(t, "config", "--check")
			if code != tt.code {
				t.Errorf("ends with %d", code)
			}
			for _, part := range tt.says {
				if !strings.Contains(text, part) {
					t.Errorf("no %q in %s", part, text)
				}
			}
		})
	}
}

// A missing variable may stand in the environment under another server's name for it.
func TestStartNamesTheMisnomer(t *testing.T) {
	t.Setenv("JWT_SECRET_KEY", "")
	t.Setenv("JWT_SECRET", "x")
	code, text := said(t, "serve")
	if code != 1 || !strings.Contains(text, "warning: JWT_SECRET is not a variable of roost and has no effect: the variable is JWT_SECRET_KEY") {
		t.Errorf("ends with %d, saying %s", code, text)
	}
}
