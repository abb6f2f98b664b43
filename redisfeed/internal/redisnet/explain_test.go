package redisnet

import (
	"errors"
	"strings"
	"testing"
)

// Redis repeats the arguments of a command that it does not know, and AUTH has the password.
func TestExplainKeepsThePassword(t *testing.T) {
	for _, said := range []string{
		"ERR unknown command 'AUTH', with args beginning with: 'roost' 'pa55word' ",
		"ERR unknown command `AUTH`, with args beginning with: `pa55word`, ",
		"ERR unknown command 'HELLO', with args beginning with: '3' 'auth' 'roost' 'pa55word' ",
	} {
		err := Config{}.Explain(ReplyError(said))
		if !errors.Is(err, ErrAuth) || strings.Contains(err.Error(), "pa55word") || !strings.Contains(err.Error(), "REDIS_PASSWORD") {
			t.Errorf("%q is explained as %q", said, err)
		}
	}
	if err := (Config{}).Explain(ReplyError("ERR unknown command 'SSUBSCRIBE', with args beginning with: 'a' ")); !strings.Contains(err.Error(), "SSUBSCRIBE") {
		t.Errorf("another command is not named: %v", err)
	}
}
