package front

import (
	"os"
	"os/exec"
	"path/filepath"
	"strings"
	"testing"
)

// edit replaces a text that has to be there.
type edit struct{ old, new string }

// kind is one of the proxies.
type kind struct {
	name string // of the program
	file string // in scripts/proxy
	env  string // WS_PROXY_PROTOCOL, as the file asks for it

	// paths are the edits without which the file can't be used in a test: certificate, logs, pid, users.
	paths func(dir string, certificate certificate) []edit
	// sizes are those that a small machine wants.
	sizes []edit
	// listens and upstream are where the two ports are.
	listens, upstream string
	// timeout is the line of the one that counts for an open connection; brief has 1 s instead.
	timeout, brief string
	// stream has 1 s instead in each line that counts for an event stream.
	stream []edit

	// noticed is in the log once the proxy has found out by itself that Roost is gone; empty if it never asks.
	noticed string

	check func(file string) []string // arguments that only check
	serve func(file string) []string // arguments that serve in the foreground
}

var kinds = []*kind{&nginx, &haproxy}

var nginx = kind{
	name: "nginx", file: "nginx.conf", env: "false",
	paths: func(dir string, c certificate) []edit {
		edits := []edit{
			{"/etc/ssl/roost/fullchain.pem", c.chain}, {"/etc/ssl/roost/privkey.pem", c.key},
			{"pid /run/nginx.pid;", "pid " + dir + "/nginx.pid;"},
			{"/var/log/nginx/access.log", dir + "/access.log"}, {"/var/log/nginx/error.log", dir + "/error.log"},
		}
		if os.Getuid() != 0 {
			edits = append(edits, edit{"user www-data;\n", ""}) // only root may, and nginx warns
		}
		http := "http {\n"
		for _, use := range []string{"client_body", "proxy", "fastcgi", "uwsgi", "scgi"} {
			http += "    " + use + "_temp_path " + dir + "/" + use + ";\n"
		}
		return append(edits, edit{"http {\n", http})
	},
	sizes: []edit{
		{"worker_rlimit_nofile 140000;", "worker_rlimit_nofile 1024;"},
		{"worker_connections 131072;", "worker_connections 512;"},
		{"worker_processes auto;", "worker_processes 2;"},
	},
	listens: "listen 443 ", upstream: ":8081 max_fails",
	timeout: "proxy_read_timeout 90s;", brief: "proxy_read_timeout 1s;",
	stream: []edit{{"proxy_read_timeout 90s;", "proxy_read_timeout 1s;"}, {"proxy_send_timeout 90s;", "proxy_send_timeout 1s;"}},
	check:  func(file string) []string { return []string{"-t", "-q", "-c", file} },
	serve:  func(file string) []string { return []string{"-c", file, "-g", "daemon off;"} },
}

var haproxy = kind{
	name: "haproxy", file: "haproxy.cfg", env: "true",
	paths: func(dir string, c certificate) []edit {
		return []edit{
			{"/etc/haproxy/roost.pem", c.both},
			// Only root may do these, and the tests run as anybody.
			{"    chroot /var/lib/haproxy\n", ""}, {"    user haproxy\n", ""}, {"    group haproxy\n", ""},
		}
	},
	sizes:   []edit{{"maxconn 120000", "maxconn 400"}},
	listens: "bind :443 ", upstream: ":8081 ",
	timeout: "timeout tunnel 90s", brief: "timeout tunnel 1s",
	stream:  []edit{{"set-timeout server 90s", "set-timeout server 1s"}, {"timeout client 15s", "timeout client 1s"}},
	noticed: "Server roost/roost8 is DOWN",
	check:   func(file string) []string { return []string{"-c", "-f", file} },
	serve:   func(file string) []string { return []string{"-db", "-f", file} },
}

// program finds the proxy, which distributions keep where not everybody's PATH leads.
func (k *kind) program(t *testing.T) string {
	t.Helper()
	for _, name := range []string{k.name, "/usr/sbin/" + k.name, "/usr/local/sbin/" + k.name} {
		if path, err := exec.LookPath(name); err == nil {
			return path
		}
	}
	const missing = "%s is not installed (apt-get install %s): not tried with it"
	if os.Getenv("CI") == "true" {
		t.Fatalf(missing, k.name, k.name)
	}
	t.Skipf(missing, k.name, k.name)
	return ""
}

// write writes the shipped file, edited, and returns its path.
func (k *kind) write(t *testing.T, dir string, edits ...edit) string {
	t.Helper()
	shipped, err := os.ReadFile(filepath.Join("../../../../scripts/proxy", k.file))
	if err != nil {
		t.Fatal(err)
	}
	text := string(shipped)
	for _, e := range edits {
		// Comments say the same words: only settings are replaced, and all of them.
		replaced := replaceSettings(text, e)
		if replaced == text {
			t.Fatalf("%s has no %q any more", k.file, e.old)
		}
		text = replaced
	}
	path := filepath.Join(dir, k.file)
	if err := os.WriteFile(path, []byte(text), 0o644); err != nil {
		t.Fatal(err)
	}
	return path
}

func replaceSettings(text string, e edit) string {
	var b strings.Builder
	for line := range strings.Lines(text) {
		if !strings.HasPrefix(line, "#") {
			line = strings.ReplaceAll(line, e.old, e.new)
		}
		b.WriteString(line)
	}
	return b.String()
}

// forEach runs a test with each proxy.
func forEach(t *testing.T, test func(*testing.T, *kind)) {
	t.Parallel()
	for _, k := range kinds {
		t.Run(k.name, func(t *testing.T) {
			t.Parallel()
			k.program(t)
			test(t, k)
		})
	}
}

// The programs take the files as they are shipped, with a certificate that exists.
func TestShippedFilesAreValid(t *testing.T) {
	forEach(t, func(t *testing.T, k *kind) {
		dir := t.TempDir()
		edits := k.paths(dir, newCertificate(t, dir))
		if os.Getuid() != 0 { // nginx tries the port out, and 443 is root's
			edits = append(edits, edit{k.listens, strings.Replace(k.listens, "443", freePort(t), 1)})
		}
		file := k.write(t, dir, edits...)
		output, err := exec.Command(k.program(t), k.check(file)...).CombinedOutput()
		if err != nil {
			t.Errorf("%s: %v\n%s", k.file, err, output)
		}
		for _, word := range []string{"warn", "WARNING", "emerg", "ALERT"} {
			if strings.Contains(string(output), word) {
				t.Errorf("%s is taken with complaints:\n%s", k.file, output)
				break
			}
		}
	})
}
