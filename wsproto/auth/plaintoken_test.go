package auth

import (
	"slices"
	"strings"
	"sync"
	"testing"
	"time"

	"github.com/golang-jwt/jwt/v5"

	"roost/internal/names"
)

// checkPlain: whom plainIdentity lets in, checkToken lets in as the same user, until the same
// time; what is forged for it, checkToken refuses. It returns whom plainIdentity lets in.
func checkPlain(t testing.TB, a *Authenticator, token string, now time.Time) (user string, ok bool) {
	t.Helper()
	id, found := a.plainIdentity(a.ring.Load(), []byte(token), now)
	if found != genuine {
		if id.User != "" {
			t.Fatalf("%q without a yes", id.User)
		}
		if judged, problem := a.Check([]byte(token), now); problem == nil && (found == forged || found == strange) {
			t.Fatalf("%q counts as %d, but is %+v", token, found, judged)
		}
		return "", false
	}
	if judged, problem := a.Check([]byte(token), now); problem != nil {
		t.Fatalf("%q is let in as %q, but %s", token, id.User, problem.Text)
	} else if judged.User != id.User || !judged.Expires.Equal(id.Expires) || !slices.Equal(judged.Groups, id.Groups) {
		t.Fatalf("%q is let in as %+v, but is %+v", token, id, judged)
	}
	return id.User, true
}

// TestUsualTokensArePlain: headers and claims as the libraries of several languages
// write them.
func TestUsualTokensArePlain(t *testing.T) {
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
	}
	claims := []string{
		`{"sub":"alice","exp":1772600768}`,
		`{"exp":1772600768,"iat":1772600767,"sub":"alice"}`,
		`{"sub": "alice", "iat": 1772600767, "nbf": 1772600767, "exp": 1772604367}`,
		`{"iss":"https:\/\/a.example","aud":["a","b"],"sub":"alice","name":"J\u00fcrgen \"J\" 🐦","admin":true,"org":null,"exp":99999999999,"jti":"1"}`,
		`{"aud":"authenticated","exp":1772604367,"iat":1772600767,"sub":"alice","email":"","app_metadata":{"provider":"email","providers":["email"]},` +
			`"user_metadata":{},"role":"authenticated","aal":"aal1","amr":[{"method":"password","timestamp":1772600767}],"is_anonymous":false}`,
		`{"Sub":"bob","SUB":"bob","user":{"sub":"bob","exp":1},"sub":"alice","exp":1772604367}`,
	}
	for _, header := range headers {
		for _, text := range claims {
			if user, ok := checkPlain(t, a, signJSON(t, header, text), testNow); !ok || user != "alice" {
				t.Errorf("%s %s: %q, %v", header, text, user, ok)
			}
		}
	}
	if user, ok := checkPlain(t, a, goodToken(t, "日本 <&>"), testNow); ok {
		t.Errorf("an escaped sub is plain: %q", user)
	}
	if user, ok := checkPlain(t, a, goodToken(t, "日本"), testNow); !ok || user != "日本" {
		t.Errorf("%q, %v", user, ok)
	}
}

// TestOddTokensAreNotPlain: here the answer is checkToken's, be it yes or no.
func TestOddTokensAreNotPlain(t *testing.T) {
	t.Parallel()
	const plain = `{"sub":"alice","exp":1772604367}`
	a := newTest(t, Config{})
	long := strings.Repeat("x", maxTokenHeader)
	for _, header := range []string{`{"alg":"HS256","kid":"` + long + `"}`, ``, `{}`, `null`, `[]`, `{"alg":"none"}`, `{"alg":"hs256"}`, `{"alg":"HS512"}`, `{"ALG":"HS256"}`, `{"alg":256}`,
		`{"alg":"HS256","crit":["exp"]}`, `{"crit":[],"alg":"HS256"}`, `{"alg":"HS256","crit":"exp"}`, `{"alg":"HS256","crit":""}`, `{"alg":"HS256","alg":"HS256"}`, `{"alg":"HS256","alg":"none"}`,
		`{"alg":"none","alg":"HS256"}`, `{"\u0061lg":"HS256"}`, `{"alg":"\u0048S256"}`, `{"alg":"HS256","cr\u0069t":["exp"]}`, `{"alg":"HS256","n":1}`,
		`{"alg":"HS256","n":1e999}`, `{"alg":"HS256","jwk":{}}`, `{"alg":"HS256"}x`, `{"alg":"HS256"`, ` {"alg":"HS256"}`} {
		checkNotPlain(t, a, signJSON(t, header, plain))
	}
	for _, claims := range []string{``, `{}`, `null`, `[]`, plain + "x", plain + plain, plain[:len(plain)-1], " " + plain,
		`{"sub":"alice"}`, `{"exp":1772604367}`, `{"sub":"","exp":1772604367}`, `{"sub":null,"exp":1772604367}`, `{"sub":1,"exp":1772604367}`,
		`{"sub":{},"exp":1772604367}`, `{"sub":["alice"],"exp":1772604367}`,
		`{"sub":"alice","exp":1772600762}`, `{"sub":"alice","exp":0}`, `{"sub":"alice","exp":-1}`, `{"sub":"alice","exp":null}`, `{"sub":"alice","exp":"1772604367"}`,
		`{"sub":"alice","exp":1772604367.0}`, `{"sub":"alice","exp":1e10}`, `{"sub":"alice","exp":100000000000}`, `{"sub":"alice","exp":01772604367}`,
		`{"sub":"alice","exp":1772604367,"iat":1772600773}`, `{"sub":"alice","exp":1772604367,"nbf":1772600773}`,
		`{"sub":"alice","exp":1772604367,"iat":null}`, `{"sub":"alice","exp":1772604367,"nbf":null}`, `{"sub":"alice","exp":1772604367,"nbf":-1}`,
		`{"sub":"bob","sub":"alice","exp":1772604367}`, `{"sub":"alice","exp":1,"exp":1772604367}`, `{"sub":"alice","exp":1772604367,"exp":1}`,
		`{"sub":"alice","exp":1772604367,"iat":1,"iat":1}`, `{"sub":"alice","exp":1772604367,"nbf":0,"nbf":0}`,
		`{"sub":"al\u0069ce","exp":1772604367}`, `{"sub":"a\/b","exp":1772604367}`, `{"sub":"alice","s\u0075b":"bob","exp":1772604367}`,
		`{"sub":"a\u0000","exp":1772604367}`, "{\"sub\":\"a\x7f\",\"exp\":1772604367}", "{\"sub\":\"a\u0085\",\"exp\":1772604367}", "{\"sub\":\"a\xff\",\"exp\":1772604367}",
		`{"sub":"` + strings.Repeat("x", names.MaxUser+1) + `","exp":1772604367}`, `{"sub":"alice","exp":1772604367,"x":"` + strings.Repeat("x", maxPlainSegment) + `"}`,
		`{"sub":"alice","exp":1772604367,"x":1.5}`} {
		checkNotPlain(t, a, signJSON(t, hs256, claims))
	}
}

func checkNotPlain(t *testing.T, a *Authenticator, token string) {
	t.Helper()
	if user, ok := checkPlain(t, a, token, testNow); ok {
		t.Errorf("%q is let in as %q", token, user)
	}
}

// TestChangedTokensAreNotPlain changes a token at every place, and cuts it there.
func TestChangedTokensAreNotPlain(t *testing.T) {
	t.Parallel()
	const alphabet = "ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz0123456789-_.=+/\n"
	a := newTest(t, Config{})
	good := goodToken(t, "alice")
	if _, ok := checkPlain(t, a, good, testNow); !ok {
		t.Fatal("not even the token itself is plain")
	}
	for i := range len(good) {
		checkNotPlain(t, a, good[:i])
		checkNotPlain(t, a, good[i:][1:])
		for j := range len(alphabet) {
			checkNotPlain(t, a, good[:i]+alphabet[j:j+1]+good[i:])
			if alphabet[j] != good[i] {
				checkNotPlain(t, a, good[:i]+alphabet[j:j+1]+good[i+1:])
			}
		}
	}
	checkNotPlain(t, a, good+".")
	checkNotPlain(t, a, good+good[strings.LastIndexByte(good, '.'):])
	other, err := New(Config{Keys: Keys{Secret: []byte("another secret of thirty-two bytes or so")}})
	if err != nil {
		t.Fatal(err)
	}
	checkNotPlain(t, other, good)
}

// TestSignedLineBreaksAreNotPlain: the base64 of the standard library skips CR and LF,
// and a signature over them would be good.
func TestSignedLineBreaksAreNotPlain(t *testing.T) {
	t.Parallel()
	a := newTest(t, Config{})
	good := goodToken(t, "alice")
	text := good[:strings.LastIndexByte(good, '.')]
	for at := range text {
		for _, odd := range []string{"\r", "\n", "\r\n\r\n"} {
			broken := text[:at] + odd + text[at:]
			checkNotPlain(t, a, broken+"."+signature(t, broken))
		}
	}
	if user, ok := checkPlain(t, a, text+"."+signature(t, text), testNow); !ok || user != "alice" {
		t.Errorf("without line breaks: %q, %v", user, ok)
	}
}

// TestPlainTokenInTime: the two agree about each second around the dates, where plainUser
// must answer when checkToken says yes.
func TestPlainTokenInTime(t *testing.T) {
	t.Parallel()
	for _, leeway := range []time.Duration{-1, 0, 1500 * time.Millisecond, 10 * time.Second} {
		a := newTest(t, Config{Leeway: leeway})
		token := signJSON(t, hs256, `{"sub":"alice","nbf":1000000010,"iat":1000000000,"exp":1000000020}`)
		for d := -30 * time.Second; d <= 30*time.Second; d += time.Second / 2 {
			now := time.Unix(1000000010, 0).Add(d)
			_, ok := checkPlain(t, a, token, now)
			if _, problem := a.Check([]byte(token), now); ok == (problem != nil) {
				t.Fatalf("leeway %v, %v: %v, %+v", leeway, d, ok, problem)
			}
		}
	}
}

// TestVerifiersAreShared: goroutines that read at once don't meet.
func TestVerifiersAreShared(t *testing.T) {
	t.Parallel()
	a := newTest(t, Config{})
	var group sync.WaitGroup
	for _, user := range []string{"alice", "bob", "carol", "dave"} {
		token := []byte(goodToken(t, user))
		wrong := []byte(string(token[:len(token)-4]) + "AAAA")
		group.Go(func() {
			for range 500 {
				if got, found := a.plainIdentity(a.ring.Load(), token, testNow); found != genuine || got.User != user {
					t.Errorf("%+v, %v, want %q", got, found, user)
				}
				if got, found := a.plainIdentity(a.ring.Load(), wrong, testNow); found == genuine {
					t.Errorf("a wrong token of %q lets %+v in", user, got)
				}
			}
		})
	}
	group.Wait()
}

func TestVerifierForgets(t *testing.T) {
	t.Parallel()
	v := newVerifier(testSecret, 0)
	token := goodToken(t, "alice")
	dot := strings.LastIndexByte(token, '.')
	if !v.signed([]byte(token[:dot]), []byte(token[dot+1:])) || len(v.decode([]byte(token[37:dot]))) == 0 {
		t.Fatal("not signed")
	}
	v.forget()
	if v.sum != [len(v.sum)]byte{} || v.text != [len(v.text)]byte{} {
		t.Error("something of the token is left")
	}
}

// FuzzPlainToken signs any header and claims: a quick yes must be the library's
// yes with the same user, at any time and leeway.
func FuzzPlainToken(f *testing.F) {
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
	f.Add(hs256, `{"sub":"alice","exp":1800000000,"groups":"a,]"}`, now, int64(0))
	f.Add(hs256, `{"sub":"alice","exp":1800000000,"groups":["a",["b"],1,"\u0061",""]}`, now, int64(0))
	f.Add(hs256, `{"sub":"alice","exp":1800000000,"groups":null,"groups":[ ]}`, now, int64(0))
	f.Add(hs256, `{"sub":"alice","exp":1800000000,"iss":"a.example","aud":"roost"}`, now, int64(0))
	f.Add(hs256, `{"sub":"alice","exp":1800000000,"iss":"a\u002eexample","aud":["push","roost"]}`, now, int64(0))
	f.Fuzz(func(t *testing.T, header, claims string, seconds, leeway int64) {
		a := newTest(t, Config{Leeway: time.Duration(leeway)})
		checkPlain(t, a, signJSON(t, header, claims), time.Unix(seconds, 0))
		checkPlain(t, newTest(t, Config{IgnoreGroups: true}), signJSON(t, header, claims), time.Unix(seconds, 0))
		asking := newTest(t, Config{Keys: Keys{Previous: [][]byte{[]byte("the older secret"), []byte("the old secret")}}, Leeway: time.Duration(leeway), Issuer: "a.example", Audience: []string{"push", "roost"}})
		checkPlain(t, asking, signJSON(t, header, claims), time.Unix(seconds, 0))
		checkPlain(t, asking, signHeader(t, "the old secret", header, claims), time.Unix(seconds, 0))
		checkPlain(t, asking, signHeader(t, "nobody's secret", header, claims), time.Unix(seconds, 0))
	})
}

// TestIdentifyAllocatesTheUser: a token costs the user id it names, and nothing else.
func TestIdentifyAllocatesTheUser(t *testing.T) {
	skipUnderRace(t)
	a, token := newTest(t, Config{}), usualToken(t)
	if n := testing.AllocsPerRun(1000, func() {
		if _, problem := decide(a, token); problem != nil {
			t.Fatal(problem)
		}
	}); n != 1 {
		t.Errorf("%v allocations, want 1", n)
	}
	wrong := []byte(sign(t, jwt.MapClaims{"sub": "alice", "exp": 1}))
	if n := testing.AllocsPerRun(1000, func() { a.plainIdentity(a.ring.Load(), wrong, testNow) }); n != 0 {
		t.Errorf("%v allocations before the library is asked, want 0", n)
	}
	strangers := stranger(t, MaxPrevious)
	if n := testing.AllocsPerRun(1000, func() { decide(strangers, token) }); n != 0 {
		t.Errorf("%v allocations for a stranger's token, want 0", n)
	}
}
