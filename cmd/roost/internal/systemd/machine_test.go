package systemd

import (
	"errors"
	"fmt"
	"os"
	"os/exec"
	"path/filepath"
	"strconv"
	"strings"
	"syscall"
	"testing"
	"time"

	"roost/cmd/roost/internal/roosttest"
)

const (
	unitFile        = "../../../../scripts/roost.service"
	upgradeUnitFile = "../../../../scripts/roost-upgrade.service"
	// bootLimit is how long a machine may take to boot before it is taken for impossible here.
	bootLimit = 2 * time.Minute
	// logFile is where the service's log goes, in the machine.
	logFile = "var/log/roost.log"
)

// TestMain has the files of the machines be for all users in them, whatever this user's umask.
func TestMain(m *testing.M) {
	syscall.Umask(0o022)
	os.Exit(m.Run())
}

// machine is a container whose first process is systemd. It shares the host's network.
type machine struct {
	t    *testing.T
	root string
	init int // the pid of its systemd
}

// boot boots a machine, or skips the test where that can't be done. Nothing in it has been started but systemd itself. wrap
// replaces itself by systemd-nspawn.
func boot(t *testing.T, wrap ...string) *machine {
	t.Helper()
	if os.Geteuid() != 0 {
		t.Skip("only root can boot a container: the unit is not tried under a real systemd")
	}
	for _, program := range []string{"systemd-nspawn", "nsenter", "/usr/lib/systemd/systemd"} {
		if _, err := exec.LookPath(program); err != nil {
			t.Skipf("%s is missing (Debian's packages systemd-container and util-linux): the unit is not tried under a real systemd", program)
		}
	}
	m := &machine{t: t, root: t.TempDir()}
	m.fill()
	name := "roosttest" + strconv.Itoa(os.Getpid())
	process := roosttest.Run(t, roosttest.Command{Wrap: append(joinOwnGroup(t, name), wrap...), Program: "systemd-nspawn", Args: []string{
		"--quiet", "--directory=" + m.root, "--bind-ro=/usr", "--boot", "--register=no", "--keep-unit", "--link-journal=no",
		"--console=pipe", "--machine=" + name, "systemd.unit=roosttest.target",
	}})
	// SIGTERM has it shut down in order, which takes longer than anybody needs: there is nothing in it to lose. Its systemd
	// outlives a killed systemd-nspawn, and takes everything in its PID namespace with it when it is killed.
	t.Cleanup(func() {
		if m.init == 0 {
			m.init = initOf(process.Pid())
		}
		if m.init != 0 {
			_ = syscall.Kill(m.init, syscall.SIGKILL)
		}
		process.Signal(syscall.SIGKILL)
		process.Wait()
		_ = os.Remove("/run/systemd/nspawn/propagate/" + name) // which systemd-nspawn leaves behind
	})
	for deadline := time.Now().Add(bootLimit); ; time.Sleep(50 * time.Millisecond) { // between two looks
		if m.init = initOf(process.Pid()); m.init != 0 {
			if said, _ := m.try("systemctl", "is-active", "roosttest.target"); said == "active" {
				return m
			}
		}
		if process.Exited() || time.Now().After(deadline) {
			t.Skipf("no container can be booted here: the unit is not tried under a real systemd\n%s\n%s", process.Log, process.Stderr)
		}
	}
}

// joinOwnGroup makes a control group, and is a program that joins it and replaces itself by another: see roosttest.Command.Wrap.
// A machine's systemd takes the group that it finds itself in for the root of all, and so would that of another run of these
// tests: their services have the same names, and would be in one group.
func joinOwnGroup(t *testing.T, name string) []string {
	t.Helper()
	for _, hierarchy := range []string{"/sys/fs/cgroup/systemd", "/sys/fs/cgroup"} { // version 1, version 2
		dir := filepath.Join(hierarchy, name+"-"+t.Name())
		if os.Mkdir(dir, 0o755) != nil {
			continue
		}
		t.Cleanup(func() {
			roosttest.WaitFor(t, "the machine's control groups to be empty", func() bool { return removeGroups(dir) == nil })
		})
		if _, err := os.Stat(filepath.Join(dir, "cgroup.procs")); err == nil {
			return roosttest.JoinGroup(dir)
		}
	}
	return nil
}

// removeGroups removes a control group and those inside.
func removeGroups(dir string) error {
	inside, err := os.ReadDir(dir)
	for _, entry := range inside {
		if entry.IsDir() {
			err = errors.Join(err, removeGroups(filepath.Join(dir, entry.Name())))
		}
	}
	return errors.Join(err, os.Remove(dir))
}

// fill makes the files of the machine: what the boot needs, a user roost, and the unit as it is shipped, but for the path
// of the program, with its log in a file.
func (m *machine) fill() {
	m.t.Helper()
	for _, dir := range []string{"usr", "proc", "sys", "dev", "run", "tmp", "root", "var/log", "opt", "etc/roost", "etc/systemd/system/roost.service.d"} {
		if err := os.MkdirAll(filepath.Join(m.root, dir), 0o755); err != nil {
			m.t.Fatal(err)
		}
	}
	for _, dir := range []string{"bin", "sbin", "lib", "lib64"} {
		if err := os.Symlink("usr/"+dir, filepath.Join(m.root, dir)); err != nil {
			m.t.Fatal(err)
		}
	}
	unit, err := os.ReadFile(unitFile)
	if err != nil {
		m.t.Fatal(err)
	}
	m.write("etc/os-release", "ID=test\n")
	m.write("etc/machine-id", strings.Repeat("0123456789abcdef", 2)+"\n") // or it would be its first boot, which asks questions
	m.write("etc/passwd", "root:x:0:0::/root:/bin/sh\nroost:x:990:990::/nonexistent:/usr/sbin/nologin\n")
	m.write("etc/group", "root:x:0:\nroost:x:990:\n")
	m.write("etc/systemd/system/roosttest.target", "[Unit]\nRequires=basic.target\nAfter=basic.target\n")
	m.write("etc/systemd/system/roost.service", strings.ReplaceAll(string(unit), "=/usr/local/bin/roost", "=/opt/roost"))
	upgrade, err := os.ReadFile(upgradeUnitFile)
	if err != nil {
		m.t.Fatal(err)
	}
	m.write("etc/systemd/system/roost-upgrade.service", strings.ReplaceAll(string(upgrade), "=/usr/local/bin/roost", "=/opt/roost"))
	m.write("etc/systemd/system/roost.service.d/test.conf", "[Service]\nLimitNOFILE=4096\nStandardOutput=append:/"+logFile+"\nStandardError=inherit\n")
	program, err := os.ReadFile(roosttest.Binary(m.t))
	if err != nil {
		m.t.Fatal(err)
	}
	m.write("opt/roost", string(program))
	if err := os.Chmod(filepath.Join(m.root, "opt/roost"), 0o755); err != nil {
		m.t.Fatal(err)
	}
}

// write makes a file in the machine, or replaces its text.
func (m *machine) write(path, text string) {
	m.t.Helper()
	if err := os.WriteFile(filepath.Join(m.root, path), []byte(text), 0o644); err != nil {
		m.t.Fatal(err)
	}
}

// try runs a program in the machine.
func (m *machine) try(args ...string) (said string, err error) {
	enter := []string{"--target", strconv.Itoa(m.init), "--mount", "--uts", "--ipc", "--pid", "--cgroup", "--root", "--wd=/"}
	output, err := exec.Command("nsenter", append(enter, args...)...).CombinedOutput()
	return strings.TrimSpace(string(output)), err
}

// run is try for what has to work.
func (m *machine) run(args ...string) string {
	m.t.Helper()
	said, err := m.try(args...)
	if err != nil {
		m.t.Errorf("%v: %v\n%s", args, err, said)
	}
	return said
}

// show is a property of the service.
func (m *machine) show(property string) string {
	m.t.Helper()
	return m.run("systemctl", "show", "-P", property, "roost")
}

// log is the service's log so far.
func (m *machine) log() *roosttest.Log {
	log := new(roosttest.Log)
	text, _ := os.ReadFile(filepath.Join(m.root, logFile)) // there is none before the service is started
	_, _ = log.Write(text)
	return log
}

// await waits until the log has a line for the n-th time, and returns it.
func (m *machine) await(message string, n int) roosttest.Line {
	m.t.Helper()
	var found []roosttest.Line
	defer func() {
		if len(found) < n {
			m.t.Logf("the log:\n%s\nsystemd:\n%s", m.log(), m.run("systemctl", "status", "--no-pager", "--full", "roost"))
		}
	}()
	roosttest.WaitFor(m.t, fmt.Sprintf("the log line %q, %d times", message, n), func() bool {
		found = m.log().Find(message)
		return len(found) >= n
	})
	return found[n-1]
}

// initOf returns the first process of the container that systemd-nspawn has started: the descendant that is number 1 in a
// PID namespace of its own. 0 if there is none yet.
func initOf(nspawn int) int {
	for pid := nspawn; ; {
		children, err := os.ReadFile(fmt.Sprintf("/proc/%d/task/%d/children", pid, pid))
		first, _, _ := strings.Cut(string(children), " ")
		if err != nil || first == "" {
			return 0
		}
		pid, _ = strconv.Atoi(first)
		status, _ := os.ReadFile(fmt.Sprintf("/proc/%d/status", pid))
		_, rest, _ := strings.Cut(string(status), "\nNSpid:")
		numbers, _, _ := strings.Cut(rest, "\n")
		if strings.HasSuffix(numbers, "\t1") {
			return pid
		}
	}
}
