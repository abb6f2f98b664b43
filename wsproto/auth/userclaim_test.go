package auth

import (
	"encoding/json"
	"strings"
	"testing"
	"unicode/utf8"

	"roost/internal/names"
)

func TestUserClaim(t *testing.T) {
	t.Parallel()
	const exp = `,"exp":99999999999}`
	long := strings.Repeat("9", names.MaxUser+1)
	for _, tt := range []struct {
		name, claim, claims string
		user                string
		why                 string // of a problem
	}{
		{"sub", "", `{"sub":"alice"`, "alice", ""},
		{"another", "preferred_username", `{"sub":"1","preferred_username":"alice"`, "alice", ""},
		{"with escapes", "preferred_username", `{"preferred_username":"\u0061lice"`, "alice", ""},
		{"a namespace", "https://app.example/user", `{"https://app.example/user":"alice"`, "alice", ""},
		{"nested", "user.id", `{"user":{"id":"alice"}`, "alice", ""},
		{"nested twice", "a.b.c", `{"a":{"b":{"c":"alice"}}`, "alice", ""},
		{"nested, with a dot in the first name", "a.b.c", `{"a.b":{"c":"alice"}`, "alice", ""},
		{"nested, with a dot in the last name", "a.b.c", `{"a":{"b.c":"alice"}`, "alice", ""},
		{"in a namespace", "https://app.example/claims.x-user-id", `{"https://app.example/claims":{"x-user-id":"alice"}`, "alice", ""},
		{"the whole name first", "user.id", `{"user":{"id":"mallory"},"user.id":"alice"`, "alice", ""},
		{"the issuer, of all", "iss", `{"iss":"alice"`, "alice", ""},
		{"a number", "user_id", `{"user_id":42`, "42", ""},
		{"a negative number", "user_id", `{"user_id":-7`, "-7", ""},
		{"a large number", "user_id", `{"user_id":98765432109876543210`, "98765432109876543210", ""},

		{"missing", "", `{"id":"alice"`, "", "token without sub"},
		{"null", "", `{"sub":null`, "", "token with a sub that is no string"},
		{"another, missing", "user.id", `{"sub":"alice","user":{"name":"x"}`, "", "token without user.id"},
		{"another, in no object", "user.id", `{"user":"id"`, "", "token without user.id"},
		{"a sub that is a number", "", `{"sub":42`, "", "token with a sub that is no string: it has to be a string, in quotes"},
		{"sub that is a number, by name", "sub", `{"sub":42`, "", "token with a sub that is no string: it has to be a string, in quotes"},
		{"a sub that is a list", "", `{"sub":["alice"]`, "", "token with a sub that is no string"},
		{"a broken number", "user_id", `{"user_id":4.2`, "", "token with a user_id that is no string: it has to be a string, in quotes, or a whole number"},
		{"an exponent", "user_id", `{"user_id":1e3`, "", "token with a user_id that is no string"},
		{"too long a number", "user_id", `{"user_id":` + long, "", "token with a user_id that is no string"},
		{"an object", "user", `{"user":{"id":"alice"}`, "", "token with a user that is no string"},
		{"empty", "user_id", `{"user_id":""`, "", "token with a bad user_id: 1 to 255 bytes"},
		{"with a control character", "", `{"sub":"a\u0000"`, "", "token with a bad sub: 1 to 255 bytes"},
		{"quotes in the name", `us"er`, `{"sub":"alice"`, "", `token without us'er`},
	} {
		a := newTest(t, Config{UserClaim: tt.claim})
		id, problem := decide(a, signJSON(t, `{"alg":"HS256"}`, tt.claims+exp))
		switch {
		case tt.why == "" && (problem != nil || id.User != tt.user):
			t.Errorf("%s: %q, %+v", tt.name, id.User, problem)
		case tt.why != "" && (problem == nil || !strings.HasPrefix(problem.Text, tt.why)):
			t.Errorf("%s: %q, %+v, want %s", tt.name, id.User, problem, tt.why)
		}
	}
}

// The members that are found are those that encoding/json finds, the last of equal names.
func FuzzUserClaim(f *testing.F) {
	f.Add("user.id", `{"user":{"id":"alice"},"exp":99999999999}`)
	f.Add("iss", `{"iss":"a","sub":"b","exp":99999999999}`)
	f.Add("sub", ` { "sub" : [1,{"a":"\u0061"}] , "s\u0075b":"b","exp":99999999999} `)
	f.Fuzz(func(t *testing.T, name, claims string) {
		if !utf8.ValidString(name) || !utf8.ValidString(claims) {
			return
		}
		var all map[string]json.RawMessage
		isObject := json.Unmarshal([]byte(claims), &all) == nil && all != nil
		if got := members(claims, func(string, string) {}); got != isObject {
			t.Fatalf("%q is an object: %v, and encoding/json says %v", claims, got, isObject)
		}
		if !isObject {
			return
		}
		if want := string(all[name]); member(claims, name) != want && !strings.ContainsRune(name, utf8.RuneError) {
			t.Errorf("%q of %s is %q, and encoding/json says %q", name, claims, member(claims, name), want)
		}
	})
}
