package scrape

import (
	"errors"
	"io"
	"net/http"
	"net/http/httptest"
	"reflect"
	"testing"
)

func TestGet(t *testing.T) {
	t.Parallel()
	server := httptest.NewServer(http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		if r.URL.Path != "/metrics" {
			http.NotFound(w, r)
			return
		}
		_, _ = io.WriteString(w, "# HELP x y\n# TYPE x gauge\ngo_goroutines 12\ngo_memstats_heap_inuse_bytes 1.5e+06\nwith{a=\"b\"} 3\nbad x\n")
	}))
	defer server.Close()
	got, err := Get(t.Context(), server.URL+"/metrics")
	if want := (Values{Goroutines: 12, HeapInUse: 1.5e6, `with{a="b"}`: 3}); err != nil || !reflect.DeepEqual(got, want) {
		t.Errorf("got %v, %v, want %v", got, err, want)
	}
	if _, err := Get(t.Context(), server.URL+"/"); !errors.Is(err, ErrStatus) {
		t.Errorf("404: %v", err)
	}
}
