package urlerror

import (
	"errors"
	"fmt"
	"net/http"
	"testing"
)

func TestWithout(t *testing.T) {
	t.Parallel()
	_, refused := http.Get("gopher://example.com/?token=secret")
	plain := errors.New("plain")
	for _, test := range []struct {
		name string
		err  error
		want string
	}{
		{"of net/http", refused, `unsupported protocol scheme "gopher"`},
		{"wrapped", fmt.Errorf("asking: %w", refused), `unsupported protocol scheme "gopher"`},
		{"another one", plain, "plain"},
	} {
		if got := Without(test.err); got.Error() != test.want {
			t.Errorf("%s: %v, want %s", test.name, got, test.want)
		}
	}
	if Without(nil) != nil {
		t.Error("no error becomes one")
	}
}
