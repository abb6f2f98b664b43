package auth

import (
	"crypto/elliptic"
	"fmt"
	"strings"
	"testing"

	"github.com/golang-jwt/jwt/v5"
)

func BenchmarkIdentify(b *testing.B) {
	a, token := newTest(b, Config{}), usualToken(b)
	b.ReportAllocs()
	for b.Loop() {
		if _, problem, _, _ := a.Identify(token, testNow); problem != nil {
			b.Fatal(problem)
		}
	}
}

// BenchmarkOddToken is a good token that the library has to judge.
func BenchmarkOddToken(b *testing.B) {
	a := newTest(b, Config{})
	token := signJSON(b, hs256, `{"sub":"user-0123456789","email":"user@example.com","exp":1.8e9}`)
	b.ReportAllocs()
	for b.Loop() {
		if _, problem := decide(a, token); problem != nil {
			b.Fatal(problem.Text)
		}
	}
}

// BenchmarkWrongSignature is what a stranger's token costs, of usual length and as long as one may be.
func BenchmarkWrongSignature(b *testing.B) {
	long := signJSON(b, hs256, `{"sub":"alice","exp":1.8e9,"x":"`+strings.Repeat("x", 6000)+`"}`)
	odd := signJSON(b, `{"alg":"HS256","n":1}`, `{"sub":"alice","exp":1.8e9,"x":"`+strings.Repeat("x", 6000)+`"}`)
	for name, token := range map[string][]byte{
		"usual": usualToken(b), "long": []byte(long), "odd": []byte(odd),
	} {
		for _, previous := range []int{0, MaxPrevious} {
			b.Run(fmt.Sprintf("%s/previous=%d", name, previous), func(b *testing.B) {
				a := stranger(b, previous)
				b.ReportAllocs()
				for b.Loop() {
					if _, problem := decide(a, token); problem == nil {
						b.Fatal("accepted")
					}
				}
			})
		}
	}
}

// BenchmarkCheck is what a worker does for a token of a key pair.
func BenchmarkCheck(b *testing.B) {
	for name, p := range map[string]pair{"RS256": rsaPairs()[0],
		"ES256": newECPair(b, jwt.SigningMethodES256, elliptic.P256()), "EdDSA": newEdPair(b)} {
		b.Run(name, func(b *testing.B) {
			a, token := authenticatorOf(b, p.public(b, "a")), []byte(p.token(b, "a"))
			b.ReportAllocs()
			for b.Loop() {
				if _, problem := a.Check(token, testNow); problem != nil {
					b.Fatal(problem.Text)
				}
			}
		})
	}
}

// stranger knows none of the tests' secrets.
func stranger(t testing.TB, previous int) *Authenticator {
	t.Helper()
	config := Config{Keys: Keys{Secret: []byte("another secret of thirty-two bytes or so")}}
	for i := range previous {
		config.Keys.Previous = append(config.Keys.Previous, fmt.Append(nil, "previous secret ", i))
	}
	a, err := New(config)
	if err != nil {
		t.Fatal(err)
	}
	return a
}
