package crio

import (
	"errors"
	"io/fs"
	"path"
	"strings"
)

// view is what the files of a host say together.
type view struct {
	entries map[string]entry // by prefix
	broken  []*bad
}

// look reads the files in the order in which they count: a later entry takes the place of one with the same prefix, whole. ours is the
// name of the drop-in that is to be written, which tells the files before it from those after it.
func look(host fs.FS, ours string) view {
	v := lookIn(host, dropIns)
	for prefix, e := range v.entries {
		e.late = path.Dir(e.file) == dropIns && path.Base(e.file) > ours || path.Dir(e.file) == userDropIns
		v.entries[prefix] = e
	}
	return v
}

// lookIn is look for a daemon that reads the drop-ins of that folder, or only that main file. Root's own drop-ins come after those of the
// system.
func lookIn(host fs.FS, root string) view {
	v := view{entries: map[string]entry{}}
	main := beside(root)
	v.add(host, main, false)
	var folders []string
	if root != main {
		folders = append(folders, root)
	}
	if main == mainConf {
		folders = append(folders, userDropIns)
	}
	for _, f := range folders {
		for _, name := range confNames(host, f) {
			v.add(host, path.Join(f, name), true)
		}
	}
	return v
}

// beside is the main file of a folder of drop-ins: registries.conf of registries.conf.d.
func beside(root string) string { return strings.TrimSuffix(root, ".d") }

// add reads one file; of entries with one prefix in one file the first counts.
func (v *view) add(host fs.FS, file string, dropIn bool) {
	data, err := fs.ReadFile(host, file[1:])
	if errors.Is(err, fs.ErrNotExist) {
		return
	}
	if err != nil {
		v.broken = append(v.broken, &bad{file: file, what: "cannot be read: " + reason(err)})
		return
	}
	entries, wrong := readConf(file, data, dropIn)
	if wrong != nil {
		v.broken = append(v.broken, wrong)
		return
	}
	seen := map[string]bool{}
	for _, e := range entries {
		if !seen[e.Prefix] {
			v.entries[e.Prefix], seen[e.Prefix] = e, true
		}
	}
}

// confNames are the drop-ins of a folder, in order: what ends in .conf and is no folder, dot files among them. A folder that is a symbolic
// link is not looked into: dropInConfigs there walks it by filepath.WalkDir.
func confNames(host fs.FS, dir string) []string {
	if linked(host, dir) {
		return nil
	}
	var out []string
	entries, _ := fs.ReadDir(host, dir[1:])
	for _, e := range entries {
		if !e.IsDir() && strings.HasSuffix(e.Name(), ".conf") {
			out = append(out, e.Name())
		}
	}
	return out
}

// linked says that a path is a symbolic link.
func linked(host fs.FS, p string) bool {
	entries, _ := fs.ReadDir(host, path.Dir(p)[1:])
	for _, e := range entries {
		if e.Name() == path.Base(p) {
			return e.Type()&fs.ModeSymlink != 0
		}
	}
	return false
}

func reason(err error) string {
	var p *fs.PathError
	if errors.As(err, &p) {
		return p.Err.Error()
	}
	return err.Error()
}
