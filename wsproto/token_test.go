package wsproto

import (
	"crypto/ecdsa"
	"crypto/elliptic"
	"crypto/rand"
	"math"
	"strings"
	"testing"
	"time"

	"github.com/golang-jwt/jwt/v5"
)

const hs256 = `{"alg":"HS256","typ":"JWT"}`

func TestTokenUsers(t *testing.T) {
	t.Parallel()
	gate := newTestGate(t, GateConfig{})
	for _, user := range []string{"a", "42", "alice@example.com", "user:with:colons", " ", "日本語", "\U0001f426",
		"\ufffd", "\u00a0", strings.Repeat("x", MaxUser)} {
		head := upgradeHead("/ws?token=" + goodToken(t, user))
		request, refusal := decide(gate, head)
		if refusal != nil {
			t.Errorf("%q: %s", user, refusal.Text())
		} else if request.User != user {
			t.Errorf("got %q, want %q", request.User, user)
		}
	}
}

func TestTokenClaims(t *testing.T) {
	t.Parallel()
	const sub = `"sub":"alice"`
	tests := map[string]struct {
		claims string
		reason RefusalReason // ReasonHeadTooLarge, the zero value, is none
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

		"expired":             {`{"sub":"alice","exp":1772600762}`, ReasonTokenExpired},
		"expired long ago":    {`{"sub":"alice","exp":0}`, ReasonTokenExpired},
		"expired before 1970": {`{"sub":"alice","exp":-1e300}`, ReasonTokenExpired},
		"no exp":              {`{"sub":"alice"}`, ReasonTokenNoExpiry},
		"exp null":            {`{"sub":"alice","exp":null}`, ReasonTokenNoExpiry},
		"EXP":                 {`{"sub":"alice","EXP":1.8e9}`, ReasonTokenNoExpiry},
		"exp as text":         {`{"sub":"alice","exp":"1800000000"}`, ReasonTokenMalformed},
		"exp true":            {`{"sub":"alice","exp":true}`, ReasonTokenMalformed},
		"iat as text":         {`{"sub":"alice","exp":1.8e9,"iat":"1"}`, ReasonTokenMalformed},
		"nbf as list":         {`{"sub":"alice","exp":1.8e9,"nbf":[1]}`, ReasonTokenMalformed},
		"iat in the future":   {`{"sub":"alice","exp":1.8e9,"iat":1772600773}`, ReasonTokenIssuedInFuture},
		"iat beyond int64":    {`{"sub":"alice","exp":1.8e9,"iat":1e30}`, ReasonTokenIssuedInFuture},
		"nbf in the future":   {`{"sub":"alice","exp":1.8e9,"nbf":1772600773}`, ReasonTokenNotYetValid},
		"nbf beyond int64":    {`{"sub":"alice","exp":1.8e9,"nbf":1e30}`, ReasonTokenNotYetValid},
		"expired, no sub":     {`{"exp":1}`, ReasonTokenExpired},
		"no sub":              {`{"exp":1.8e9}`, ReasonTokenNoSubject},
		"Sub":                 {`{"Sub":"alice","exp":1.8e9}`, ReasonTokenNoSubject},
		"user_id is no sub":   {`{"user_id":"alice","exp":1.8e9}`, ReasonTokenNoSubject},
		"sub null":            {`{"sub":null,"exp":1.8e9}`, ReasonTokenBadSubject},
		"sub number":          {`{"sub":42,"exp":1.8e9}`, ReasonTokenBadSubject},
		"sub list":            {`{"sub":["alice"],"exp":1.8e9}`, ReasonTokenBadSubject},
		"sub empty":           {`{"sub":"","exp":1.8e9}`, ReasonTokenBadSubject},
		"sub too long":        {`{"sub":"` + strings.Repeat("x", MaxUser+1) + `","exp":1.8e9}`, ReasonTokenBadSubject},
		"sub with NUL":        {`{"sub":"a\u0000","exp":1.8e9}`, ReasonTokenBadSubject},
		"sub with LF":         {`{"sub":"a\nb","exp":1.8e9}`, ReasonTokenBadSubject},
		"sub with DEL":        {`{"sub":"a\u007f","exp":1.8e9}`, ReasonTokenBadSubject},
		"sub with C1":         {`{"sub":"a\u0085","exp":1.8e9}`, ReasonTokenBadSubject},
		"sub not UTF-8":       {"{\"sub\":\"a\xff\",\"exp\":1.8e9}", ReasonTokenBadSubject},
		"half a surrogate":    {`{"sub":"a\uD800","exp":1.8e9}`, ReasonTokenBadSubject},
		"probe's identity":    {`{"sub":"\u0001probe","exp":1.8e9}`, ReasonTokenBadSubject},

		"claims null":         {`null`, ReasonTokenMalformed},
		"claims list":         {`[` + sub + `]`, ReasonTokenMalformed},
		"claims text":         {`"alice"`, ReasonTokenMalformed},
		"claims empty object": {`{}`, ReasonTokenNoExpiry},
		"claims nothing":      {``, ReasonTokenMalformed},
		"claims cut":          {`{"sub":"alice"`, ReasonTokenMalformed},
		"claims twice":        {`{}{}`, ReasonTokenMalformed},
		"claims deep":         {strings.Repeat("[", 6000), ReasonTokenMalformed},
	}
	gate := newTestGate(t, GateConfig{})
	for name, test := range tests {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			checkTokenReason(t, gate, signJSON(t, hs256, test.claims), test.reason)
		})
	}
}

// checkTokenReason reads a request with a token. reason 0 wants it to pass.
func checkTokenReason(t *testing.T, gate *Gate, token string, reason RefusalReason) {
	t.Helper()
	request, refusal := decide(gate, upgradeHead("/ws?token="+token))
	switch {
	case refusal == nil && reason != 0:
		t.Fatalf("accepted as %q, want %s", request.User, reason)
	case refusal == nil:
		if request.User != "alice" {
			t.Errorf("user %q", request.User)
		}
	case refusal.Status != 401 || refusal.Reason != reason:
		t.Errorf("%d %s (%s), want %s", refusal.Status, refusal.Reason, refusal.Text(), reason)
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
		reason RefusalReason
	}{
		"good":                 {good, 0},
		"word":                 {"x", ReasonTokenMalformed},
		"two parts":            {body, ReasonTokenMalformed},
		"four parts":           {good + ".x", ReasonTokenMalformed},
		"empty parts":          {"..", ReasonTokenMalformed},
		"padded":               {good + "%3D", ReasonTokenMalformed},
		"line feed inside":     {good + "%0A", ReasonTokenMalformed},
		"space":                {good + "+", ReasonTokenMalformed},
		"badly encoded":        {good + "%", ReasonTokenMalformed},
		"badly encoded too":    {good + "%0", ReasonTokenMalformed},
		"not hexadecimal":      {good + "%0g", ReasonTokenMalformed},
		"base64 with rests":    {strings.TrimSuffix(good, last) + string(rune(last[0]+1)), ReasonTokenMalformed},
		"header no JSON":       {signJSON(t, `x`, claims), ReasonTokenMalformed},
		"header null":          {signJSON(t, `null`, claims), ReasonTokenAlgorithm},
		"header too long":      {signJSON(t, `{"alg":"HS256","x":"`+strings.Repeat("x", 800)+`"}`, claims), ReasonTokenMalformed},
		"critical header":      {signJSON(t, `{"alg":"HS256","crit":["b64"],"b64":false}`, claims), ReasonTokenMalformed},
		"no alg":               {signJSON(t, `{}`, claims), ReasonTokenAlgorithm},
		"alg is a number":      {signJSON(t, `{"alg":256}`, claims), ReasonTokenAlgorithm},
		"alg unknown":          {signJSON(t, `{"alg":"HS257"}`, claims), ReasonTokenAlgorithm},
		"alg in lower case":    {signJSON(t, `{"alg":"hs256"}`, claims), ReasonTokenAlgorithm},
		"alg none":             {signJSON(t, `{"alg":"none"}`, claims), ReasonTokenAlgorithm},
		"alg None":             {signJSON(t, `{"alg":"None"}`, claims), ReasonTokenAlgorithm},
		"alg none, unsigned":   {unsigned(t, claims), ReasonTokenAlgorithm},
		"alg HS512":            {signJSON(t, `{"alg":"HS512"}`, claims), ReasonTokenAlgorithm},
		"alg RS256, HMAC":      {signJSON(t, `{"alg":"RS256"}`, claims), ReasonTokenAlgorithm},
		"no signature":         {body + ".", ReasonTokenSignature},
		"short signature":      {body + ".AAAA", ReasonTokenSignature},
		"other signature":      {body + "." + strings.Repeat("A", 43), ReasonTokenSignature},
		"signature of another": {body + other[strings.LastIndexByte(other, '.'):], ReasonTokenSignature},
	}
	gate := newTestGate(t, GateConfig{})
	for name, test := range tests {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			checkTokenReason(t, gate, test.token, test.reason)
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
	checkTokenReason(t, newTestGate(t, GateConfig{}), token, ReasonTokenAlgorithm)
}

func TestTokenSizes(t *testing.T) {
	t.Parallel()
	gate := newTestGate(t, GateConfig{})
	long := func(filler int) string {
		return signJSON(t, hs256, `{"sub":"alice","exp":1.8e9,"x":"`+strings.Repeat("x", filler)+`"}`)
	}
	filler := 6000
	for len(long(filler)) < MaxToken-2 {
		filler++
	}
	checkTokenReason(t, gate, long(filler), 0)

	for size, tooLong := range map[int]bool{MaxToken: false, MaxToken + 1: true} {
		_, refusal := decide(gate, upgradeHead("/ws?token="+strings.Repeat("x", size)))
		if refusal == nil || refusal.Reason != ReasonTokenMalformed || strings.Contains(refusal.Text(), "8 KiB") != tooLong {
			t.Errorf("%d bytes: %+v", size, refusal)
		}
	}
}

func TestTokenMissingOrTwice(t *testing.T) {
	t.Parallel()
	gate := newTestGate(t, GateConfig{})
	token := goodToken(t, "alice")
	for _, query := range []string{"", "?", "?token", "?token=", "?Token=" + token, "?tokens=" + token, "?a=token=" + token, "?a=b;token=" + token} {
		checkRefusal(t, gate, upgradeHead("/ws"+query), 401, ReasonTokenMissing, `WWW-Authenticate: Bearer realm="roost"`)
	}
	for _, query := range []string{"?token=" + token + "&token=" + token, "?token=&token=" + token, "?token=" + token + "&t%6Fken=x"} {
		checkRefusal(t, gate, upgradeHead("/ws"+query), 400, ReasonTokenDuplicate,
			`WWW-Authenticate: Bearer realm="roost", error="invalid_request", error_description="more than one token"`)
	}
}

func TestTokenChallenge(t *testing.T) {
	t.Parallel()
	gate := newTestGate(t, GateConfig{})
	expired := sign(t, jwt.MapClaims{"sub": "alice", "exp": testNow.Add(-time.Minute).Unix()})
	checkRefusal(t, gate, upgradeHead("/ws?token="+expired), 401, ReasonTokenExpired,
		`WWW-Authenticate: Bearer realm="roost", error="invalid_token", error_description="token expired"`)
}

func TestLeeway(t *testing.T) {
	t.Parallel()
	ago := func(d time.Duration) string {
		return sign(t, jwt.MapClaims{"sub": "alice", "exp": testNow.Add(-d).Unix()})
	}
	wide, none := newTestGate(t, GateConfig{Leeway: time.Minute}), newTestGate(t, GateConfig{Leeway: -time.Hour})
	checkTokenReason(t, wide, ago(59*time.Second), 0)
	checkTokenReason(t, wide, ago(60*time.Second), ReasonTokenExpired)
	checkTokenReason(t, none, ago(-time.Second), 0)
	checkTokenReason(t, none, ago(0), ReasonTokenExpired)
}

func TestGateCopiesItsSecret(t *testing.T) {
	t.Parallel()
	secret := []byte("of the caller")
	gate, err := NewGate(GateConfig{Secret: secret})
	if err != nil {
		t.Fatal(err)
	}
	token, err := jwt.NewWithClaims(jwt.SigningMethodHS256,
		jwt.MapClaims{"sub": "alice", "exp": testNow.Unix() + 60}).SignedString(secret)
	if err != nil {
		t.Fatal(err)
	}
	clear(secret)
	checkTokenReason(t, gate, token, 0)
}

// FuzzClaims signs any claims; who gets in must be whom a plain reading of the
// same JSON finds.
func FuzzClaims(f *testing.F) {
	for _, seed := range []string{`{"sub":"alice","exp":1800000000}`, `{"sub":"a\ud83d\udc26","exp":1e10,"iat":1}`,
		`{"sub":"\ud800","exp":1e10}`, `{"sub":"a","exp":"1e10"}`, `null`, `{"exp":1e999,"sub":"a","nbf":-0}`,
		"{\"sub\":\"\xff\",\"exp\":1e10}", `{"sub":"a","sub":null,"exp":1e10}`} {
		f.Add(seed)
	}
	gate := newTestGate(f, GateConfig{})
	f.Fuzz(func(t *testing.T, text string) {
		token := signJSON(t, hs256, text)
		if len(token) > MaxToken {
			return
		}
		request, refusal := decide(gate, upgradeHead("/ws?token="+token))
		if refusal != nil {
			if refusal.Status != 401 || refusal.Reason == ReasonTokenSignature || refusal.Reason == ReasonTokenAlgorithm {
				t.Fatalf("%d %s", refusal.Status, refusal.Reason)
			}
			return
		}
		checkAgainstMapClaims(t, token, request.User)
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
	if claims["sub"] != user || user == "" || len(user) > MaxUser || strings.ContainsFunc(user, func(r rune) bool { return r < ' ' }) {
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
	gate := newTestGate(f, GateConfig{})
	good := goodToken(f, "alice")
	f.Fuzz(func(t *testing.T, token string) {
		id, refusal := gate.checkToken([]byte(token), testNow)
		if refusal == nil && token != good {
			t.Fatalf("%q lets %+v in", token, id)
		}
		if id, found := gate.plainIdentity(gate.ring.Load(), []byte(token), testNow); found == genuine && token != good {
			t.Fatalf("%q lets %+v in the quick way", token, id)
		}
	})
}
