package host

import (
	"crypto/rand"
	"errors"
	"fmt"
	"io/fs"
	"os"
	"path/filepath"
	"strings"

	"golang.org/x/sys/unix"

	"github.com/mirrorlet/mirrorlet/agent/plan"
)

// tempName is what a file is called until it is whole. The name ends in none of .conf, .crt, .cert, .key and .toml, which runtimes
// read by their ending (containerd 2.4.2 core/remotes/docker/config/hosts.go, containers/image 5.39 sysregistriesv2).
func tempName(dir string) string {
	return filepath.Join(dir, ".mirrorlet-"+rand.Text()+".tmp")
}

func isTemp(name string) bool {
	return strings.HasPrefix(name, ".mirrorlet-") && strings.HasSuffix(name, ".tmp") && len(name) == len(filepath.Base(tempName("")))
}

// put makes node stand at the path, in place of what is there, in one step: who looks sees the old or the new. It asks still right
// before that step. What stood there is nothing, or of the same kind, or both are files or symbolic links. The folder is not synced.
func (h *Host) put(full string, was, node plan.Node, still func() error) error {
	switch node.Kind {
	case plan.Regular:
		return h.putFile(full, node, still)
	case plan.Symlink:
		return h.putLink(full, node, still)
	case plan.Directory:
		return h.putFolder(full, was, node)
	default:
		return h.remove(full, was.Kind, still)
	}
}

func (h *Host) putFile(full string, n plan.Node, still func() error) (err error) {
	temp := tempName(filepath.Dir(full))
	f, err := h.disk.create(temp)
	if err != nil {
		return fmt.Errorf("create a file beside it: %w", reason(err))
	}
	defer func() {
		_ = f.Close()
		if err != nil {
			h.discard(temp)
		}
	}()
	if err := h.disk.write(f, n.Content); err != nil {
		return fmt.Errorf("write: %w", reason(err))
	}
	if err := h.dress(temp, n); err != nil {
		return err
	}
	if err := h.disk.sync(f); err != nil {
		return fmt.Errorf("sync: %w", reason(err))
	}
	if err := still(); err != nil {
		return err
	}
	return wrap("rename into place", h.disk.rename(temp, full))
}

func (h *Host) putLink(full string, n plan.Node, still func() error) (err error) {
	temp := tempName(filepath.Dir(full))
	if err := h.disk.symlink(n.Target, temp); err != nil {
		return fmt.Errorf("create a symbolic link beside it: %w", err)
	}
	defer func() {
		if err != nil {
			h.discard(temp)
		}
	}()
	if err := h.dress(temp, n); err != nil {
		return err
	}
	if err := still(); err != nil {
		return err
	}
	return wrap("rename into place", h.disk.rename(temp, full))
}

// putFolder makes a folder, which like a file appears only when it is dressed. One that is there stays as it is: how it is dressed
// is its owner's.
func (h *Host) putFolder(full string, was, n plan.Node) (err error) {
	if was.Kind == plan.Directory {
		return nil
	}
	temp := tempName(filepath.Dir(full))
	if err := h.disk.mkdir(temp); err != nil {
		return fmt.Errorf("make a folder beside it: %w", err)
	}
	defer func() {
		if err != nil {
			h.discard(temp)
		}
	}()
	if err := h.dress(temp, n); err != nil {
		return err
	}
	err = h.disk.appear(temp, full)
	if errors.Is(err, fs.ErrExist) {
		return ErrChanged
	}
	return wrap("rename into place", err)
}

// discard removes an unfinished file or folder. On a disk that fails, it tries again at the next commit.
func (h *Host) discard(temp string) {
	err := h.disk.unlink(temp)
	if errors.Is(err, unix.EISDIR) {
		err = h.disk.rmdir(temp)
	}
	if err != nil && !absent(err) {
		h.unfinished = append(h.unfinished, temp)
	}
}

// discardAll tries again what discard could not do.
func (h *Host) discardAll() {
	again := h.unfinished
	h.unfinished = nil
	for _, temp := range again {
		h.discard(temp)
	}
}

// dress gives owner, label and mode, in this order: chown takes setuid bits away, and nobody else may read before all is right.
func (h *Host) dress(full string, n plan.Node) error {
	var st unix.Stat_t
	if err := unix.Lstat(full, &st); err != nil {
		return err
	}
	if int(st.Uid) != n.UID || int(st.Gid) != n.GID {
		if err := h.disk.chown(full, n.UID, n.GID); err != nil {
			return fmt.Errorf("give it to user %d, group %d: %w", n.UID, n.GID, err)
		}
	}
	if n.Label != "" {
		if err := h.disk.relabel(full, n.Label); err != nil {
			return fmt.Errorf("label it %s: %w", n.Label, err)
		}
	}
	if n.Kind == plan.Symlink {
		return nil
	}
	return wrap("set its mode", h.disk.chmod(full, unixMode(n.Mode)))
}

// remove takes a path away. A folder that holds anything (it is not ours) stays.
func (h *Host) remove(full string, kind plan.Kind, still func() error) error {
	if err := still(); err != nil {
		return err
	}
	switch kind {
	case plan.Absent:
		return nil
	case plan.Directory:
		err := h.disk.rmdir(full)
		if errors.Is(err, unix.ENOTEMPTY) || errors.Is(err, unix.EEXIST) {
			return nil
		}
		return wrap("remove the folder", err)
	default:
		return wrap("remove", h.disk.unlink(full))
	}
}

// removeTree removes a folder of ours with all that is in it.
func (h *Host) removeTree(full string) error {
	entries, err := os.ReadDir(full)
	if err != nil {
		return reason(err)
	}
	for _, e := range entries {
		remove := h.disk.unlink
		if e.IsDir() {
			remove = h.removeTree
		}
		if err := remove(filepath.Join(full, e.Name())); err != nil {
			return err
		}
	}
	return h.disk.rmdir(full)
}

// sweep removes what an interrupted put, or an interrupted arrival on the host, left in a folder, as far as it can.
func (h *Host) sweep(dir string) {
	entries, err := os.ReadDir(dir)
	if err != nil {
		return
	}
	for _, e := range entries {
		switch full := filepath.Join(dir, e.Name()); {
		case !isTemp(e.Name()):
		case e.IsDir():
			_ = h.removeTree(full)
		default:
			_ = h.disk.unlink(full)
		}
	}
}

func wrap(what string, err error) error {
	if err == nil {
		return nil
	}
	return fmt.Errorf("%s: %w", what, reason(err))
}
