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

// Nudges wait until nothing has happened for calm, so that an editor or a swap of links is done, but not for longer than patience.
const (
	calm     = 50 * time.Millisecond
	patience = 500 * time.Millisecond
)

// Config is the folder or the file that the user's documents are in. Opened before Enter, it is read and watched there all the same.
type Config struct {
	parent  *os.Root // the folder around the folder: it stays when that is deleted and made again
	folder  string   // the folder's name in the parent; "." for the root of everything
	file    string   // the file's name in the folder; "." for the folder as a whole
	watcher *fsnotify.Watcher
	changed chan struct{}
}

// OpenConfig opens a folder or a file, which must be there. Symbolic links on the way to the folder are followed once, now; links in
// it are followed as long as they do not lead out of the folder around it.
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
	c := &Config{folder: ".", file: ".", changed: make(chan struct{}, 1)}
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
	if err := c.watch(full); err != nil {
		_ = c.parent.Close()
		return nil, err
	}
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
// makes another one. It is closed by Close.
func (c *Config) Changed() <-chan struct{} { return c.changed }

// Close ends the watch.
func (c *Config) Close() error {
	if err := c.watcher.Close(); err != nil {
		return err
	}
	return c.parent.Close()
}

// watch begins the watch of the folder and of the one around it, for when it is made again.
func (c *Config) watch(folder string) error {
	var err error
	if c.watcher, err = fsnotify.NewWatcher(); err != nil {
		return fmt.Errorf("watch: %w", err)
	}
	ready := make(chan error)
	go c.outside(ready, func() error {
		if err := c.watcher.Add(filepath.Dir(folder)); err != nil {
			return err
		}
		return c.watcher.Add(folder)
	}, func() { c.follow(folder) })
	if err := <-ready; err != nil {
		_ = c.watcher.Close()
		return fmt.Errorf("watch: %w", err)
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

// follow turns events into nudges until the watcher is closed.
func (c *Config) follow(folder string) {
	defer close(c.changed)
	quiet := time.NewTimer(calm)
	quiet.Stop()
	var since time.Time // of the first event that has made no nudge yet
	for {
		select {
		case event, open := <-c.watcher.Events:
			if !open {
				return
			}
			if !c.concerns(event.Name, folder) {
				continue
			}
		case _, open := <-c.watcher.Errors: // events were lost: everything may have changed
			if !open {
				return
			}
		case <-quiet.C:
			since = time.Time{}
			c.nudge()
			continue
		}
		if since.IsZero() {
			since = time.Now()
		}
		quiet.Reset(max(0, min(calm, patience-time.Since(since))))
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

func (c *Config) nudge() {
	select {
	case c.changed <- struct{}{}:
	default: // one is waiting to be taken
	}
}
