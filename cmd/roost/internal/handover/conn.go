//go:build linux

package handover

import (
	"encoding/binary"
	"errors"
	"fmt"
	"io"
	"net"
	"os"
	"strings"
	"time"

	"golang.org/x/sys/unix"
)

const (
	// MaxSection bounds the bytes of a message.
	MaxSection = 4 << 20
	// MaxFiles bounds the descriptors of a message: SCM_MAX_FD of the kernel.
	MaxFiles = 253

	kindSize   = 8
	headerSize = kindSize + 8 // kind, length of the body, number of descriptors, zero
)

// ErrTooFewDescriptors is why a message that has descriptors could not be received whole.
var ErrTooFewDescriptors = errors.New("the limit on open files (ulimit -n, LimitNOFILE=) leaves no room for the connections")

// message is one message. The receiver owns its descriptors.
type message struct {
	kind  string
	body  []byte
	files []int
}

// closeFiles closes the descriptors. It does not shut down the sockets, which another process has too.
func (m *message) closeFiles() { CloseFiles(m.files) }

// CloseFiles closes descriptors that came with a section and that nobody takes. It does not shut down the sockets.
func CloseFiles(files []int) {
	for _, fd := range files {
		_ = unix.Close(fd)
	}
}

// conn sends and receives messages on a stream socket. Reads never go beyond a message: the kernel keeps the descriptors beside
// the bytes that they were sent with.
type conn struct{ unix *net.UnixConn }

// pair returns both ends of a socket pair.
func pair() (ends [2]*os.File, err error) {
	fds, err := unix.Socketpair(unix.AF_UNIX, unix.SOCK_STREAM|unix.SOCK_CLOEXEC|unix.SOCK_NONBLOCK, 0)
	if err != nil {
		return ends, fmt.Errorf("making a socket pair: %w", err)
	}
	return [2]*os.File{os.NewFile(uintptr(fds[0]), "handover"), os.NewFile(uintptr(fds[1]), "handover")}, nil
}

// open makes a conn of a socket, and closes file.
func open(file *os.File) (*conn, error) {
	defer func() { _ = file.Close() }()
	c, err := net.FileConn(file)
	if err != nil {
		return nil, fmt.Errorf("opening the socket of the handover: %w", err)
	}
	socket, ok := c.(*net.UnixConn)
	if !ok {
		_ = c.Close()
		return nil, errors.New("the socket of the handover is no Unix socket")
	}
	return &conn{unix: socket}, nil
}

// send sends a message, or fails when the deadline has passed.
func (c *conn) send(m message, deadline time.Time) error {
	if len(m.kind) > kindSize || len(m.body) > MaxSection || len(m.files) > MaxFiles {
		return fmt.Errorf("a message %q of %d bytes and %d descriptors: there may be %d and %d", m.kind, len(m.body), len(m.files), MaxSection, MaxFiles)
	}
	var header [headerSize]byte
	copy(header[:kindSize], m.kind)
	binary.BigEndian.PutUint32(header[kindSize:], uint32(len(m.body)))
	binary.BigEndian.PutUint16(header[kindSize+4:], uint16(len(m.files)))
	var rights []byte
	if len(m.files) > 0 {
		rights = unix.UnixRights(m.files...)
	}
	if err := c.unix.SetWriteDeadline(deadline); err != nil {
		return fmt.Errorf("sending %s: %w", m.kind, err)
	}
	// A header is shorter than anything that the kernel would cut.
	n, _, err := c.unix.WriteMsgUnix(header[:], rights, nil)
	if err == nil && n < headerSize {
		err = io.ErrShortWrite
	}
	if err == nil && len(m.body) > 0 {
		_, err = c.unix.Write(m.body)
	}
	if err != nil {
		return fmt.Errorf("sending %s: %w", m.kind, err)
	}
	return nil
}

// receive receives a message, or fails when the deadline has passed. After an error nothing more can be received.
func (c *conn) receive(deadline time.Time) (m message, err error) {
	if err := c.unix.SetReadDeadline(deadline); err != nil {
		return m, err
	}
	var header [headerSize]byte
	if m.files, err = c.receiveHeader(header[:]); err != nil {
		CloseFiles(m.files)
		return message{}, err
	}
	size := binary.BigEndian.Uint32(header[kindSize:])
	files := int(binary.BigEndian.Uint16(header[kindSize+4:]))
	if m.kind, err = readKind(header[:kindSize]); err == nil && size > MaxSection {
		err = fmt.Errorf("a message %q of %d bytes: there may be %d", m.kind, size, MaxSection)
	}
	if err == nil && files != len(m.files) {
		err = fmt.Errorf("%d of the %d descriptors of a message %q have come", len(m.files), files, m.kind)
	}
	if err == nil && size > 0 {
		m.body = make([]byte, size)
		_, err = io.ReadFull(c.unix, m.body)
	}
	if err != nil {
		m.closeFiles()
		return message{}, err
	}
	return m, nil
}

// receiveHeader fills header, and returns the descriptors that came with it, also with an error.
func (c *conn) receiveHeader(header []byte) (files []int, err error) {
	oob := make([]byte, unix.CmsgSpace(MaxFiles*4))
	for read := 0; read < len(header); {
		n, oobn, flags, _, err := c.unix.ReadMsgUnix(header[read:], oob)
		came, wrong := rights(oob[:oobn])
		files = append(files, came...)
		switch {
		case err != nil:
			return files, err
		case wrong != nil:
			return files, wrong
		case flags&unix.MSG_CTRUNC != 0:
			return files, ErrTooFewDescriptors
		case n == 0 && read == 0:
			return files, io.EOF
		case n == 0:
			return files, io.ErrUnexpectedEOF
		}
		read += n
	}
	return files, nil
}

// rights returns the descriptors of control messages.
func rights(oob []byte) (files []int, err error) {
	if len(oob) == 0 {
		return nil, nil
	}
	control, err := unix.ParseSocketControlMessage(oob)
	if err != nil {
		return nil, fmt.Errorf("reading descriptors: %w", err)
	}
	for i := range control {
		fds, err := unix.ParseUnixRights(&control[i])
		if err != nil {
			return files, fmt.Errorf("reading descriptors: %w", err)
		}
		files = append(files, fds...)
	}
	return files, nil
}

// readKind reads the name of a message: lower-case letters, then zeroes.
func readKind(field []byte) (string, error) {
	kind := strings.TrimRight(string(field), "\x00")
	if kind == "" || strings.ContainsFunc(kind, func(r rune) bool { return r < 'a' || r > 'z' }) {
		return "", fmt.Errorf("what came is no message of a handover: it begins with %q", field)
	}
	return kind, nil
}

// close closes the socket. Any goroutine.
func (c *conn) close() { _ = c.unix.Close() }
