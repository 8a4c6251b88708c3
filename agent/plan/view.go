package plan

import (
	"bytes"
	"errors"
	"io/fs"
	"path"
	"slices"
	"strings"
	"time"
)

// Without shows a host as it would be without Mirrorlet: what the state says we wrote is shown as it was before. A folder that we
// made is there only if somebody else put something into it. So what a runtime finds there is always the owner's. A shared file is shown
// as it is: no runtime reads one.
func Without(host fs.FS, state State) fs.FS {
	v := view{host, make(map[string]Node, len(state.Records)), map[string]bool{}}
	for _, r := range state.Records {
		if r.Shared {
			continue
		}
		name := strings.TrimPrefix(r.Path, "/")
		v.before[name] = r.Before
		v.folders[name] = r.Wrote.Kind == Directory || r.Next != nil && r.Next.Kind == Directory
	}
	return v
}

type view struct {
	host    fs.FS
	before  map[string]Node
	folders map[string]bool // of those, the ones that we made
}

var errNotExist = errors.New("not there without Mirrorlet")

func gone(op, name string) error {
	return &fs.PathError{Op: op, Path: name, Err: errors.Join(errNotExist, fs.ErrNotExist)}
}

// Open serves what ReadFile and ReadDir do not: readers of this program ask through those.
func (v view) Open(name string) (fs.File, error) {
	before, ours := v.before[name]
	switch {
	case !ours:
		return v.host.Open(name)
	case before.Kind == Regular:
		return &file{bytes.NewReader(before.Content), info{name, before}}, nil
	case before.Kind == Symlink:
		return v.host.Open(linked(name, before.Target))
	case v.hidden(name):
		return nil, gone("open", name)
	default:
		return v.host.Open(name)
	}
}

func (v view) ReadFile(name string) ([]byte, error) {
	before, ours := v.before[name]
	switch {
	case !ours:
		return fs.ReadFile(v.host, name)
	case before.Kind == Regular:
		return slices.Clone(before.Content), nil
	case before.Kind == Symlink:
		return fs.ReadFile(v.host, linked(name, before.Target))
	default:
		return nil, gone("read", name)
	}
}

func (v view) Stat(name string) (fs.FileInfo, error) {
	before, ours := v.before[name]
	switch {
	case !ours:
		return fs.Stat(v.host, name)
	case before.Kind == Regular:
		return info{name, before}, nil
	case before.Kind == Symlink:
		return fs.Stat(v.host, linked(name, before.Target))
	case v.hidden(name):
		return nil, gone("stat", name)
	default:
		return fs.Stat(v.host, name)
	}
}

func (v view) ReadDir(name string) ([]fs.DirEntry, error) {
	entries, err := fs.ReadDir(v.host, name)
	if err != nil {
		return nil, err
	}
	entries = slices.DeleteFunc(entries, func(e fs.DirEntry) bool {
		child := path.Join(name, e.Name())
		before, ours := v.before[child]
		return ours && (before.Kind == Absent || before.Kind == Directory) && v.hidden(child)
	})
	if before, ours := v.before[name]; ours && before.Kind == Absent && len(entries) == 0 {
		return nil, gone("readdir", name)
	}
	return entries, nil
}

// hidden says that a path of ours was not there before: a file, or a folder in which nobody else has put anything.
func (v view) hidden(name string) bool {
	if before, ours := v.before[name]; !ours || before.Kind != Absent {
		return false
	}
	if !v.folders[name] {
		return true
	}
	entries, err := v.ReadDir(name)
	return err != nil || len(entries) == 0
}

// linked is the name that a symbolic link leads to.
func linked(name, target string) string {
	if !path.IsAbs(target) {
		target = path.Join("/", path.Dir(name), target)
	}
	return strings.TrimPrefix(path.Clean(target), "/")
}

// file is a regular file as it was before.
type file struct {
	*bytes.Reader
	info info
}

func (f *file) Stat() (fs.FileInfo, error) { return f.info, nil }
func (f *file) Close() error               { return nil }

type info struct {
	name string
	node Node
}

func (i info) Name() string       { return path.Base(i.name) }
func (i info) Size() int64        { return int64(len(i.node.Content)) }
func (i info) Mode() fs.FileMode  { return i.node.Mode }
func (i info) ModTime() time.Time { return time.Time{} }
func (i info) IsDir() bool        { return false }
func (i info) Sys() any           { return nil }
