package auth

import (
	"crypto/ecdsa"
	"crypto/elliptic"
	"crypto/rand"
	"math"
	"strings"
	"testing"
	"time"

	"github.com/golang-jwt/jwt/v5"

	"roost/internal/names"
)

const hs256 = `{"alg":"HS256","typ":"JWT"}`

func TestTokenUsers(t *testing.T) {
	t.Parallel()
	a := newTest(t, Config{})
	for _, user := range []string{"a", "42", "alice@example.com", "user:with:colons", " ", "日本語", "\U0001f426",
		"\ufffd", "\u00a0", strings.Repeat("x", names.MaxUser)} {
		id, problem := decide(a, goodToken(t, user))
		if problem != nil {
			t.Errorf("%q: %s", user, problem.Text)
		} else if id.User != user {
			t.Errorf("got %q, want %q", id.User, user)
		}
	}
}

func TestTokenClaims(t *testing.T) {
	t.Parallel()
	const sub = `"sub":"alice"`
	tests := map[string]struct {
		claims string
		reason Reason // 0 is none
	}{
		"least":                {`{"sub":"alice","exp":1772600768}`, 0},
		"within leeway":        {`{"sub":"alice","exp":1772600763}`, 0},
		"with email and iat":   {`{"sub":"alice","exp":1772600768,"iat":1772600767,"email":"a@b"}`, 0},
		"iat within leeway":    {`{"sub":"alice","exp":1772600799,"iat":1772600772}`, 0},
		"nbf within leeway":    {`{"sub":"alice","exp":1772600799,"nbf":1772600772}`, 0},
		"exp with a fraction":  {`{"sub":"alice","exp":1772600768.5}`, 0},
		"exp with an exponent": {`{"sub":"alice","exp":1.8e9}`, 0},
		"exp far away":         {`{"sub":"alice","exp":1e300}`, 0},
		"exp beyond int64":     {`{"sub":"alice","exp":99999999999999999999}`, 0},
		"exp beyond float64":   {`{"sub":"alice","exp":1e999}`, 0},
		"nbf null":             {`{"sub":"alice","exp":1.8e9,"nbf":null}`, 0},
		"iat before 1970":      {`{"sub":"alice","exp":1.8e9,"iat":-1}`, 0},
		"escaped name":         {`{"s\u0075b":"alice","exp":1.8e9}`, 0},
		"last sub counts":      {`{"sub":"bob","sub":"alice","exp":1.8e9}`, 0},
		"other case beside":    {`{"sub":"alice","SUB":"bob","exp":1.8e9,"Exp":1}`, 0},

		"expired":             {`{"sub":"alice","exp":1772600762}`, Expired},
		"expired long ago":    {`{"sub":"alice","exp":0}`, Expired},
		"expired before 1970": {`{"sub":"alice","exp":-1e300}`, Expired},
		"no exp":              {`{"sub":"alice"}`, NoExpiry},
		"exp null":            {`{"sub":"alice","exp":null}`, NoExpiry},
		"EXP":                 {`{"sub":"alice","EXP":1.8e9}`, NoExpiry},
		"exp as text":         {`{"sub":"alice","exp":"1800000000"}`, Malformed},
		"exp true":            {`{"sub":"alice","exp":true}`, Malformed},
		"iat as text":         {`{"sub":"alice","exp":1.8e9,"iat":"1"}`, Malformed},
		"nbf as list":         {`{"sub":"alice","exp":1.8e9,"nbf":[1]}`, Malformed},
		"iat in the future":   {`{"sub":"alice","exp":1.8e9,"iat":1772600773}`, IssuedInFuture},
		"iat beyond int64":    {`{"sub":"alice","exp":1.8e9,"iat":1e30}`, IssuedInFuture},
		"nbf in the future":   {`{"sub":"alice","exp":1.8e9,"nbf":1772600773}`, NotYetValid},
		"nbf beyond int64":    {`{"sub":"alice","exp":1.8e9,"nbf":1e30}`, NotYetValid},
		"expired, no sub":     {`{"exp":1}`, Expired},
		"no sub":              {`{"exp":1.8e9}`, NoSubject},
		"Sub":                 {`{"Sub":"alice","exp":1.8e9}`, NoSubject},
		"user_id is no sub":   {`{"user_id":"alice","exp":1.8e9}`, NoSubject},
		"sub null":            {`{"sub":null,"exp":1.8e9}`, BadSubject},
		"sub number":          {`{"sub":42,"exp":1.8e9}`, BadSubject},
		"sub list":            {`{"sub":["alice"],"exp":1.8e9}`, BadSubject},
		"sub empty":           {`{"sub":"","exp":1.8e9}`, BadSubject},
		"sub too long":        {`{"sub":"` + strings.Repeat("x", names.MaxUser+1) + `","exp":1.8e9}`, BadSubject},
		"sub with NUL":        {`{"sub":"a\u0000","exp":1.8e9}`, BadSubject},
		"sub with LF":         {`{"sub":"a\nb","exp":1.8e9}`, BadSubject},
		"sub with DEL":        {`{"sub":"a\u007f","exp":1.8e9}`, BadSubject},
		"sub with C1":         {`{"sub":"a\u0085","exp":1.8e9}`, BadSubject},
		"sub not UTF-8":       {"{\"sub\":\"a\xff\",\"exp\":1.8e9}", BadSubject},
		"half a surrogate":    {`{"sub":"a\uD800","exp":1.8e9}`, BadSubject},
		"probe's Identity":    {`{"sub":"\u0001probe","exp":1.8e9}`, BadSubject},

		"claims null":         {`null`, Malformed},
		"claims list":         {`[` + sub + `]`, Malformed},
		"claims text":         {`"alice"`, Malformed},
		"claims empty object": {`{}`, NoExpiry},
		"claims nothing":      {``, Malformed},
		"claims cut":          {`{"sub":"alice"`, Malformed},
		"claims twice":        {`{}{}`, Malformed},
		"claims deep":         {strings.Repeat("[", 6000), Malformed},
	}
	a := newTest(t, Config{})
	for name, test := range tests {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			checkTokenReason(t, a, signJSON(t, hs256, test.claims), test.reason)
		})
	}
}

// checkTokenReason reads a request with a token. reason 0 wants it to pass.
func checkTokenReason(t *testing.T, a *Authenticator, token string, reason Reason) {
	t.Helper()
	id, problem := decide(a, token)
	switch {
	case problem == nil && reason != 0:
		t.Fatalf("accepted as %q, want %s", id.User, reason)
	case problem == nil:
		if id.User != "alice" {
			t.Errorf("user %q", id.User)
		}
	case problem.Reason != reason:
		t.Errorf("%s (%s), want %s", problem.Reason, problem.Text, reason)
	}
}

func TestTokenShapes(t *testing.T) {
	t.Parallel()
	const claims = `{"sub":"alice","exp":1.8e9}`
	good := signJSON(t, hs256, claims)
	body := good[:strings.LastIndexByte(good, '.')]
	last := good[len(good)-1:]
	other := signJSON(t, hs256, `{"sub":"bob","exp":1.8e9}`)
	tests := map[string]struct {
		token  string
		reason Reason
	}{
		"good":                 {good, 0},
		"word":                 {"x", Malformed},
		"two parts":            {body, Malformed},
		"four parts":           {good + ".x", Malformed},
		"empty parts":          {"..", Malformed},
		"padded":               {good + "=", Malformed},
		"line feed inside":     {good + "\n", Malformed},
		"space":                {good + " ", Malformed},
		"base64 with rests":    {strings.TrimSuffix(good, last) + string(rune(last[0]+1)), Malformed},
		"header no JSON":       {signJSON(t, `x`, claims), Malformed},
		"header null":          {signJSON(t, `null`, claims), BadAlgorithm},
		"header too long":      {signJSON(t, `{"alg":"HS256","x":"`+strings.Repeat("x", 800)+`"}`, claims), Malformed},
		"critical header":      {signJSON(t, `{"alg":"HS256","crit":["b64"],"b64":false}`, claims), Malformed},
		"no alg":               {signJSON(t, `{}`, claims), BadAlgorithm},
		"alg is a number":      {signJSON(t, `{"alg":256}`, claims), BadAlgorithm},
		"alg unknown":          {signJSON(t, `{"alg":"HS257"}`, claims), BadAlgorithm},
		"alg in lower case":    {signJSON(t, `{"alg":"hs256"}`, claims), BadAlgorithm},
		"alg none":             {signJSON(t, `{"alg":"none"}`, claims), BadAlgorithm},
		"alg None":             {signJSON(t, `{"alg":"None"}`, claims), BadAlgorithm},
		"alg none, unsigned":   {unsigned(t, claims), BadAlgorithm},
		"alg HS512":            {signJSON(t, `{"alg":"HS512"}`, claims), BadAlgorithm},
		"alg RS256, HMAC":      {signJSON(t, `{"alg":"RS256"}`, claims), BadAlgorithm},
		"no signature":         {body + ".", BadSignature},
		"short signature":      {body + ".AAAA", BadSignature},
		"other signature":      {body + "." + strings.Repeat("A", 43), BadSignature},
		"signature of another": {body + other[strings.LastIndexByte(other, '.'):], BadSignature},
	}
	a := newTest(t, Config{})
	for name, test := range tests {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			checkTokenReason(t, a, test.token, test.reason)
		})
	}
}

func unsigned(t *testing.T, claims string) string {
	signed := signJSON(t, `{"alg":"none","typ":"JWT"}`, claims)
	return signed[:strings.LastIndexByte(signed, '.')+1]
}

// TestTokenOfAnotherFamily: a token signed with a key pair is refused whatever
// its key is.
func TestTokenOfAnotherFamily(t *testing.T) {
	t.Parallel()
	key, err := ecdsa.GenerateKey(elliptic.P256(), rand.Reader)
	if err != nil {
		t.Fatal(err)
	}
	claims := jwt.MapClaims{"sub": "alice", "exp": testNow.Unix() + 60}
	token, err := jwt.NewWithClaims(jwt.SigningMethodES256, claims).SignedString(key)
	if err != nil {
		t.Fatal(err)
	}
	checkTokenReason(t, newTest(t, Config{}), token, BadAlgorithm)
}

func TestTokenSizes(t *testing.T) {
	t.Parallel()
	a := newTest(t, Config{})
	long := func(filler int) string {
		return signJSON(t, hs256, `{"sub":"alice","exp":1.8e9,"x":"`+strings.Repeat("x", filler)+`"}`)
	}
	filler := 6000
	for len(long(filler)) < MaxToken-2 {
		filler++
	}
	checkTokenReason(t, a, long(filler), 0)

	for size, tooLong := range map[int]bool{MaxToken: false, MaxToken + 1: true} {
		_, problem := decide(a, strings.Repeat("x", size))
		if problem == nil || problem.Reason != Malformed || strings.Contains(problem.Text, "8 KiB") != tooLong {
			t.Errorf("%d bytes: %+v", size, problem)
		}
	}
}

func TestLeeway(t *testing.T) {
	t.Parallel()
	ago := func(d time.Duration) string {
		return sign(t, jwt.MapClaims{"sub": "alice", "exp": testNow.Add(-d).Unix()})
	}
	wide, none := newTest(t, Config{Leeway: time.Minute}), newTest(t, Config{Leeway: -time.Hour})
	checkTokenReason(t, wide, ago(59*time.Second), 0)
	checkTokenReason(t, wide, ago(60*time.Second), Expired)
	checkTokenReason(t, none, ago(-time.Second), 0)
	checkTokenReason(t, none, ago(0), Expired)
}

func TestAuthenticatorCopiesItsSecret(t *testing.T) {
	t.Parallel()
	secret := []byte("of the caller")
	a, err := New(Config{Keys: Keys{Secret: secret}})
	if err != nil {
		t.Fatal(err)
	}
	token, err := jwt.NewWithClaims(jwt.SigningMethodHS256,
		jwt.MapClaims{"sub": "alice", "exp": testNow.Unix() + 60}).SignedString(secret)
	if err != nil {
		t.Fatal(err)
	}
	clear(secret)
	checkTokenReason(t, a, token, 0)
}

// FuzzClaims signs any claims; who gets in must be whom a plain reading of the
// same JSON finds.
func FuzzClaims(f *testing.F) {
	for _, seed := range []string{`{"sub":"alice","exp":1800000000}`, `{"sub":"a\ud83d\udc26","exp":1e10,"iat":1}`,
		`{"sub":"\ud800","exp":1e10}`, `{"sub":"a","exp":"1e10"}`, `null`, `{"exp":1e999,"sub":"a","nbf":-0}`,
		"{\"sub\":\"\xff\",\"exp\":1e10}", `{"sub":"a","sub":null,"exp":1e10}`} {
		f.Add(seed)
	}
	a := newTest(f, Config{})
	f.Fuzz(func(t *testing.T, text string) {
		token := signJSON(t, hs256, text)
		if len(token) > MaxToken {
			return
		}
		id, problem := decide(a, token)
		if problem != nil {
			if problem.Reason == BadSignature || problem.Reason == BadAlgorithm {
				t.Fatal(problem.Reason)
			}
			return
		}
		checkAgainstMapClaims(t, token, id.User)
	})
}

func checkAgainstMapClaims(t *testing.T, token, user string) {
	t.Helper()
	var claims jwt.MapClaims
	parser := jwt.NewParser(jwt.WithoutClaimsValidation(), jwt.WithJSONNumber())
	_, err := parser.ParseWithClaims(token, &claims, func(*jwt.Token) (any, error) { return testSecret, nil })
	if err != nil {
		t.Fatalf("accepted, but %v", err)
	}
	if claims["sub"] != user || user == "" || len(user) > names.MaxUser || strings.ContainsFunc(user, func(r rune) bool { return r < ' ' }) {
		t.Fatalf("user %q of %v", user, claims["sub"])
	}
	number, ok := claims["exp"].(interface{ Float64() (float64, error) })
	if !ok {
		t.Fatalf("accepted with exp %v", claims["exp"])
	}
	if exp, _ := number.Float64(); math.Floor(exp)+DefaultLeeway.Seconds() <= float64(testNow.Unix()) {
		t.Fatalf("accepted with exp %v", exp)
	}
}

// FuzzToken feeds what is not signed by us.
func FuzzToken(f *testing.F) {
	f.Add("a.b.c")
	f.Add(signJSON(f, `{"alg":"none"}`, `{}`))
	f.Add(signJSON(f, hs256, `{"exp":1}`))
	a := newTest(f, Config{})
	good := goodToken(f, "alice")
	f.Fuzz(func(t *testing.T, token string) {
		id, problem := a.Check([]byte(token), testNow)
		if problem == nil && token != good {
			t.Fatalf("%q lets %+v in", token, id)
		}
	})
}
