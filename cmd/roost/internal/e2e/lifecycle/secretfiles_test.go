package lifecycle

import (
	"net/http"
	"os"
	"path/filepath"
	"strings"
	"testing"

	"roost/cmd/roost/internal/e2e"
	"roost/cmd/roost/internal/roosttest"
)

// secretFile writes a secret into a file, or another one, and returns the path.
func secretFile(t *testing.T, path, secret string) string {
	t.Helper()
	if path == "" {
		path = filepath.Join(t.TempDir(), "secret")
	}
	if err := os.WriteFile(path+".new", []byte(secret), 0o600); err != nil {
		t.Fatal(err)
	}
	if err := os.Rename(path+".new", path); err != nil {
		t.Fatal(err)
	}
	return path
}

// TestSecretsInFiles runs a server all of whose secrets are in files, as orchestrators mount them, and replaces some.
func TestSecretsInFiles(t *testing.T) {
	t.Parallel()
	const httpToken = "0123456789abcdef"
	jwt, token := secretFile(t, "", roosttest.Secret+"\n"), secretFile(t, "", httpToken+"\n")
	previous := secretFile(t, "", "an old, weak one\n"+otherSecret+"\n")
	_, server := e2e.Start(t, roosttest.Env{
		"JWT_SECRET_KEY": "", "JWT_SECRET_KEY_FILE": jwt, "JWT_SECRET_KEY_PREVIOUS_FILE": previous, "HTTP_TOKEN_FILE": token,
	})
	server.WaitLine("JWT_SECRET_KEY_PREVIOUS is 16 bytes long; shorter than 32 it can be guessed from one token (make one with: openssl rand -hex 32)")
	server.Connect("alice")
	for _, secret := range []string{"an old, weak one", otherSecret} {
		server.ConnectWith(signed(t, secret, "bob"), roosttest.Dial{})
	}
	if code, _ := server.Get("/metrics"); code != http.StatusUnauthorized {
		t.Errorf("/metrics without the token: %d", code)
	}
	// Commands find them too.
	env := roosttest.Env{"JWT_SECRET_KEY_FILE": jwt, "HTTP_TOKEN_FILE": token}
	p := roosttest.Run(t, roosttest.Command{Args: []string{"token", "--user", "carol"}, Env: env})
	if code := p.Wait(); code != 0 {
		t.Fatalf("roost token ended with %d: %s", code, p.Stderr.String())
	}
	server.ConnectWith(strings.TrimSpace(p.Log.String()), roosttest.Dial{})
	p = roosttest.Run(t, roosttest.Command{Args: []string{"why", "carol", "--url", "http://" + server.HTTP}, Env: env})
	if code := p.Wait(); code != 0 {
		t.Errorf("roost why ended with %d: %s", code, p.Stderr.String())
	}

	secretFile(t, jwt, otherSecret+"\n\n") // with a line feed that counts
	secretFile(t, previous, roosttest.Secret)
	line := hangUp(t, server)
	checkChanged(t, line, "JWT_SECRET_KEY changed", "JWT_SECRET_KEY_PREVIOUS changed")
	server.WaitLine("JWT_SECRET_KEY ends with a line feed, and that counts as part of it")
	server.ConnectWith(signed(t, otherSecret+"\n", "dave"), roosttest.Dial{})
	server.Connect("erin")
	if code := e2e.Connects(server, signed(t, otherSecret, "frank")); code != http.StatusUnauthorized {
		t.Errorf("a token of the secret without its line feed is answered %d", code)
	}
	if err := os.Remove(jwt); err != nil {
		t.Fatal(err)
	}
	if line := hangUp(t, server); line.Message() != notReloaded || !strings.Contains(server.Log.String(), `JWT_SECRET_KEY_FILE=`) {
		t.Errorf("without the file: %s", line.Message())
	}
	server.Connect("grace")
	for _, secret := range []string{roosttest.Secret, otherSecret, "an old, weak one", httpToken} {
		if strings.Contains(server.Log.String(), secret) {
			t.Error("the log shows a secret")
		}
	}
}

// TestSecretTwice says a secret in two places.
func TestSecretTwice(t *testing.T) {
	t.Parallel()
	path := secretFile(t, "", roosttest.Secret)
	env := roosttest.ServerEnv(e2e.NoRedis{}, roosttest.Env{"JWT_SECRET_KEY_FILE": path})
	e2e.CheckRefusesToStart(t, env, `JWT_SECRET_KEY_FILE="`+path+`"`, "since JWT_SECRET_KEY is set")
}
