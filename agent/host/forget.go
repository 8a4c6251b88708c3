package host

import (
	"context"
	"fmt"
	"io/fs"
	"os"
	"path/filepath"
	"slices"
)

// Forget removes the state, the originals and the lock, and the folders around them that were not there before us and are empty. It
// is for after the last path was given back, and refuses before. When it returns nil, a power cut takes nothing of it back.
func (h *Host) Forget() error {
	if _, err := os.Lstat(h.full(folder)); absent(err) {
		return nil
	}
	if err := h.Lock(context.Background(), true); err != nil {
		return err
	}
	defer h.Unlock()
	d, err := h.settled()
	if err != nil {
		return err
	}
	if len(d.Records) > 0 {
		return fmt.Errorf("forget the host: %d paths are not given back yet, such as %s", len(d.Records), d.Records[0].Path)
	}
	if err := h.forget(d.Made); err != nil {
		return fmt.Errorf("forget the host: %w", err)
	}
	return nil
}

// forget removes what we made. Folders go in one step, with the state that says they are ours, under a name at which they are swept
// up should we be stopped before they are gone. Around anything that is not ours they stay, and then the state goes last: until then
// it can be done again.
func (h *Host) forget(made []string) error {
	top, err := h.onlyOurs(made)
	if err != nil {
		return err
	}
	if top == "" {
		return h.forgetFiles()
	}
	around := filepath.Dir(top)
	done, err := alone(h.full(around))
	if err != nil {
		return fmt.Errorf("remove %s: %w", top, err)
	}
	defer done()
	temp := tempName(h.full(around))
	if err := h.disk.rename(h.full(top), temp); err != nil {
		return fmt.Errorf("remove %s: %w", top, reason(err))
	}
	if err := h.removeTree(temp); err != nil {
		return fmt.Errorf("remove %s: %w", top, reason(err))
	}
	return wrap("sync "+around, h.disk.syncFolder(h.full(around)))
}

// onlyOurs is the outermost of the folders that we made in which nothing is but what we made; none if there is no such folder.
func (h *Host) onlyOurs(made []string) (top string, err error) {
	ours := []string{filepath.Base(lockPath), filepath.Base(statePath), filepath.Base(originalsDir)}
	for _, dir := range slices.Backward(made) {
		entries, err := os.ReadDir(h.full(dir))
		if err != nil {
			return "", fmt.Errorf("look into %s: %w", dir, reason(err))
		}
		if slices.ContainsFunc(entries, func(e fs.DirEntry) bool { return !slices.Contains(ours, e.Name()) }) {
			break
		}
		top, ours = dir, []string{filepath.Base(dir)}
	}
	return top, nil
}

// forgetFiles leaves the folder. Without a state the originals stay: then they are the only trace of what was there.
func (h *Host) forgetFiles() error {
	if _, err := os.Lstat(h.full(statePath)); err == nil {
		if err := h.removeTree(h.full(originalsDir)); err != nil && !absent(err) {
			return fmt.Errorf("remove %s: %w", originalsDir, reason(err))
		}
	}
	for _, p := range []string{lockPath, statePath} {
		if err := h.disk.unlink(h.full(p)); err != nil && !absent(err) {
			return fmt.Errorf("remove %s: %w", p, err)
		}
	}
	return wrap("sync "+folder, h.disk.syncFolder(h.full(folder)))
}
