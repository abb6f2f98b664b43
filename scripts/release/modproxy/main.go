// Command modproxy writes a directory that serves one version of a module as a Go module proxy does, from a git checkout. It holds
// what go install would fetch if the commit were tagged and pushed, so that this can be tried before.
//
//	modproxy --dir DIR --repo DIR --module example.com/org/roost --version v0.9.0
//	GOPROXY=file://DIR go install example.com/org/roost/cmd/roost@v0.9.0
package main

import (
	"encoding/json"
	"errors"
	"flag"
	"fmt"
	"log"
	"os"
	"path/filepath"
	"time"

	"golang.org/x/mod/module"
	"golang.org/x/mod/zip"
)

func main() {
	log.SetFlags(0)
	log.SetPrefix("modproxy: ")
	dir := flag.String("dir", "", "directory to write")
	repo := flag.String("repo", ".", "git checkout; what is committed counts")
	var of module.Version
	flag.StringVar(&of.Path, "module", "", "path of the module")
	flag.StringVar(&of.Version, "version", "", "version of the module")
	flag.Parse()
	if err := write(*dir, *repo, of); err != nil {
		log.Fatal(err)
	}
}

// write writes what https://go.dev/ref/mod#goproxy-protocol asks a proxy for.
func write(dir, repo string, of module.Version) error {
	if dir == "" {
		return errors.New("want --dir")
	}
	if err := module.Check(of.Path, of.Version); err != nil {
		return err
	}
	path, err := module.EscapePath(of.Path)
	if err != nil {
		return err
	}
	versions := filepath.Join(dir, filepath.FromSlash(path), "@v")
	if err := os.MkdirAll(versions, 0o755); err != nil {
		return err
	}
	info, err := json.Marshal(struct {
		Version string
		Time    time.Time
	}{of.Version, time.Now().UTC()})
	if err != nil {
		return err
	}
	mod, err := os.ReadFile(filepath.Join(repo, "go.mod"))
	if err != nil {
		return err
	}
	for name, content := range map[string][]byte{"list": []byte(of.Version + "\n"), of.Version + ".info": info, of.Version + ".mod": mod} {
		if err := os.WriteFile(filepath.Join(versions, name), content, 0o644); err != nil {
			return err
		}
	}
	file, err := os.Create(filepath.Join(versions, of.Version+".zip"))
	if err != nil {
		return err
	}
	if err := zip.CreateFromVCS(file, of, repo, "HEAD", ""); err != nil {
		_ = file.Close()
		return fmt.Errorf("packing the module: %w", err)
	}
	return file.Close()
}
