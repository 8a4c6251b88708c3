package host

import (
	"fmt"
	"io/fs"
	"os"
	"path/filepath"
	"runtime"
	"strings"
	"syscall"
	"time"

	"github.com/fsnotify/fsnotify"
	"golang.org/x/sys/unix"
)

// Config is the folder or the file that the user's documents are in. Opened before Enter, it is read and watched there all the same.
type Config struct {
	parent  *os.Root // the folder around the folder: it stays when that is deleted and made again
	folder  string   // the folder's name in the parent; "." for the root of everything
	file    string   // the file's name in the folder; "." for the folder as a whole
	watcher *fsnotify.Watcher
	nudges  nudges
	blind   error // why there is no watch
}

// OpenConfig opens a folder or a file, which must be there. Symbolic links on the way to the folder are followed once, now; links in
// it are followed as long as they do not lead out of the folder around it. Where the kernel allows no watch, there are no nudges
// (Unwatched).
func OpenConfig(path string) (*Config, error) {
	c, err := openConfig(path)
	if err != nil {
		return nil, fmt.Errorf("open config %s: %w", path, reason(err))
	}
	return c, nil
}

func openConfig(path string) (*Config, error) {
	info, err := os.Stat(path)
	if err != nil {
		return nil, err
	}
	full, err := filepath.Abs(path)
	if err != nil {
		return nil, err
	}
	c := &Config{folder: ".", file: ".", nudges: make(nudges, 1)}
	if !info.IsDir() { // the link that a file of a mounted ConfigMap is must be followed each time: it is swapped
		full, c.file = filepath.Dir(full), filepath.Base(full)
	}
	if full, err = filepath.EvalSymlinks(full); err != nil {
		return nil, err
	}
	if full != "/" {
		c.folder = filepath.Base(full)
	}
	if c.parent, err = os.OpenRoot(filepath.Dir(full)); err != nil {
		return nil, err
	}
	c.blind = c.watch(full)
	return c, nil
}

// FS is the folder, or the one that the file is in. It is always the one that is there now: when the folder is made again, it is
// the new one, and while it is gone, reading it is an error.
func (c *Config) FS() fs.FS {
	sub, err := fs.Sub(c.parent.FS(), c.folder)
	if err != nil {
		panic(err) // only a name with slashes is refused, and Base returns none
	}
	return sub
}

// Name is what to read in FS: "." for the folder, or the file's name.
func (c *Config) Name() string { return c.file }

// Stamp is a text that stays the same as long as the folder, or the file, does. It is empty where that cannot be told: when something
// is missing, or was changed so close to now that a further change would not show (see racy).
func (c *Config) Stamp(now time.Time) string {
	names := []string{c.file}
	if c.file == "." {
		entries, err := fs.ReadDir(c.FS(), ".")
		if err != nil {
			return ""
		}
		for _, e := range entries {
			names = append(names, e.Name())
		}
	}
	var b strings.Builder
	for _, name := range names {
		info, err := fs.Stat(c.FS(), name)
		if err != nil {
			return ""
		}
		st, ok := info.Sys().(*syscall.Stat_t)
		if !ok || now.Sub(time.Unix(st.Ctim.Unix())).Abs() < racy {
			return ""
		}
		fmt.Fprintln(&b, name, st.Dev, st.Ino, st.Mode, st.Size, st.Mtim, st.Ctim)
	}
	return b.String()
}

// Changed says that something in the folder may have changed. Several changes make one nudge; a change after a nudge was taken
// makes another one. It is closed by Close, unless there is no watch.
func (c *Config) Changed() <-chan struct{} { return c.nudges }

// Unwatched says why no change makes a nudge, such as the limits of inotify; nil where each does.
func (c *Config) Unwatched() error { return c.blind }

// Close ends the watch.
func (c *Config) Close() error {
	if c.blind == nil {
		_ = c.watcher.Close() // it can only say that it was closed before
	}
	return c.parent.Close()
}

// watch begins the watch of the folder and of the one around it, for when it is made again.
func (c *Config) watch(folder string) error {
	var err error
	if c.watcher, err = fsnotify.NewWatcher(); err != nil {
		return fmt.Errorf("watch: %w", reason(err))
	}
	ready := make(chan error)
	go c.outside(ready, func() error {
		if err := c.watcher.Add(filepath.Dir(folder)); err != nil {
			return err
		}
		return c.watcher.Add(folder)
	}, func() { c.nudges.follow(c.watcher, func(path string) bool { return c.concerns(path, folder) }) })
	if err := <-ready; err != nil {
		_ = c.watcher.Close()
		return fmt.Errorf("watch: %w", reason(err))
	}
	return nil
}

// outside runs begin and then follow on a thread that keeps the root it has now, whatever Enter does to the others: a folder that is
// made again must be watched again, and that takes a path. The thread ends with the goroutine. It is never the main thread, whose
// root passes for that of the process.
func (c *Config) outside(ready chan<- error, begin func() error, follow func()) {
	runtime.LockOSThread()
	if unix.Gettid() == unix.Getpid() {
		begun := make(chan error)
		go c.outside(begun, begin, follow)
		ready <- <-begun
		runtime.UnlockOSThread()
		return
	}
	err := unix.Unshare(unix.CLONE_FS)
	if err == nil {
		err = begin()
	}
	ready <- err
	if err == nil {
		follow()
	}
}

// concerns says that an event is about the folder or in it; it watches the folder again when that was made again.
func (c *Config) concerns(path, folder string) bool {
	if path == folder {
		_ = c.watcher.Add(folder) // it is gone, or the watch is there already
		return true
	}
	return filepath.Dir(path) == folder
}
