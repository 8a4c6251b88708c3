package host

import (
	"io/fs"
	"path"
	"time"

	"golang.org/x/sys/unix"

	"github.com/mirrorlet/mirrorlet/agent/plan"
)

// racy is how close to the moment of looking a file's last change makes a later one invisible: the kernel stamps files with the time
// of its last tick, which is up to 10 ms old (CONFIG_HZ=100), so that two writes within a tick carry the same stamp.
const racy = 50 * time.Millisecond

// Look is the host's tree for reading, and remembers every path that was looked at through it, so that one can later ask cheaply
// whether looking again could show anything else. It implements fs.ReadLinkFS. It is for one goroutine at a time.
type Look struct {
	host *Host
	tree fs.FS
	now  func() time.Time
	seen []glance
	done map[string]int // what of each path was looked at
	racy bool
}

// glance is one path as it was when it was looked at.
type glance struct {
	full   string
	follow bool // the path itself, or what a symbolic link there leads to
	signature
}

// Look begins a new recording. The clock is the one by which the kernel stamps files: time.Now, but in tests.
func (h *Host) Look(now func() time.Time) *Look {
	return &Look{host: h, tree: h.FS(), now: now, done: map[string]int{}}
}

// Unchanged says that every path is as it was when it was first looked at. It also says no where it cannot know, because a file was
// changed within 50 ms of being looked at; a recording made later knows.
func (l *Look) Unchanged() bool {
	if l.racy {
		return false
	}
	for i := range l.seen {
		if sign(l.seen[i].full, l.seen[i].follow) != l.seen[i].signature {
			return false
		}
	}
	return true
}

// Node is Host.Node, remembered.
func (l *Look) Node(path string) (plan.Node, error) {
	l.glance(path, false)
	return l.host.Node(path)
}

// Open implements fs.FS. What is read from the file is covered, also later.
func (l *Look) Open(name string) (fs.File, error) {
	l.glance(name, true)
	return l.tree.Open(name)
}

// Stat implements fs.StatFS.
func (l *Look) Stat(name string) (fs.FileInfo, error) {
	l.glance(name, true)
	return fs.Stat(l.tree, name)
}

// ReadFile implements fs.ReadFileFS.
func (l *Look) ReadFile(name string) ([]byte, error) {
	l.glance(name, true)
	return fs.ReadFile(l.tree, name)
}

// ReadDir implements fs.ReadDirFS. The names in a folder are covered; what stands under them is only once it is looked at.
func (l *Look) ReadDir(name string) ([]fs.DirEntry, error) {
	l.glance(name, true)
	return fs.ReadDir(l.tree, name)
}

// Lstat implements fs.ReadLinkFS.
func (l *Look) Lstat(name string) (fs.FileInfo, error) {
	l.glance(name, false)
	return fs.Lstat(l.tree, name)
}

// ReadLink implements fs.ReadLinkFS.
func (l *Look) ReadLink(name string) (string, error) {
	l.glance(name, false)
	return fs.ReadLink(l.tree, name)
}

// glance remembers a path before it is read: what changes while it is read shows later. Where no symbolic link stands, one look serves
// for both ways of looking.
func (l *Look) glance(name string, follow bool) {
	full, way := l.host.full(path.Join("/", name)), itself
	if follow {
		way = target
	}
	if l.done[full]&way != 0 {
		return
	}
	now, seen := l.now(), glance{full: full, signature: sign(full, false)}
	switch {
	case seen.mode&unix.S_IFMT != unix.S_IFLNK:
		way = itself | target
	case follow:
		seen.follow, seen.signature = true, sign(full, true)
	}
	if seen.errno == 0 && now.Sub(time.Unix(seen.ctime.Unix())).Abs() < racy {
		l.racy = true
	}
	l.done[full] |= way
	l.seen = append(l.seen, seen)
}

// What of a path has been looked at.
const (
	itself = 1 << iota
	target
)

// signature is all of a path's metadata that changes with it, or why there is none.
type signature struct {
	errno          unix.Errno
	mode, uid, gid uint32
	dev, ino       uint64
	size           int64
	mtime, ctime   unix.Timespec
}

// sign costs one system call; called by name, not through a variable, stat keeps its result on the stack.
func sign(full string, follow bool) signature {
	var st unix.Stat_t
	var err error
	if follow {
		err = unix.Stat(full, &st)
	} else {
		err = unix.Lstat(full, &st)
	}
	if err != nil {
		errno, _ := err.(unix.Errno)
		return signature{errno: errno}
	}
	return signature{
		mode: st.Mode, uid: st.Uid, gid: st.Gid, dev: uint64(st.Dev), ino: st.Ino, size: st.Size, mtime: st.Mtim, ctime: st.Ctim,
	}
}
