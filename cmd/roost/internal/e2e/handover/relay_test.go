package handover

import (
	"encoding/binary"
	"fmt"
	"math/rand/v2"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"sync"
	"syscall"
	"time"

	"golang.org/x/sys/unix"
)

// realVariable names the program that a relay starts.
const realVariable = "ROOST_TEST_REAL_PROGRAM"

// pieceSize is the most that a relay passes on at once of the body of a message: so it can act in the middle of one.
const pieceSize = 512

// relay is a new process that starts the real program with all that it inherits, stands between that and the old process, and passes on what
// they say. It acts once, before it passes on the piece of that number that the old process sends. What comes before commit does so for
// certain: the relay acts at the latest before it passes on that the new process is ready.
type relay struct {
	action string // kill: the real program; stop: the old process; stop-after: the old process, behind its commit
	at     int    // the number of the piece; below 0: a random moment after the start, before the real program has said anything
	count  string // the file that gets the number of pieces until the new process was ready
	child  int    // the pid of the real program

	mu     sync.Mutex
	pieces int  // guarded by mu: that came from the old process
	acted  bool // guarded by mu
}

// runRelay is the process. what is "<action> <piece> <file>".
func runRelay(what string) int {
	r := &relay{}
	if _, err := fmt.Sscan(what, &r.action, &r.at, &r.count); err != nil {
		return 4
	}
	inherited := 5 // behind what tableflip has for itself
	for domain := 0; domain != unix.AF_UNIX; inherited++ {
		var err error
		if domain, err = unix.GetsockoptInt(inherited, unix.SOL_SOCKET, unix.SO_DOMAIN); err != nil {
			return 4
		}
	}
	inherited--
	inner, err := unix.Socketpair(unix.AF_UNIX, unix.SOCK_STREAM|unix.SOCK_CLOEXEC, 0)
	if err != nil {
		return 4
	}
	if r.child, err = startReal(inherited, inner[1]); err != nil {
		return 4
	}
	_ = unix.Close(inner[1])
	go func() {
		if r.at < 0 {
			time.Sleep(rand.N(100 * time.Millisecond)) // at any moment of the handover, or behind it
			r.act()
		}
		r.greet(inner[0], inherited)
	}()
	var status syscall.WaitStatus
	for {
		if pid, err := syscall.Wait4(r.child, &status, 0, nil); pid == r.child || (err != nil && err != syscall.EINTR) {
			break
		}
	}
	r.mu.Lock() // what acts ends this process by itself
	return status.ExitStatus()
}

// startReal starts the real program with everything that this process has inherited, but for one descriptor, in whose place comes another.
func startReal(inherited, by int) (pid int, err error) {
	files := []uintptr{0, 1, 2}
	for fd := 3; ; fd++ {
		if flags, err := unix.FcntlInt(uintptr(fd), unix.F_GETFD, 0); err != nil || flags&unix.FD_CLOEXEC != 0 {
			break
		}
		files = append(files, uintptr(fd))
	}
	files[inherited] = uintptr(by)
	environment := slices.DeleteFunc(os.Environ(), func(v string) bool { return strings.HasPrefix(v, badVariable+"=") })
	args := append([]string{os.Args[0]}, os.Args[slices.Index(os.Args, "--")+1:]...)
	pid, err = syscall.ForkExec(os.Getenv(realVariable), args, &syscall.ProcAttr{Env: environment, Files: files})
	for fd := 3; fd < len(files); fd++ {
		if fd != inherited {
			_ = unix.Close(fd)
		}
	}
	return pid, err
}

// greet passes on the new process's greeting, with a socket of the relay's own in place of that process's.
func (r *relay) greet(inner, outer int) {
	header, files, err := receiveHeader(inner)
	if err != nil || len(files) != 1 {
		return
	}
	between, err := unix.Socketpair(unix.AF_UNIX, unix.SOCK_STREAM|unix.SOCK_CLOEXEC, 0)
	if err != nil {
		return
	}
	for _, fd := range []int{outer, files[0]} {
		_ = unix.SetNonblock(fd, false)
	}
	go r.pass(between[0], files[0], true)
	go r.pass(files[0], between[0], false)
	if send(outer, header, between[1:]) == nil {
		_ = unix.Close(between[1])
		_ = r.passBody(inner, outer, header, false)
	}
}

// pass passes on messages until either end is closed, which it does with the other then.
func (r *relay) pass(from, to int, old bool) {
	defer func() {
		_ = unix.Shutdown(from, unix.SHUT_RDWR)
		_ = unix.Shutdown(to, unix.SHUT_RDWR)
	}()
	for {
		header, files, err := receiveHeader(from)
		if err != nil {
			return
		}
		switch kind := strings.TrimRight(string(header[:8]), "\x00"); {
		case old && kind == "commit" && r.action == "stop-after":
			r.act()
		case old:
			r.piece()
		case kind == "ready":
			r.ready()
		}
		err = send(to, header, files)
		for _, fd := range files {
			_ = unix.Close(fd)
		}
		if err != nil || r.passBody(from, to, header, old) != nil {
			return
		}
	}
}

// passBody passes on the body of a message whose header has been.
func (r *relay) passBody(from, to int, header []byte, old bool) error {
	piece := make([]byte, pieceSize)
	for left := int(binary.BigEndian.Uint32(header[8:])); left > 0; {
		n, err := unix.Read(from, piece[:min(left, pieceSize)])
		if err == unix.EINTR {
			continue
		}
		if err != nil || n == 0 {
			return unix.EPIPE
		}
		if left -= n; old {
			r.piece()
		}
		if err := send(to, piece[:n], nil); err != nil {
			return err
		}
	}
	return nil
}

// piece counts a piece that comes from the old process.
func (r *relay) piece() {
	r.mu.Lock()
	n := r.pieces
	r.pieces++
	r.mu.Unlock()
	if n == r.at && r.action != "stop-after" {
		r.act()
	}
}

// ready is the last moment before commit.
func (r *relay) ready() {
	r.mu.Lock()
	_ = os.WriteFile(r.count, fmt.Append(nil, r.pieces), 0o600)
	r.mu.Unlock()
	if r.action != "stop-after" {
		r.act()
	}
}

// act does once what the relay is for.
func (r *relay) act() {
	r.mu.Lock()
	defer r.mu.Unlock()
	if r.acted {
		return
	}
	r.acted = true
	if r.action != "kill" {
		old := os.Getppid()
		_ = syscall.Kill(old, syscall.SIGSTOP)
		for !stopped(old) {
			time.Sleep(time.Millisecond) // between two looks
		}
		return
	}
	time.Sleep(rand.N(2 * time.Millisecond)) // the real program does something with what it has got
	_ = syscall.Kill(r.child, syscall.SIGKILL)
	die()
}

// receiveHeader reads the first 16 bytes of a message, and no more, with the descriptors beside them.
func receiveHeader(fd int) (header []byte, files []int, err error) {
	header, oob := make([]byte, 16), make([]byte, unix.CmsgSpace(253*4))
	for read := 0; read < len(header); {
		n, oobn, _, _, err := unix.Recvmsg(fd, header[read:], oob, unix.MSG_CMSG_CLOEXEC)
		if err == unix.EINTR {
			continue
		}
		if err != nil || n == 0 {
			return nil, nil, unix.EPIPE
		}
		read += n
		messages, err := unix.ParseSocketControlMessage(oob[:oobn])
		if err != nil {
			return nil, nil, err
		}
		for i := range messages {
			came, err := unix.ParseUnixRights(&messages[i])
			if err != nil {
				return nil, nil, err
			}
			files = append(files, came...)
		}
	}
	return header, files, nil
}

// send writes all of it.
func send(fd int, text []byte, files []int) error {
	var rights []byte
	if len(files) > 0 {
		rights = unix.UnixRights(files...)
	}
	for len(text) > 0 {
		n, err := unix.SendmsgN(fd, text, rights, nil, unix.MSG_NOSIGNAL)
		if err == unix.EINTR {
			continue
		}
		if err != nil {
			return err
		}
		text, rights = text[n:], nil
	}
	return nil
}

// stopped reports whether all threads of a process are stopped by a signal, or whether it has ended.
func stopped(pid int) bool {
	threads, _ := filepath.Glob(fmt.Sprintf("/proc/%d/task/*/stat", pid))
	for _, file := range threads {
		text, err := os.ReadFile(file)
		if err == nil && !strings.Contains(string(text), ") T ") {
			return false
		}
	}
	return true
}
