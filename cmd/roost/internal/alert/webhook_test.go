package alert

import (
	"context"
	"encoding/json"
	"io"
	"log/slog"
	"net"
	"net/http"
	"net/http/httptest"
	"strings"
	"testing"
	"time"
)

// Over a real connection: the request is what Discord's documentation asks for.
func TestRequest(t *testing.T) {
	t.Parallel()
	type got struct{ method, path, contentType, body string }
	posts := make(chan got, 10) // a request that took too long is tried again
	server := httptest.NewServer(http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		body, _ := io.ReadAll(r.Body)
		posts <- got{r.Method, r.URL.Path, r.Header.Get("Content-Type"), string(body)}
		w.WriteHeader(http.StatusNoContent)
	}))
	defer server.Close()
	a := New(Config{ID: testID, Token: testToken})
	a.hook.url = server.URL + "/" + testID + "/" + testToken // before anything is sent
	a.Send("@everyone \"quoted\"\nline")
	select {
	case g := <-posts:
		want := got{"POST", "/1234/" + testToken, "application/json",
			`{"content":"@everyone \"quoted\"\nline","allowed_mentions":{"parse":[]}}`}
		if g != want || !json.Valid([]byte(g.body)) {
			t.Errorf("got  %q\nwant %q", g, want)
		}
	case <-time.After(time.Minute):
		t.Error("nothing was posted")
	}
	closeAlerter(t, a)
}

// Errors of net/http quote the address: the token must not get out with it.
func TestErrorsDoNotHoldTheToken(t *testing.T) {
	t.Parallel()
	closed, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		t.Fatal(err)
	}
	nobody := "http://" + closed.Addr().String()
	if err := closed.Close(); err != nil {
		t.Fatal(err)
	}
	cut := httptest.NewServer(http.HandlerFunc(func(http.ResponseWriter, *http.Request) { panic(http.ErrAbortHandler) }))
	defer cut.Close()
	redirect := httptest.NewServer(http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		http.Redirect(w, r, "/elsewhere"+r.URL.Path, http.StatusTemporaryRedirect)
	}))
	defer redirect.Close()
	for name, base := range map[string]string{
		"refused": nobody, "cut off": cut.URL, "redirected": redirect.URL, "no such scheme": "gopher://127.0.0.1",
		"no address": "http://a b", "control character": "http://h\x7f", "no such port": "http://127.0.0.1:99999",
	} {
		w := newWebhook(testID, testToken)
		w.url = base + "/" + testID + "/" + testToken
		err := w.post(context.Background(), "x")
		if err == nil || strings.Contains(err.Error(), testToken) {
			t.Errorf("%s: error %v", name, err)
		}
		w.client.CloseIdleConnections()
	}
}

// Sending never waits, whatever the webhook does.
func TestSendDoesNotWait(t *testing.T) {
	t.Parallel()
	stuck := make(chan struct{})
	server := httptest.NewServer(http.HandlerFunc(func(http.ResponseWriter, *http.Request) { <-stuck }))
	defer server.Close()
	defer close(stuck)
	a := New(Config{ID: testID, Token: testToken, Logger: slog.New(slog.DiscardHandler)})
	a.hook.url = server.URL + "/" + testID + "/" + testToken // before anything is sent
	done := make(chan struct{})
	go func() {
		defer close(done)
		for range 10_000 {
			a.Send("x")
		}
	}()
	select {
	case <-done:
	case <-time.After(time.Minute):
		t.Fatal("Send waits")
	}
	if a.Dropped() < 10_000-2*maxQueue {
		t.Errorf("%d dropped", a.Dropped())
	}
	if err := a.Close(50 * time.Millisecond); err == nil {
		t.Error("Close says that all was posted")
	}
	<-a.done
}
