// Command image writes a container image for several architectures as an OCI layout, without a container engine.
//
//	image --version v0.9.0 --commit … --created <Unix seconds> --layout DIR amd64=PROGRAM arm64=PROGRAM
//
// The image has the program, certificates of authorities, and nothing else. The same input gives the same bytes.
package main

import (
	"archive/tar"
	"bytes"
	"errors"
	"flag"
	"fmt"
	"io"
	"log"
	"os"
	"strings"
	"time"

	v1 "github.com/google/go-containerregistry/pkg/v1"
	"github.com/google/go-containerregistry/pkg/v1/empty"
	"github.com/google/go-containerregistry/pkg/v1/layout"
	"github.com/google/go-containerregistry/pkg/v1/mutate"
	"github.com/google/go-containerregistry/pkg/v1/tarball"
	"github.com/google/go-containerregistry/pkg/v1/types"
)

// user is who the program runs as: the one that distroless images call nonroot.
const user = "65532:65532"

// release is what the labels say.
type release struct {
	version, commit string
	created         time.Time
	certificates    []byte // PEM
}

func main() {
	log.SetFlags(0)
	log.SetPrefix("image: ")
	var r release
	flag.StringVar(&r.version, "version", "", "of the release")
	flag.StringVar(&r.commit, "commit", "", "of the source")
	created := flag.Int64("created", 0, "time of the commit, in Unix seconds")
	certificates := flag.String("certificates", "/etc/ssl/certs/ca-certificates.crt", "file of the authorities")
	dir := flag.String("layout", "", "directory to write")
	flag.Parse()
	r.created = time.Unix(*created, 0).UTC()
	var err error
	if r.certificates, err = os.ReadFile(*certificates); err != nil {
		log.Fatal(err)
	}
	if err := r.write(*dir, flag.Args()); err != nil {
		log.Fatal(err)
	}
}

// write writes the layout. Programs are ARCHITECTURE=FILE.
func (r release) write(dir string, programs []string) error {
	if dir == "" || len(programs) == 0 {
		return errors.New("want --layout DIR and programs, such as amd64=bin/roost")
	}
	index := mutate.IndexMediaType(empty.Index, types.OCIImageIndex)
	for _, program := range programs {
		architecture, file, ok := strings.Cut(program, "=")
		if !ok {
			return fmt.Errorf("%q: want ARCHITECTURE=FILE", program)
		}
		image, err := r.image(architecture, file)
		if err != nil {
			return fmt.Errorf("%s: %w", architecture, err)
		}
		index = mutate.AppendManifests(index, mutate.IndexAddendum{Add: image, Descriptor: v1.Descriptor{
			Platform: &v1.Platform{OS: "linux", Architecture: architecture},
		}})
	}
	// One entry, which leads to all architectures: of several entries skopeo and crane would ask which is meant.
	path, err := layout.Write(dir, empty.Index)
	if err != nil {
		return fmt.Errorf("writing the layout: %w", err)
	}
	if err := path.AppendIndex(index, layout.WithAnnotations(map[string]string{"org.opencontainers.image.ref.name": r.version})); err != nil {
		return fmt.Errorf("writing the layout: %w", err)
	}
	return nil
}

// image is that of one architecture.
func (r release) image(architecture, program string) (v1.Image, error) {
	content, err := os.ReadFile(program)
	if err != nil {
		return nil, err
	}
	files, err := r.files(content)
	if err != nil {
		return nil, err
	}
	layer, err := tarball.LayerFromOpener(func() (io.ReadCloser, error) { return io.NopCloser(bytes.NewReader(files)), nil },
		tarball.WithMediaType(types.OCILayer))
	if err != nil {
		return nil, err
	}
	image := mutate.ConfigMediaType(mutate.MediaType(empty.Image, types.OCIManifestSchema1), types.OCIConfigJSON)
	if image, err = mutate.AppendLayers(image, layer); err != nil {
		return nil, err
	}
	config, err := image.ConfigFile()
	if err != nil {
		return nil, err
	}
	config = config.DeepCopy()
	config.OS, config.Architecture, config.Created = "linux", architecture, v1.Time{Time: r.created}
	config.History = []v1.History{{Created: v1.Time{Time: r.created}, CreatedBy: "roost release"}}
	config.Config = v1.Config{
		User: user, WorkingDir: "/", Entrypoint: []string{"/roost"}, Cmd: []string{"serve"},
		Env:          []string{"PATH=/", "SSL_CERT_FILE=/etc/ssl/certs/ca-certificates.crt", "HTTP_HOST=0.0.0.0"},
		ExposedPorts: map[string]struct{}{"8081/tcp": {}, "8082/tcp": {}},
		// Whether the process answers, and not whether Redis is there.
		Healthcheck: &v1.HealthConfig{Test: []string{"CMD", "/roost", "health", "--live"}},
		StopSignal:  "SIGTERM",
		Labels: map[string]string{
			"org.opencontainers.image.title":       "Roost",
			"org.opencontainers.image.description": "WebSocket notifications from Redis to the browser",
			"org.opencontainers.image.version":     r.version,
			"org.opencontainers.image.revision":    r.commit,
			"org.opencontainers.image.created":     r.created.Format(time.RFC3339),
			"org.opencontainers.image.licenses":    "MIT",
		},
	}
	return mutate.ConfigFile(image, config)
}

// files is the layer: a tar archive.
func (r release) files(program []byte) ([]byte, error) {
	var out bytes.Buffer
	w := tar.NewWriter(&out)
	for _, file := range []struct {
		name    string
		mode    int64
		content []byte
	}{
		{"etc/", 0o755, nil}, {"etc/ssl/", 0o755, nil}, {"etc/ssl/certs/", 0o755, nil},
		{"etc/ssl/certs/ca-certificates.crt", 0o644, r.certificates},
		{"etc/passwd", 0o644, []byte("roost:x:65532:65532::/nonexistent:/sbin/nologin\n")},
		{"etc/group", 0o644, []byte("roost:x:65532:\n")},
		{"roost", 0o755, program},
	} {
		header := &tar.Header{Name: file.name, Mode: file.mode, Size: int64(len(file.content)), ModTime: r.created, Format: tar.FormatUSTAR}
		if strings.HasSuffix(file.name, "/") {
			header.Typeflag = tar.TypeDir
		} else {
			header.Typeflag = tar.TypeReg
		}
		if err := w.WriteHeader(header); err != nil {
			return nil, err
		}
		if _, err := w.Write(file.content); err != nil {
			return nil, err
		}
	}
	if err := w.Close(); err != nil {
		return nil, err
	}
	return out.Bytes(), nil
}
