package faults

import (
	"fmt"
	"io/fs"
	"maps"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"syscall"
)

// Node is what stands at a path: all that its owner could miss. The zero Node is nothing.
type Node struct {
	Mode     fs.FileMode
	UID, GID int
	Content  string // of a file; of a symbolic link, where it leads
}

func (n Node) String() string {
	if n == (Node{}) {
		return "nothing"
	}
	return fmt.Sprintf("%v %d:%d %q", n.Mode, n.UID, n.GID, n.Content)
}

// Tree is everything below a folder, by path as from that folder: "/etc/hosts".
type Tree map[string]Node

// ReadTree reads everything below a folder. The folder itself does not count.
func ReadTree(root string) (Tree, error) {
	t := Tree{}
	err := filepath.WalkDir(root, func(full string, _ fs.DirEntry, err error) error {
		if err != nil || full == root {
			return err
		}
		n, err := readNode(full)
		t[strings.TrimPrefix(full, root)] = n
		return err
	})
	return t, err
}

func readNode(full string) (Node, error) {
	info, err := os.Lstat(full)
	if err != nil {
		return Node{}, err
	}
	st := info.Sys().(*syscall.Stat_t)
	n := Node{Mode: info.Mode(), UID: int(st.Uid), GID: int(st.Gid)}
	switch {
	case n.Mode.IsRegular():
		content, err := os.ReadFile(full)
		n.Content = string(content)
		return n, err
	case n.Mode&fs.ModeSymlink != 0:
		n.Content, err = os.Readlink(full)
	}
	return n, err
}

// Write makes the tree in an empty folder.
func (t Tree) Write(root string) error {
	for _, path := range slices.Sorted(maps.Keys(t)) {
		if err := t[path].write(root + path); err != nil {
			return err
		}
	}
	return nil
}

func (n Node) write(full string) (err error) {
	switch {
	case n.Mode.IsDir():
		err = os.Mkdir(full, 0o700)
	case n.Mode.IsRegular():
		err = os.WriteFile(full, []byte(n.Content), 0o600)
	case n.Mode&fs.ModeSymlink != 0:
		err = os.Symlink(n.Content, full)
	default:
		err = fmt.Errorf("%s: a tree holds no %v", full, n.Mode)
	}
	if err == nil {
		err = os.Lchown(full, n.UID, n.GID)
	}
	if err == nil && n.Mode&fs.ModeSymlink == 0 {
		err = os.Chmod(full, n.Mode)
	}
	return err
}

// Only returns the part of the tree that a function chooses.
func (t Tree) Only(choose func(path string) bool) Tree {
	out := Tree{}
	for path, n := range t {
		if choose(path) {
			out[path] = n
		}
	}
	return out
}

// Differences says where two trees differ, sorted by path.
func Differences(got, want Tree) []string {
	var out []string
	for _, path := range paths(got, want) {
		if got[path] != want[path] {
			out = append(out, fmt.Sprintf("%s: %v, want %v", path, got[path], want[path]))
		}
	}
	return out
}

// paths are those of any of the trees, sorted.
func paths(trees ...Tree) []string {
	all := map[string]bool{}
	for _, t := range trees {
		for path := range t {
			all[path] = true
		}
	}
	return slices.Sorted(maps.Keys(all))
}
