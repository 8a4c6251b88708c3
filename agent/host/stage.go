package host

import (
	"fmt"
	"maps"
	"os"
	"path/filepath"
	"slices"
	"strings"

	"golang.org/x/sys/unix"

	"github.com/mirrorlet/mirrorlet/agent/plan"
)

const stagePrefix = "mirrorlet-stage-"

// Stage writes a copy of a tree for a parser to try, that only we can read, and returns its root, as this process sees it, and what
// removes it again. Keys are absolute paths; links are made relative and lead to the same place below the root; owners and modes are not copied.
// It lies in memory where the host has a place for that. The host's own files are untouched, and folders that had to be made for
// the copy go with it. Copies that a crash has left are removed.
func (h *Host) Stage(nodes map[string]plan.Node) (root string, cleanup func(), err error) {
	dir := h.stageDir()
	if root, cleanup, err = h.stageIn(dir); err != nil {
		return "", nil, fmt.Errorf("stage in %s: %w", dir, reason(err))
	}
	if err := stageAll(root, nodes); err != nil {
		cleanup()
		return "", nil, err
	}
	return root, cleanup, nil
}

func stageAll(root string, nodes map[string]plan.Node) error {
	in, err := os.OpenRoot(root)
	if err != nil {
		return err
	}
	defer func() { _ = in.Close() }()
	for _, path := range slices.Sorted(maps.Keys(nodes)) {
		err := checkPath(path)
		if err == nil {
			err = stageNode(in, path, nodes[path])
		}
		if err != nil {
			return fmt.Errorf("stage %s: %w", path, reason(err))
		}
	}
	return nil
}

// inMemory are the folders for short-lived files that a host may have in memory, and onDisk those that it has otherwise.
func inMemory() []string { return []string{"/run", "/dev/shm"} }
func onDisk() []string   { return []string{folder, "/tmp"} }

// stageDir is a folder of the host for short-lived files: in memory before on disk, there before missing.
func (h *Host) stageDir() string {
	for _, dir := range inMemory() {
		var st unix.Statfs_t
		if unix.Statfs(h.full(dir), &st) == nil && st.Type == unix.TMPFS_MAGIC && unix.Access(h.full(dir), unix.W_OK) == nil {
			return dir
		}
	}
	for _, dir := range onDisk() {
		if unix.Access(h.full(dir), unix.W_OK) == nil {
			return dir
		}
	}
	return folder
}

// stageIn makes an empty root. It is locked as long as it is in use, which tells it from one that a crash has left.
func (h *Host) stageIn(dir string) (string, func(), error) {
	missing, err := h.missing(dir)
	if err != nil {
		return "", nil, err
	}
	if err := os.MkdirAll(h.full(dir), 0o700); err != nil {
		return "", nil, err
	}
	removeStale(h.full(dir))
	root, err := os.MkdirTemp(h.full(dir), stagePrefix)
	var lock *os.File
	if err == nil {
		lock, err = lockFolder(root)
	}
	cleanup := func() {
		_ = os.RemoveAll(root)
		if lock != nil {
			_ = lock.Close()
		}
		for _, m := range slices.Backward(missing) {
			_ = os.Remove(h.full(m)) // it stays if somebody uses it by now
		}
	}
	if err != nil {
		cleanup()
		return "", nil, err
	}
	return root, cleanup, nil
}

// removeStale removes the copies of ours that nobody holds.
func removeStale(dir string) {
	entries, _ := os.ReadDir(dir)
	for _, e := range entries {
		full := filepath.Join(dir, e.Name())
		var st unix.Stat_t
		if !strings.HasPrefix(e.Name(), stagePrefix) || unix.Lstat(full, &st) != nil || int(st.Uid) != os.Geteuid() {
			continue
		}
		if lock, err := lockFolder(full); err == nil {
			_ = os.RemoveAll(full)
			_ = lock.Close()
		}
	}
}

func lockFolder(full string) (*os.File, error) {
	f, err := os.OpenFile(full, os.O_RDONLY|unix.O_DIRECTORY|unix.O_NOFOLLOW, 0)
	if err != nil {
		return nil, err
	}
	if err := unix.Flock(int(f.Fd()), unix.LOCK_EX|unix.LOCK_NB); err != nil {
		_ = f.Close()
		return nil, err
	}
	return f, nil
}

// stageNode writes through an os.Root, so that no link leads a write out of the copy.
func stageNode(in *os.Root, path string, n plan.Node) error {
	name := path[1:]
	if err := in.MkdirAll(filepath.Dir(name), 0o700); err != nil {
		return err
	}
	switch n.Kind {
	case plan.Regular:
		return in.WriteFile(name, n.Content, 0o600)
	case plan.Symlink:
		return in.Symlink(inside(path, n.Target), name)
	case plan.Directory:
		return in.MkdirAll(name, 0o700)
	default:
		return nil
	}
}

// inside is the target that leads from path to where the link led when the root of the copy was "/".
func inside(path, target string) string {
	if !filepath.IsAbs(target) {
		target = filepath.Join(filepath.Dir(path), target)
	}
	relative, err := filepath.Rel(filepath.Dir(path), filepath.Clean(target))
	if err != nil {
		return "." // cannot be: both are absolute
	}
	return relative
}
