package supervisor

import (
	"os"
	"os/exec"
	"path/filepath"
	"strings"
	"testing"
)

const unitFile = "../../../../scripts/roost.service"

// unit returns the file of the unit with a program that exists, and its text.
func unit(t *testing.T) (path, text string) {
	t.Helper()
	content, err := os.ReadFile(unitFile)
	if err != nil {
		t.Fatal(err)
	}
	program, err := os.Executable()
	if err != nil {
		t.Fatal(err)
	}
	text = string(content)
	runnable := strings.ReplaceAll(text, "=/usr/local/bin/roost", "="+program)
	if runnable == text {
		t.Fatal("the unit starts something else than /usr/local/bin/roost")
	}
	path = filepath.Join(t.TempDir(), "roost.service")
	if err := os.WriteFile(path, []byte(runnable), 0o644); err != nil {
		t.Fatal(err)
	}
	return path, text
}

// analyze runs systemd-analyze.
func analyze(t *testing.T, args ...string) (output string, err error) {
	t.Helper()
	program, err := exec.LookPath("systemd-analyze")
	if err != nil {
		t.Skip("systemd-analyze is not installed: the unit is not checked")
	}
	said, err := exec.Command(program, args...).CombinedOutput()
	return string(said), err
}

func TestUnitIsRight(t *testing.T) {
	t.Parallel()
	path, _ := unit(t)
	said, err := analyze(t, "verify", "--man=no", path)
	// A directive that it does not know is only mentioned.
	if err != nil || strings.Contains(said, "roost.service") {
		t.Errorf("systemd-analyze verify: %v\n%s", err, said)
	}
}

// The socket units go with the service, and have the names that Roost looks for.
func TestSocketUnitsAreRight(t *testing.T) {
	t.Parallel()
	for file, name := range map[string]string{"roost.socket": "websocket", "roost-tls.socket": "websocket-tls"} {
		t.Run(file, func(t *testing.T) {
			t.Parallel()
			service, _ := unit(t)
			content, err := os.ReadFile(filepath.Join(filepath.Dir(unitFile), file))
			if err != nil {
				t.Fatal(err)
			}
			if !strings.Contains(string(content), "\nFileDescriptorName="+name+"\n") {
				t.Error("the socket has another name than Roost looks for")
			}
			// Else a Roost that is started alone opens a port of its own, and its restarts refuse clients.
			if !strings.Contains(string(content), "\nWantedBy=sockets.target roost.service\n") {
				t.Error("systemctl start roost does not start the socket")
			}
			path := filepath.Join(filepath.Dir(service), file)
			if err := os.WriteFile(path, content, 0o644); err != nil {
				t.Fatal(err)
			}
			said, err := analyze(t, "verify", "--man=no", path)
			if err != nil || strings.Contains(said, "roost.s") || strings.Contains(said, file) {
				t.Errorf("systemd-analyze verify: %v\n%s", err, said)
			}
		})
	}
}

// The unit that upgrades goes with the service too.
func TestUpgradeUnitIsRight(t *testing.T) {
	t.Parallel()
	service, _ := unit(t)
	content, err := os.ReadFile(filepath.Join(filepath.Dir(unitFile), "roost-upgrade.service"))
	if err != nil {
		t.Fatal(err)
	}
	program, err := os.Executable()
	if err != nil {
		t.Fatal(err)
	}
	text := strings.Replace(string(content), "\nExecStart=/usr/local/bin/roost upgrade\n", "\nExecStart="+program+" upgrade\n", 1)
	if text == string(content) {
		t.Error("the unit starts something else than roost upgrade")
	}
	path := filepath.Join(filepath.Dir(service), "roost-upgrade.service")
	if err := os.WriteFile(path, []byte(text), 0o644); err != nil {
		t.Fatal(err)
	}
	if said, err := analyze(t, "verify", "--man=no", path); err != nil || strings.Contains(said, "roost") {
		t.Errorf("systemd-analyze verify: %v\n%s", err, said)
	}
}

// systemd's own measure goes from 0 to 10, and the threshold is ten times that.
// Port 443 costs 0.3 of it.
func TestUnitIsClosed(t *testing.T) {
	t.Parallel()
	path, _ := unit(t)
	said, err := analyze(t, "security", "--offline=true", "--threshold=20", "--no-pager", path)
	if err != nil {
		t.Errorf("systemd-analyze security: %v\n%s", err, said)
	}
}

// The unit has all that the program needs.
func TestUnitFitsTheProgram(t *testing.T) {
	t.Parallel()
	_, text := unit(t)
	for _, line := range []string{
		"Type=notify", "NotifyAccess=all", "WatchdogSec=30s", // told every 15 s
		"TimeoutStopSec=35s", // stopping takes 30 s at most
		"Restart=always", "KillMode=control-group",
		"ExecStop=/bin/sh -c 'kill -TERM $$MAINPID && exec tail --pid=$$MAINPID --sleep-interval=0.1 -f /dev/null'",
		"LimitNOFILE=1048576",
		"Environment=ROOST_CONFIG_FILE=/etc/roost/roost.env", "ExecReload=/bin/kill -HUP $MAINPID", "User=roost", "Group=roost",
		"RestrictAddressFamilies=AF_INET AF_INET6 AF_UNIX",
		"AmbientCapabilities=CAP_NET_BIND_SERVICE", "CapabilityBoundingSet=CAP_NET_BIND_SERVICE", // port 443
		"StateDirectory=roost", // WS_TLS_ACME_CACHE
	} {
		if !strings.Contains(text, "\n"+line+"\n") {
			t.Errorf("there is no line %s", line)
		}
	}
	// A reload would not read their contents again.
	for _, line := range []string{"EnvironmentFile=", "LoadCredential=", "DynamicUser="} {
		if strings.Contains(text, "\n"+line) {
			t.Errorf("%s keeps reloads from what they are for", line)
		}
	}
	// Go would take an accept queue of 128.
	if strings.Contains(text, "\nProcSubset=pid") {
		t.Error("ProcSubset=pid hides net.core.somaxconn")
	}
}
