package auth

import (
	"strings"
	"sync"
	"testing"
	"time"

	"github.com/golang-jwt/jwt/v5"
)

// TestUsualTokens: headers and claims as the libraries of several languages write them.
func TestUsualTokens(t *testing.T) {
	t.Parallel()
	a := newTest(t, Config{})
	headers := []string{
		`{"alg":"HS256","typ":"JWT"}`,              // Go, Node, Python, .NET, Elixir
		`{"typ":"JWT","alg":"HS256"}`,              // PHP, Rust, Java (Auth0), older Python
		`{"alg":"HS256"}`,                          // Ruby, Java (JJWT, Nimbus)
		`{"typ": "JWT", "alg": "HS256"}`,           // Python's json by default
		"{\"typ\":\"JWT\",\r\n \"alg\":\"HS256\"}", // RFC 7515 appendix A.1
		`{"alg":"HS256","kid":"x5Qd2/Zk+","typ":"JWT"}`,
		`{"alg":"HS256","typ":"at+jwt","cty":"JWT"}`,
		`{"\u0061lg":"\u0048S256"}`, `{"alg":"none","alg":"HS256"}`, `{"alg":"HS256","n":1e999}`, `{"alg":"HS256","jwk":{}}`,
	}
	claims := []string{
		`{"sub":"alice","exp":1772600768}`,
		`{"exp":1772600768,"iat":1772600767,"sub":"alice"}`,
		`{"sub": "alice", "iat": 1772600767, "nbf": 1772600767, "exp": 1772604367}`,
		`{"iss":"https:\/\/a.example","aud":["a","b"],"sub":"alice","name":"J\u00fcrgen \"J\" 🐦","admin":true,"org":null,"exp":99999999999,"jti":"1"}`,
		`{"aud":"authenticated","exp":1772604367,"iat":1772600767,"sub":"alice","email":"","app_metadata":{"provider":"email","providers":["email"]},` +
			`"user_metadata":{},"role":"authenticated","aal":"aal1","amr":[{"method":"password","timestamp":1772600767}],"is_anonymous":false}`,
		`{"Sub":"bob","SUB":"bob","user":{"sub":"bob","exp":1},"sub":"alice","exp":1772604367}`,
		`{"sub":"al\u0069ce","exp":1772604367.5,"x":1.5e3}`,
	}
	for _, header := range headers {
		for _, text := range claims {
			if id, problem := decide(a, signJSON(t, header, text)); problem != nil || id.User != "alice" {
				t.Errorf("%s %s: %q, %v", header, text, id.User, problem)
			}
		}
	}
}

// TestBadHeaders: whatever else is right, these headers let nobody in.
func TestBadHeaders(t *testing.T) {
	t.Parallel()
	a := newTest(t, Config{})
	long := strings.Repeat("x", maxTokenHeader)
	for _, header := range []string{`{"alg":"HS256","kid":"` + long + `"}`, ``, `{}`, `null`, `[]`, `{"alg":"none"}`, `{"alg":"hs256"}`, `{"alg":"HS512"}`, `{"ALG":"HS256"}`, `{"alg":256}`,
		`{"alg":"HS256","crit":["exp"]}`, `{"crit":[],"alg":"HS256"}`, `{"alg":"HS256","crit":"exp"}`, `{"alg":"HS256","crit":null}`, `{"alg":"HS256","alg":"none"}`,
		`{"alg":"HS256","cr\u0069t":["exp"]}`, `{"alg":"HS256","kid":5}`, `{"alg":"HS256"}x`, `{"alg":"HS256"`, `{"alg":["HS256"]}`, `{"alg":"HS256",}`} {
		if id, problem := decide(a, signJSON(t, header, `{"sub":"alice","exp":1772604367}`)); problem == nil {
			t.Errorf("%s: let in as %q", header, id.User)
		}
	}
}

// TestChangedTokens changes a token at every place, and cuts it there.
func TestChangedTokens(t *testing.T) {
	t.Parallel()
	const alphabet = "ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz0123456789-_.=+/\n"
	a := newTest(t, Config{})
	good := goodToken(t, "alice")
	refused := func(token string) {
		t.Helper()
		if id, problem := decide(a, token); problem == nil {
			t.Errorf("%q is let in as %q", token, id.User)
		}
	}
	for i := range len(good) {
		refused(good[:i])
		refused(good[i:][1:])
		for j := range len(alphabet) {
			refused(good[:i] + alphabet[j:j+1] + good[i:])
			if alphabet[j] != good[i] {
				refused(good[:i] + alphabet[j:j+1] + good[i+1:])
			}
		}
	}
	refused(good + ".")
	refused(good + good[strings.LastIndexByte(good, '.'):])
	a = stranger(t, 0)
	refused(good)
}

// TestSignedLineBreaks: the base64 of the standard library skips CR and LF,
// and a signature over them would be good.
func TestSignedLineBreaks(t *testing.T) {
	t.Parallel()
	a := newTest(t, Config{})
	good := goodToken(t, "alice")
	text := good[:strings.LastIndexByte(good, '.')]
	for at := range text {
		for _, odd := range []string{"\r", "\n", "\r\n\r\n"} {
			broken := text[:at] + odd + text[at:]
			if id, problem := decide(a, broken+"."+signature(t, broken)); problem == nil {
				t.Errorf("%q is let in as %q", broken, id.User)
			}
		}
	}
}

// TestIdentityOutlivesTheToken: what the token is kept in may be used again, and nothing is kept of it.
func TestIdentityOutlivesTheToken(t *testing.T) {
	t.Parallel()
	a := newTest(t, Config{})
	token := []byte(signJSON(t, hs256, `{"sub":"alice","exp":1772604367,"groups":["a","b"]}`))
	id, problem := decide(a, token)
	if problem != nil {
		t.Fatal(problem)
	}
	clear(token)
	if id.User != "alice" || len(id.Groups) != 2 || id.Groups[0] != "a" {
		t.Errorf("%+v", id)
	}
}

// checkAgainstLibrary: whom an authenticator lets in, golang-jwt's own parser lets in as the same user.
func checkAgainstLibrary(t testing.TB, a *Authenticator, token string, now time.Time) {
	t.Helper()
	id, problem := a.Check([]byte(token), now)
	if problem != nil {
		return
	}
	options := []jwt.ParserOption{jwt.WithValidMethods([]string{"HS256"}), jwt.WithStrictDecoding(), jwt.WithExpirationRequired(), jwt.WithIssuedAt(),
		jwt.WithLeeway(a.leeway), jwt.WithTimeFunc(func() time.Time { return now }), jwt.WithJSONNumber()}
	if a.issuer != "" {
		options = append(options, jwt.WithIssuer(a.issuer))
	}
	if len(a.audience) > 0 {
		options = append(options, jwt.WithAudience(a.audience...))
	}
	var all jwt.MapClaims
	_, err := jwt.NewParser(options...).ParseWithClaims(token, &all, func(*jwt.Token) (any, error) {
		var set jwt.VerificationKeySet
		for _, key := range a.ring.Load().secrets {
			set.Keys = append(set.Keys, key.key)
		}
		return set, nil
	})
	// Its own claims take no date beyond a float's precision, and none before 1970.
	if err != nil && !hasOddDate(all) {
		t.Fatalf("%q is let in as %q, and the library says %v", token, id.User, err)
	}
	if err == nil && all["sub"] != id.User {
		t.Fatalf("%q is let in as %q, and is %v", token, id.User, all["sub"])
	}
}

// hasOddDate reports whether a date is one that Roost reads and jwt.MapClaims does not, or otherwise.
func hasOddDate(all jwt.MapClaims) bool {
	for _, name := range []string{"exp", "nbf", "iat"} {
		number, ok := all[name].(interface{ Float64() (float64, error) })
		if !ok {
			continue
		}
		if f, err := number.Float64(); err != nil || f < 1 || f > 1e11 {
			return true
		}
	}
	return false
}

// FuzzAgainstLibrary signs any header and claims: a yes must be the library's yes with the same user, at any time and leeway.
func FuzzAgainstLibrary(f *testing.F) {
	const claims = `{"sub":"alice","exp":1800000000}`
	now := testNow.Unix()
	f.Add(hs256, claims, now, int64(0))
	f.Add(`{"kid":"a","alg":"HS256"}`, `{"sub":"日本","exp":1772600768,"iat":1772600767,"nbf":1,"aud":["a",{"b":null}]}`, now, int64(time.Minute))
	f.Add(`{"alg":"HS256","crit":["b64"]}`, claims, now, int64(0))
	f.Add(`{"alg":"HS256","alg":"none"}`, `{"sub":"a","sub":"b","exp":18000000000}`, now, int64(0))
	f.Add(hs256, `{"sub":"\u0061","exp":1e10}`, now, int64(0))
	f.Add(hs256, `{"s\u0075b":"b","sub":"a","exp":99999999999,"Exp":0}`, int64(-1), int64(1<<62))
	f.Add(hs256, "{\"sub\":\"a\x7f\xff\",\"exp\":1800000000,\"x\":[[[[[[[[[]]]]]]]]]}", now, int64(-1))
	f.Add(hs256, `{"sub":"alice","exp":1800000000,"groups":["a", "b" ,"a"]}`, now, int64(0))
	f.Add(hs256, `{"sub":"alice","exp":1800000000,"iss":"a.example","aud":"roost"}`, now, int64(0))
	f.Add(hs256, `{"sub":"alice","exp":1800000000,"iss":"a\u002eexample","aud":["push","roost"]}`, now, int64(0))
	f.Fuzz(func(t *testing.T, header, claims string, seconds, leeway int64) {
		at := time.Unix(seconds, 0)
		checkAgainstLibrary(t, newTest(t, Config{Leeway: time.Duration(leeway)}), signJSON(t, header, claims), at)
		asking := newTest(t, Config{Leeway: time.Duration(leeway), Issuer: "a.example", Audience: []string{"push", "roost"},
			Keys: Keys{Previous: [][]byte{[]byte("the older secret"), []byte("the old secret")}}})
		checkAgainstLibrary(t, asking, signJSON(t, header, claims), at)
		checkAgainstLibrary(t, asking, signHeader(t, "the old secret", header, claims), at)
		if _, problem := asking.Check([]byte(signHeader(t, "nobody's secret", header, claims)), at); problem == nil {
			t.Error("what nobody of ours has signed is let in")
		}
	})
}

// TestIdentifyAllocates: a stranger's token costs a loop its header, and a good one no more than these.
func TestIdentifyAllocates(t *testing.T) {
	if raceDetector {
		t.Skip("a sync.Pool drops items under the race detector")
	}
	good, wrong := newTest(t, Config{}), stranger(t, MaxPrevious)
	token := usualToken(t)
	long := []byte(signJSON(t, hs256, `{"sub":"alice","exp":1.8e9,"x":"`+strings.Repeat("x", 6000)+`"}`))
	for name, tt := range map[string]struct {
		a     *Authenticator
		token []byte
		most  float64
	}{"good": {good, token, 14}, "a stranger's": {wrong, token, 3}, "a stranger's long one": {wrong, long, 3}} {
		if n := testing.AllocsPerRun(200, func() { decide(tt.a, tt.token) }); n > tt.most {
			t.Errorf("%s: %v allocations, want %v", name, n, tt.most)
		}
	}
}

// TestSecretsAreShared: goroutines that check at once don't meet.
func TestSecretsAreShared(t *testing.T) {
	t.Parallel()
	a := newTest(t, Config{})
	var group sync.WaitGroup
	for _, user := range []string{"alice", "bob", "carol", "dave"} {
		token := []byte(goodToken(t, user))
		wrong := []byte(string(token[:len(token)-4]) + "AAAA")
		group.Go(func() {
			for range 500 {
				if id, problem := decide(a, token); problem != nil || id.User != user {
					t.Errorf("%+v, %v, want %q", id, problem, user)
				}
				if id, problem := decide(a, wrong); problem == nil {
					t.Errorf("a wrong token of %q lets %+v in", user, id)
				}
			}
		})
	}
	group.Wait()
}
