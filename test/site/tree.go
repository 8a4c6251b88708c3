package site

import (
	"errors"
	"fmt"
	"io/fs"
	"os"
	"path/filepath"
	"strings"
	"syscall"
)

// Tree is all that the program may touch on the node, as text: names, kinds, modes, owners, links and bytes of /etc and /var/lib, but
// for containerd's own data.
func (s *Site) Tree() (string, error) { return tree(s.Node.Root, "/etc", "/var/lib") }

// tree describes what is below folders of a machine whose root is a folder here. One that is not there has nothing.
func tree(root string, tops ...string) (string, error) {
	var b strings.Builder
	for _, top := range tops {
		err := filepath.WalkDir(filepath.Join(root, top), func(p string, e fs.DirEntry, err error) error {
			name := strings.TrimPrefix(p, root)
			if name == top && errors.Is(err, fs.ErrNotExist) {
				return nil
			}
			if err != nil {
				return err
			}
			if name == "/var/lib/containerd" {
				return fs.SkipDir
			}
			return describe(&b, p, name, e)
		})
		if err != nil {
			return "", err
		}
	}
	return b.String(), nil
}

func describe(b *strings.Builder, p, name string, e fs.DirEntry) error {
	info, err := e.Info()
	if err != nil {
		return err
	}
	st, ok := info.Sys().(*syscall.Stat_t)
	if !ok {
		return fmt.Errorf("%s: no owner is told", p)
	}
	fmt.Fprintf(b, "%s %v %d:%d", name, info.Mode(), st.Uid, st.Gid)
	switch {
	case info.Mode().IsRegular():
		data, err := os.ReadFile(p)
		fmt.Fprintf(b, " %q\n", data)
		return err
	case info.Mode()&fs.ModeSymlink != 0:
		target, err := os.Readlink(p)
		fmt.Fprintf(b, " -> %s\n", target)
		return err
	default:
		b.WriteByte('\n')
		return nil
	}
}
