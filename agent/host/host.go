// Package host changes a machine, and is the only package that does: it reads and replaces files, remembers what was there before,
// and lists processes. It knows neither Kubernetes nor what a runtime means by its files. It runs on Linux only.
//
// A commit is safe at every moment. What is about to be written stands in the state, synced, before the first file changes; each
// file is then replaced whole, by a rename. So after a crash or a power cut a path is as it was or as it should be, the state says
// which of the two is meant, and looking at the disk tells what happened (settle).
//
// Paths are absolute, as the host sees them. In production the process has entered the host's root (Enter) and works below "/";
// tests work below a folder of their own.
package host

import (
	"errors"
	"fmt"
	"io"
	"io/fs"
	"os"
	"path/filepath"
	"strings"
	"time"

	"golang.org/x/sys/unix"

	"github.com/mirrorlet/mirrorlet/agent/plan"
)

// folder is where everything that is remembered stands.
const folder = "/var/lib/mirrorlet"

// maxContent bounds a file that is read whole, in bytes. Configuration is far smaller; what is larger is none.
const maxContent = 16 << 20

// ErrChanged says that a path is no longer what a change starts from. Nothing is written; the caller plans again.
var ErrChanged = errors.New("somebody else changed it since it was looked at")

// Host is one machine. It is for one goroutine at a time; the file systems it hands out are for any.
type Host struct {
	// Grace is how long a commit waits where a change asks for a pause. Zero: not at all, as where nobody reads.
	Grace time.Duration

	root     string
	disk     disk
	lock     *os.File          // held while it is open
	versions map[string]string // what a program said, by its process or file
	began    map[int]int64     // the start of each process that was found and runs, in ticks since boot
	looked   map[spot]*glance  // by the last Look
	// unfinished is what could not be removed when it was given up.
	unfinished []string
	state      struct { // as it was last read or written
		signature
		document
	}
}

// Open returns the host whose root is the given folder.
func Open(root string) (*Host, error) {
	root, err := filepath.Abs(root)
	if err != nil {
		return nil, fmt.Errorf("open host: %w", err)
	}
	info, err := os.Stat(root)
	if err != nil {
		return nil, fmt.Errorf("open host %s: %w", root, reason(err))
	}
	if !info.IsDir() {
		return nil, fmt.Errorf("open host %s: it is not a folder", root)
	}
	return &Host{root: root, disk: kernel{}, versions: map[string]string{}, began: map[int]int64{}}, nil
}

// Root is the folder that the host was opened with, absolute.
func (h *Host) Root() string { return h.root }

// FS is the host's tree for reading. It implements fs.ReadLinkFS.
func (h *Host) FS() fs.FS { return os.DirFS(h.root) }

// Paused says that the owner of the host asks, by the file /var/lib/mirrorlet/pause, that nothing be changed.
func (h *Host) Paused() (bool, error) {
	_, err := os.Lstat(h.full(folder + "/pause"))
	switch {
	case err == nil:
		return true, nil
	case absent(err):
		return false, nil
	default:
		return false, fmt.Errorf("look for %s/pause: %w", folder, reason(err))
	}
}

// Node returns what stands at a path, without following a symbolic link there. Nothing there is the zero Node and no error; not
// being allowed to look is an error, and so is a file of more than 16 MiB.
func (h *Host) Node(path string) (plan.Node, error) {
	if err := checkPath(path); err != nil {
		return plan.Node{}, err
	}
	n, err := readNode(h.full(path))
	if err != nil {
		return plan.Node{}, fmt.Errorf("read %s: %w", path, reason(err))
	}
	return n, nil
}

// full is the path as this process sees it.
func (h *Host) full(path string) string { return filepath.Join(h.root, path) }

// checkPath refuses what filepath.Join could lead out of the root, and what has two names.
func checkPath(path string) error {
	if !filepath.IsAbs(path) || filepath.Clean(path) != path || strings.ContainsRune(path, 0) {
		return fmt.Errorf("path %q: it must be absolute and without . or .. or double slashes", path)
	}
	return nil
}

func readNode(full string) (plan.Node, error) {
	var st unix.Stat_t
	if err := unix.Lstat(full, &st); absent(err) || errors.Is(err, unix.ELOOP) { // links on the way that lead in a circle lead nowhere
		return plan.Node{}, nil
	} else if err != nil {
		return plan.Node{}, err
	}
	n := nodeOf(&st)
	var err error
	switch n.Kind {
	case plan.Regular:
		n, err = readRegular(full)
	case plan.Symlink:
		n.Target, err = os.Readlink(full)
	}
	if err == nil {
		n.Label, err = readLabel(full)
	}
	switch {
	case absent(err): // another mirrorlet at work has just taken it away
		return plan.Node{}, nil
	case err != nil:
		return plan.Node{}, err
	}
	return n, nil
}

// readRegular takes mode, owner and content from one open file, so that they belong together. It does not wait for the other end
// should a pipe have taken the file's place.
func readRegular(full string) (plan.Node, error) {
	f, err := os.OpenFile(full, os.O_RDONLY|unix.O_NOFOLLOW|unix.O_NONBLOCK, 0)
	if err != nil {
		return plan.Node{}, err
	}
	defer func() { _ = f.Close() }()
	var st unix.Stat_t
	if err := unix.Fstat(int(f.Fd()), &st); err != nil {
		return plan.Node{}, err
	}
	n := nodeOf(&st)
	if n.Kind != plan.Regular {
		return plan.Node{}, ErrChanged
	}
	n.Content, err = io.ReadAll(io.LimitReader(f, maxContent+1))
	if len(n.Content) > maxContent {
		return plan.Node{}, fmt.Errorf("it is larger than %d bytes", maxContent)
	}
	return n, err
}

func nodeOf(st *unix.Stat_t) plan.Node {
	n := plan.Node{Kind: plan.Other, Mode: goMode(st.Mode), UID: int(st.Uid), GID: int(st.Gid)}
	switch st.Mode & unix.S_IFMT {
	case unix.S_IFREG:
		n.Kind = plan.Regular
	case unix.S_IFLNK:
		n.Kind = plan.Symlink
	case unix.S_IFDIR:
		n.Kind = plan.Directory
	}
	return n
}

// selinux is the attribute that holds a file's label; the kernel ends its value with a NUL.
const selinux = "security.selinux"

func readLabel(full string) (string, error) {
	buf := make([]byte, 256)
	n, err := unix.Lgetxattr(full, selinux, buf)
	switch err {
	case nil:
		return strings.TrimRight(string(buf[:n]), "\x00"), nil
	case unix.ENODATA, unix.ENOTSUP:
		return "", nil
	default:
		return "", err
	}
}

// goMode turns the twelve mode bits of the kernel into those of package fs, and unixMode turns them back.
func goMode(m uint32) fs.FileMode {
	mode := fs.FileMode(m & 0o777)
	if m&unix.S_ISUID != 0 {
		mode |= fs.ModeSetuid
	}
	if m&unix.S_ISGID != 0 {
		mode |= fs.ModeSetgid
	}
	if m&unix.S_ISVTX != 0 {
		mode |= fs.ModeSticky
	}
	return mode
}

func unixMode(mode fs.FileMode) uint32 {
	m := uint32(mode.Perm())
	if mode&fs.ModeSetuid != 0 {
		m |= unix.S_ISUID
	}
	if mode&fs.ModeSetgid != 0 {
		m |= unix.S_ISGID
	}
	if mode&fs.ModeSticky != 0 {
		m |= unix.S_ISVTX
	}
	return m
}

// absent says that an error means "nothing is there". A path below something that is no folder is not there either.
func absent(err error) bool {
	return errors.Is(err, fs.ErrNotExist) || errors.Is(err, unix.ENOTDIR)
}

// reason is an error of package os without the path and the call, which our own message names.
func reason(err error) error {
	var path *fs.PathError
	var link *os.LinkError
	switch {
	case errors.As(err, &path):
		return path.Err
	case errors.As(err, &link):
		return link.Err
	default:
		return err
	}
}
