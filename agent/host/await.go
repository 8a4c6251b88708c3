package host

import (
	"context"
	"errors"
	"io/fs"
	"os"
	"path/filepath"
	"time"

	"github.com/fsnotify/fsnotify"
)

// lookAgain is how often a config that is not there is looked for where no event tells: behind a symbolic link, or without a watch.
const lookAgain = 10 * time.Second

// AwaitConfig is OpenConfig for who can wait: while the path is missing or may not be read, it waits, until the context ends. It calls
// tell with each new reason for waiting.
func AwaitConfig(ctx context.Context, path string, tell func(reason error)) (*Config, error) {
	told := ""
	for {
		appeared, stop := arrival(path)
		c, err := OpenConfig(path)
		if err == nil || !errors.Is(err, fs.ErrNotExist) && !errors.Is(err, fs.ErrPermission) {
			stop()
			return c, err
		}
		if err.Error() != told {
			told = err.Error()
			tell(err)
		}
		select {
		case <-ctx.Done():
			err = ctx.Err()
		case <-appeared:
			err = nil
		case <-time.After(lookAgain):
			err = nil
		}
		stop()
		if err != nil {
			return nil, err
		}
	}
}

// arrival watches the innermost folder on the way to a path that is there. The channel says that something happened in it; it never
// does where there can be no watch.
func arrival(path string) (<-chan struct{}, func()) {
	watcher, err := fsnotify.NewWatcher()
	if err != nil {
		return nil, func() {}
	}
	for dir, err := filepath.Abs(path); err == nil; dir = filepath.Dir(dir) {
		if _, there := os.Stat(dir); there == nil || dir == "/" {
			_ = watcher.Add(dir)
			break
		}
	}
	n := make(nudges, 1)
	go n.follow(watcher, func(string) bool { return true })
	return n, func() { _ = watcher.Close() }
}
