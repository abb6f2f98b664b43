package docs

import (
	"os"
	"regexp"
	"slices"
	"strings"
	"testing"

	"roost/cmd/roost/internal/config"
	"roost/cmd/roost/internal/e2e"
	"roost/cmd/roost/internal/roosttest"
)

// TestKubernetesManifest starts a server with the environment of the manifest that docs/deploy.md names, and asks what its probes
// ask. That the manifest is what the chart makes, and as Kubernetes wants it, scripts/chart tests. Kubernetes itself is not there.
func TestKubernetesManifest(t *testing.T) {
	t.Parallel()
	text, err := os.ReadFile(e2e.Root + "/scripts/chart/kubernetes.yaml")
	if err != nil {
		t.Fatal(err)
	}
	manifest := string(text)
	rows := (config.Config{}).Describe()
	env := roosttest.Env{}
	for _, m := range regexp.MustCompile(`\{name: ([A-Z_]+), value: "?([^"}]*)"?\}`).FindAllStringSubmatch(manifest, -1) {
		if !slices.ContainsFunc(rows, func(r config.Row) bool { return r.Name == m[1] || r.Name+"_FILE" == m[1] }) {
			t.Errorf("the manifest sets %s, which nothing reads", m[1])
		}
		if !strings.HasPrefix(m[1], "REDIS_") {
			env[m[1]] = m[2]
		}
	}
	for name, secret := range map[string]string{"JWT_SECRET_KEY_FILE": roosttest.Secret, "HTTP_TOKEN_FILE": "0123456789abcdef0123456789abcdef"} {
		if env[name] == "" {
			t.Fatalf("the manifest has no %s", name)
		}
		env[name] = t.TempDir() + "/secret"
		if err := os.WriteFile(env[name], []byte(secret), 0o600); err != nil {
			t.Fatal(err)
		}
	}
	if code := roosttest.Run(t, roosttest.Command{Args: []string{"config", "--check"}, Env: env}).Wait(); code != 0 {
		t.Errorf("roost config --check ends with %d", code)
	}
	env["JWT_SECRET_KEY"], env["WS_DRAIN_DELAY"], env["WS_DRAIN_WINDOW"] = "", "0s", "0s" // the test need not wait
	_, server := e2e.Start(t, env)
	probes := regexp.MustCompile(`httpGet: \{path: (\S+), port: admin\}`).FindAllStringSubmatch(manifest, -1)
	if len(probes) != 2 {
		t.Errorf("%d probes", len(probes))
	}
	for _, probe := range probes {
		if status, _ := server.Get(probe[1]); status != 200 {
			t.Errorf("%s answers %d", probe[1], status)
		}
	}
}
