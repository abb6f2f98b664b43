package admin

import (
	"crypto/tls"
	"fmt"
	"net/http"
	"strings"
	"syscall"
	"testing"
	"time"

	"roost/cmd/roost/internal/e2e"
	"roost/cmd/roost/internal/roosttest"
	"roost/redisfeed/redistest"
)

// over is a client that trusts an authority. Each request is a handshake.
func over(t *testing.T, authority *redistest.Authority) *http.Client {
	return &http.Client{Timeout: roosttest.Limit, Transport: &http.Transport{
		DisableKeepAlives: true, TLSClientConfig: &tls.Config{RootCAs: authority.Roots()},
	}}
}

// fetch gets a page, and says until when the certificate is that was shown.
func fetch(t *testing.T, client *http.Client, address string) (status int, until time.Time) {
	t.Helper()
	response, err := client.Get(address)
	if err != nil {
		t.Fatal(err)
	}
	defer response.Body.Close()
	return response.StatusCode, response.TLS.PeerCertificates[0].NotAfter
}

// With HTTP_TLS_CERT_FILE the admin server speaks https, and the commands that ask it do so too.
func TestAdminServerOverTLS(t *testing.T) {
	t.Parallel()
	authority := redistest.NewAuthority(t)
	shown := authority.Issue("roost.example.com")
	redis := redistest.Start(t)
	env := roosttest.ServerEnv(redis, roosttest.Env{
		"HTTP_TLS_CERT_FILE": shown.File, "HTTP_TLS_KEY_FILE": shown.Key, "HTTP_TOKEN": "0123456789abcdef",
	})
	server := roosttest.Serving(t, roosttest.Run(t, roosttest.Command{Env: env}))
	server.WaitLine("redis feed is subscribed")
	line := server.WaitLine("certificate")
	if line.Text("port") != "http" || line.Text("expires") == "" {
		t.Errorf("the log says %v", line)
	}
	env["HTTP_PORT"] = server.HTTP[strings.LastIndex(server.HTTP, ":")+1:]
	for _, test := range []struct {
		args []string
		want string
	}{
		{[]string{"health"}, "healthy"},
		{[]string{"health", "--deep"}, "healthy"},
		{[]string{"why", "alice"}, "connections: 0"},
		{[]string{"config", "--running"}, "HTTP_TLS_CERT_FILE"},
		{[]string{"config"}, "for roost.example.com, until "},
	} {
		// A check of health has two seconds, for which a busy machine may stand still.
		roosttest.WaitFor(t, fmt.Sprintf("%v to say %s", test.args, test.want), func() bool {
			process := roosttest.Run(t, roosttest.Command{Args: test.args, Env: env})
			return process.Wait() == 0 && strings.Contains(process.Log.String(), test.want)
		})
	}
	// By an address the certificate has to be for that, and of somebody who is trusted.
	for _, args := range [][]string{{"health", "--url", "https://" + server.HTTP}, {"health", "--url", "https://" + server.HTTP, "--ca-file", authority.File}} {
		process := roosttest.Run(t, roosttest.Command{Args: args, Env: env})
		if code := process.Wait(); code != 1 || !strings.Contains(process.Stderr.String(), "is not trusted") {
			t.Errorf("%v: %d %s", args, code, process.Stderr.String())
		}
	}
}

// A new pair takes the place of the old one, and what can't be used does not.
func TestCertificateIsReplaced(t *testing.T) {
	t.Parallel()
	authority := redistest.NewAuthority(t)
	shown, renewed := authority.Issue("127.0.0.1"), authority.IssueUntil("127.0.0.1", time.Now().Add(2*time.Hour))
	_, server := e2eStartTLS(t, shown)
	client := over(t, authority)
	address := "https://" + server.HTTP + "/health"
	status, before := fetch(t, client, address)
	if status != http.StatusOK {
		t.Errorf("status %d", status)
	}
	left := metricOver(t, client, server, `roost_tls_certificate_expires_seconds{port="http"}`)
	if left < 3000 || left > 3600 {
		t.Errorf("%v s are left of an hour", left)
	}

	e2e.ReplaceFile(t, shown.File, renewed.File) // the key is not there yet
	server.Signal(syscall.SIGHUP)
	line := server.WaitLine("the certificate is not renewed, the old one stays")
	if !strings.Contains(line.Text("error"), "is not that of the certificate") {
		t.Errorf("the log says %v", line)
	}
	if _, now := fetch(t, client, address); !now.Equal(before) {
		t.Error("half of a pair is used")
	}
	roosttest.WaitFor(t, "the failure to be counted", func() bool {
		return metricOver(t, client, server, `roost_tls_certificate_reloads_total{result="failed"}`) >= 1
	})

	e2e.ReplaceFile(t, shown.Key, renewed.Key)
	server.Signal(syscall.SIGHUP)
	server.WaitLine("the certificate is renewed")
	if _, now := fetch(t, client, address); !now.After(before) {
		t.Error("the old certificate is shown")
	}
}

func e2eStartTLS(t *testing.T, shown redistest.Certificate) (*redistest.Server, *roosttest.Server) {
	t.Helper()
	return e2e.Start(t, roosttest.Env{"HTTP_TLS_CERT_FILE": shown.File, "HTTP_TLS_KEY_FILE": shown.Key})
}

// A start with files that can't be used fails with one line, which names the variables.
func TestCertificatesThatCannotBeUsed(t *testing.T) {
	t.Parallel()
	authority := redistest.NewAuthority(t)
	one, two := authority.Issue("one.test"), authority.Issue("two.test")
	for _, test := range []struct {
		cert, key string
		says      []string
	}{
		{one.File, "", []string{"HTTP_TLS_KEY_FILE", "set it together with HTTP_TLS_CERT_FILE"}},
		{"", one.Key, []string{"HTTP_TLS_CERT_FILE", "set it together with HTTP_TLS_KEY_FILE"}},
		{one.File, two.Key, []string{"HTTP_TLS_CERT_FILE, HTTP_TLS_KEY_FILE: ", "is not that of the certificate"}},
		{one.File + "," + two.File, one.Key, []string{"HTTP_TLS_CERT_FILE names 2 files and HTTP_TLS_KEY_FILE 1"}},
		{one.Key, one.File, []string{"are the two files exchanged?"}},
		{"/nowhere/cert.pem", one.Key, []string{"/nowhere/cert.pem", "no such file"}},
	} {
		env := roosttest.ServerEnv(e2e.NoRedis{}, roosttest.Env{"HTTP_TLS_CERT_FILE": test.cert, "HTTP_TLS_KEY_FILE": test.key})
		e2e.CheckRefusesToStart(t, env, test.says...)
		check := roosttest.Run(t, roosttest.Command{Args: []string{"config", "--check"}, Env: env})
		if code := check.Wait(); code != 1 || !strings.Contains(check.Stderr.String(), test.says[0]) {
			t.Errorf("config --check ends with %d, saying %s", code, check.Stderr.String())
		}
	}
}

// An expired certificate is served, since a server that does not start serves nobody, and said.
func TestExpiredCertificate(t *testing.T) {
	t.Parallel()
	authority := redistest.NewAuthority(t)
	expired := authority.IssueUntil("127.0.0.1", time.Now().Add(-time.Hour))
	_, server := e2eStartTLS(t, expired)
	if line := server.WaitLine("the certificate of a port"); line.Text("level") != "ERROR" || !strings.Contains(line.Text("problem"), "it expired on ") {
		t.Errorf("the log says %v", line)
	}
	env := roosttest.ServerEnv(e2e.NoRedis{}, roosttest.Env{"HTTP_TLS_CERT_FILE": expired.File, "HTTP_TLS_KEY_FILE": expired.Key})
	doctor := roosttest.Run(t, roosttest.Command{Args: []string{"doctor", "--connections", "10"}, Env: env})
	if code := doctor.Wait(); code != 1 || !strings.Contains(doctor.Log.String(), "But certificate (HTTP_TLS_CERT_FILE, HTTP_TLS_KEY_FILE): ") {
		t.Errorf("doctor ends with %d, saying %s", code, doctor.Log.String())
	}
}

// metricOver reads one number over TLS.
func metricOver(t *testing.T, client *http.Client, server *roosttest.Server, name string) float64 {
	t.Helper()
	return server.Through(client, "https").Metrics()[name]
}
