package host

import (
	"errors"
	"fmt"
	"io/fs"
	"os"
	"path/filepath"
	"slices"

	"golang.org/x/sys/unix"

	"github.com/mirrorlet/mirrorlet/agent/plan"
)

// settleIn makes /var/lib/mirrorlet, and the folders around it, where they are missing. They are built under another name and appear
// with a state in them that says they are ours: so not even a crash makes us forget what to remove on leaving. Two that arrive at once
// take turns, or one would sweep up what the other is building.
func (h *Host) settleIn() error {
	missing, err := h.missing(folder)
	if err != nil || len(missing) == 0 {
		return err
	}
	done, err := alone(h.full(filepath.Dir(missing[0])))
	if err != nil {
		return fmt.Errorf("make %s: %w", missing[0], err)
	}
	defer done()
	if missing, err = h.missing(folder); err != nil || len(missing) == 0 {
		return err
	}
	top := missing[0]
	h.sweep(h.full(filepath.Dir(top)))
	temp := tempName(h.full(filepath.Dir(top)))
	if err := h.build(temp, missing); err != nil {
		_ = h.removeTree(temp)
		return fmt.Errorf("make %s: %w", top, err)
	}
	err = h.disk.appear(temp, h.full(top))
	if err != nil {
		_ = h.removeTree(temp)
	}
	if err != nil && !errors.Is(err, fs.ErrExist) { // somebody else was faster, and his is as good
		return fmt.Errorf("make %s: %w", top, err)
	}
	return wrap("make "+top, h.disk.syncFolder(h.full(filepath.Dir(top))))
}

// alone waits until nobody else arrives at, or leaves, what is in a folder, and returns what ends its turn.
func alone(full string) (done func(), err error) {
	d, err := os.OpenFile(full, os.O_RDONLY|unix.O_DIRECTORY, 0)
	if err != nil {
		return nil, reason(err)
	}
	for err = unix.EINTR; err == unix.EINTR; {
		err = unix.Flock(int(d.Fd()), unix.LOCK_EX)
	}
	if err != nil {
		_ = d.Close()
		return nil, fmt.Errorf("lock %s: %w", filepath.Base(full), err)
	}
	return func() { _ = d.Close() }, nil
}

// missing are the folders that are not there, from the outermost to the given one.
func (h *Host) missing(dir string) ([]string, error) {
	var missing []string
	for ; dir != "/"; dir = filepath.Dir(dir) {
		info, err := os.Stat(h.full(dir))
		switch {
		case err == nil && !info.IsDir():
			return nil, fmt.Errorf("%s is no folder", dir)
		case err == nil:
			slices.Reverse(missing)
			return missing, nil
		case !errors.Is(err, fs.ErrNotExist):
			return nil, fmt.Errorf("look at %s: %w", dir, reason(err))
		}
		missing = append(missing, dir)
	}
	slices.Reverse(missing)
	return missing, nil
}

// build makes the missing folders with temp in place of the outermost, and the first state in the innermost. The folders of the
// system are everybody's to walk through, ours is not.
func (h *Host) build(temp string, missing []string) error {
	dirs := []string{temp}
	for _, path := range missing[1:] {
		dirs = append(dirs, filepath.Join(dirs[len(dirs)-1], filepath.Base(path)))
	}
	for i, dir := range dirs {
		node := plan.Node{Kind: plan.Directory, Mode: 0o755, UID: os.Geteuid(), GID: os.Getegid()}
		if missing[i] == folder {
			node.Mode = 0o700
		}
		if err := h.putFolder(dir, plan.Node{}, node); err != nil {
			return err
		}
	}
	content, err := encodeState(document{Made: missing})
	if err != nil {
		return err
	}
	if err := h.putFile(filepath.Join(dirs[len(dirs)-1], filepath.Base(statePath)), private(content), always); err != nil {
		return err
	}
	slices.Reverse(dirs)
	return h.syncFolders(dirs)
}
