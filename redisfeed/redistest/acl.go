package redistest

import (
	"os"
	"path/filepath"
	"regexp"
	"strings"
	"testing"

	"github.com/redis/go-redis/v9"
)

// Documented are the permissions in README.md and docs that begin with the first of them. root is where the module is.
func Documented(t *testing.T, root, first string) []string {
	t.Helper()
	pages, _ := filepath.Glob(filepath.Join(root, "docs", "*.md"))
	for _, page := range append(pages, filepath.Join(root, "README.md")) {
		text, err := os.ReadFile(page)
		if err != nil {
			t.Fatal(err)
		}
		found := regexp.MustCompile("[`\n](" + regexp.QuoteMeta(first) + " [^`\n]+)[`\n]").FindStringSubmatch(string(text))
		if found != nil {
			return strings.Fields(found[1])
		}
	}
	t.Fatalf("no page has permissions that begin with %s", first)
	return nil
}

// Allow makes a user that may do nothing but that.
func Allow(t *testing.T, client *redis.Client, name, password string, permissions []string) {
	t.Helper()
	args := []any{name, "on", ">" + password, "resetchannels", "-@all"}
	for _, p := range permissions {
		args = append(args, p)
	}
	SetUser(t, client, args...)
}

// SetUser sends ACL SETUSER.
func SetUser(t *testing.T, client *redis.Client, args ...any) {
	t.Helper()
	if err := client.Do(t.Context(), append([]any{"ACL", "SETUSER"}, args...)...).Err(); err != nil {
		t.Fatal(err)
	}
}

// Without is a list that lacks one.
func Without(list []string, n int) []string {
	return append(append([]string(nil), list[:n]...), list[n+1:]...)
}
