package redistest

import (
	"os"
	"path/filepath"
	"regexp"
	"slices"
	"strings"
	"testing"

	"github.com/redis/go-redis/v9"
)

// SetUserLine is what docs/redis.md has to be pasted for somebody: a row of its table of permissions, from ACL on. root is
// where the module is.
func SetUserLine(t *testing.T, root, who string) []string {
	t.Helper()
	page, err := os.ReadFile(filepath.Join(root, "docs", "redis.md"))
	if err != nil {
		t.Fatal(err)
	}
	row := regexp.MustCompile(`(?m)^\| ` + regexp.QuoteMeta(who) + " \\| `(ACL SETUSER [^`]+)` \\|$").FindSubmatch(page)
	if row == nil {
		t.Fatalf("docs/redis.md has no permissions for %q", who)
	}
	return strings.Fields(strings.ReplaceAll(string(row[1]), `\|`, "|"))
}

// Documented are the permissions in that line.
func Documented(t *testing.T, root, who string) []string {
	t.Helper()
	line := SetUserLine(t, root, who)[3:]
	if end := slices.Index(line, "-@all"); end >= 0 {
		line = line[end+1:]
	}
	return line
}

// Paste runs such a line.
func Paste(t *testing.T, client *redis.Client, root, who string) {
	t.Helper()
	line := SetUserLine(t, root, who)[2:]
	args := make([]any, len(line))
	for i, word := range line {
		args[i] = word
	}
	SetUser(t, client, args...)
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
