package host

import (
	"io/fs"
	"path"
	"slices"
	"time"

	"golang.org/x/sys/unix"

	"github.com/mirrorlet/mirrorlet/agent/plan"
)

// racy is how close to the moment of looking a file's last change makes a later one invisible: the kernel stamps files with the time
// of its last tick, which is up to 10 ms old (CONFIG_HZ=100), so that two writes within a tick carry the same stamp.
const racy = 50 * time.Millisecond

// Look is the host's tree for reading, and remembers every path that was looked at through it, so that one can later ask cheaply
// whether looking again could show anything else. What the Look before has read of a path that has not changed since is not read
// again. It implements fs.ReadLinkFS. It is for one goroutine at a time.
type Look struct {
	host   *Host
	tree   fs.FS
	now    func() time.Time
	seen   map[spot]*glance
	before map[spot]*glance // of the Look before
	racy   bool
}

// spot is a path and which way it is looked at: the path itself, or what a symbolic link there leads to.
type spot struct {
	full   string
	follow bool
}

// glance is what a spot was when it was looked at, and what has been read of it.
type glance struct {
	signature
	racy    bool
	node    *plan.Node
	info    *fs.FileInfo
	content *[]byte
	entries *[]fs.DirEntry
}

// Look begins a new recording. The clock is the one by which the kernel stamps files: time.Now, but in tests.
func (h *Host) Look(now func() time.Time) *Look {
	l := &Look{host: h, tree: h.FS(), now: now, seen: map[spot]*glance{}, before: h.looked}
	h.looked = l.seen
	return l
}

// Unchanged says that every path is as it was when it was first looked at. It also says no where it cannot know, because a file was
// changed within 50 ms of being looked at; a recording made later knows.
func (l *Look) Unchanged() bool {
	if l.racy {
		return false
	}
	for at, g := range l.seen {
		if sign(at.full, at.follow) != g.signature {
			return false
		}
	}
	return true
}

// Node is Host.Node, remembered. The content of the node is not to be written to.
func (l *Look) Node(path string) (plan.Node, error) {
	return once(&l.glance(path, false).node, func() (plan.Node, error) { return l.host.Node(path) })
}

// Open implements fs.FS. What is read from the file is covered, also later.
func (l *Look) Open(name string) (fs.File, error) {
	l.glance(name, true)
	return l.tree.Open(name)
}

// Stat implements fs.StatFS.
func (l *Look) Stat(name string) (fs.FileInfo, error) {
	g := l.glance(name, true)
	if g.errno == unix.ENOENT {
		return nil, &fs.PathError{Op: "stat", Path: name, Err: g.errno}
	}
	return once(&g.info, func() (fs.FileInfo, error) { return fs.Stat(l.tree, name) })
}

// ReadFile implements fs.ReadFileFS.
func (l *Look) ReadFile(name string) ([]byte, error) {
	content, err := once(&l.glance(name, true).content, func() ([]byte, error) { return fs.ReadFile(l.tree, name) })
	return slices.Clone(content), err
}

// ReadDir implements fs.ReadDirFS. The names in a folder are covered; what stands under them is only once it is looked at.
func (l *Look) ReadDir(name string) ([]fs.DirEntry, error) {
	entries, err := once(&l.glance(name, true).entries, func() ([]fs.DirEntry, error) { return fs.ReadDir(l.tree, name) })
	return slices.Clone(entries), err
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

// once reads what has not been read yet. A failure is not kept.
func once[T any](known **T, read func() (T, error)) (T, error) {
	if *known != nil {
		return **known, nil
	}
	value, err := read()
	if err == nil {
		*known = &value
	}
	return value, err
}

// glance remembers a path before it is read: what changes while it is read shows later. Where no symbolic link stands, one look serves
// for both ways of looking.
func (l *Look) glance(name string, follow bool) *glance {
	at := spot{full: l.host.full(path.Join("/", name))}
	g := l.look(at)
	if follow && g.mode&unix.S_IFMT == unix.S_IFLNK {
		at.follow = true
		g = l.look(at)
	}
	return g
}

// look signs a spot, once, and takes over what the Look before has read of it if it still is the same.
func (l *Look) look(at spot) *glance {
	if g, known := l.seen[at]; known {
		return g
	}
	now, g := l.now(), &glance{signature: sign(at.full, at.follow)}
	g.racy = g.errno == 0 && now.Sub(time.Unix(g.ctime.Unix())).Abs() < racy
	if old := l.before[at]; old != nil && !old.racy && old.signature == g.signature {
		g = old
	}
	l.racy = l.racy || g.racy
	l.seen[at] = g
	return g
}

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
