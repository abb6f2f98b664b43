package authorities

import (
	"bytes"
	"crypto/x509"
	"encoding/pem"
	"errors"
	"io/fs"
	"net/http/httptest"
	"os"
	"path/filepath"
	"strings"
	"testing"
)

func TestAddFile(t *testing.T) {
	t.Parallel()
	path := filepath.Join(t.TempDir(), "ca.pem")
	if err := os.WriteFile(path, []byte("no certificate"), 0o600); err != nil {
		t.Fatal(err)
	}
	pool := x509.NewCertPool()
	if _, err := AddFile(pool, path); !errors.Is(err, ErrNoCertificate) || !strings.HasPrefix(err.Error(), path+" has no certificate in it: PEM is wanted") {
		t.Errorf("%v", err)
	}
	if _, err := AddFile(pool, path+".none"); !errors.Is(err, fs.ErrNotExist) || !strings.Contains(err.Error(), path+".none") {
		t.Errorf("%v", err)
	}
	if !pool.Equal(x509.NewCertPool()) {
		t.Error("something was added all the same")
	}
	server := httptest.NewTLSServer(nil)
	t.Cleanup(server.Close)
	text := pem.EncodeToMemory(&pem.Block{Type: "CERTIFICATE", Bytes: server.Certificate().Raw})
	if err := os.WriteFile(path, text, 0o600); err != nil {
		t.Fatal(err)
	}
	want := x509.NewCertPool()
	want.AddCert(server.Certificate())
	if got, err := AddFile(pool, path); err != nil || !bytes.Equal(got, text) || !pool.Equal(want) {
		t.Errorf("got %q, %v", got, err)
	}
}
