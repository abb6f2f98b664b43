package config

import (
	"reflect"
	"testing"
)

func TestChanges(t *testing.T) {
	t.Parallel()
	old := Config{WSPort: 1, JWTSecretKey: "a-secret", LoggerLevel: "info", WSAllowedOrigins: []string{"*"}}
	next := Config{WSPort: 2, JWTSecretKey: "b-secret", WSAllowedOrigins: []string{"a", "b"}, JWTSecretKeyPrevious: []string{"a-secret"}}
	var said, kept []string
	for _, c := range old.Changes(next) {
		said = append(said, c.String())
		if !c.Reload {
			kept = append(kept, c.Name)
		}
	}
	want := []string{"WS_PORT 1 → 2", "WS_ALLOWED_ORIGINS * → a,b", "JWT_SECRET_KEY changed", "JWT_SECRET_KEY_PREVIOUS changed", `LOGGER_LEVEL info → ""`}
	if !reflect.DeepEqual(said, want) || !reflect.DeepEqual(kept, []string{"WS_PORT"}) {
		t.Errorf("got  %q\nwant %q\nwhich need a restart: %q", said, want, kept)
	}
	next.WSPort = 1
	if got := old.Reloaded(next); !reflect.DeepEqual(got, next) {
		t.Errorf("got  %+v\nwant %+v", got, next)
	}
	if again := old.Changes(old); len(again) > 0 {
		t.Errorf("nothing changed, and yet %v", again)
	}
}
