package config

import (
	"errors"
	"io"
	"io/fs"
	"path"
	"strings"
)

// Read reads a file, or the *.yaml, *.yml and *.json files of a folder ("." is one) in the order of their names. Hidden files and
// folders in the folder are skipped; symbolic links are followed, as a mounted ConfigMap needs it. A folder without documents is the
// empty set; one that is not there, or cannot be read, is an error. The errors are all there are, in the order of files and lines.
func Read(fsys fs.FS, name string) (Documents, []Error) {
	var d Documents
	info, err := fs.Stat(fsys, name)
	switch {
	case err != nil:
		d.unreadable(name, err)
	case info.IsDir():
		d.readFolder(fsys, name)
	default:
		d.readFile(fsys, name, name)
	}
	d.sort()
	return d, d.errs
}

// Parse reads the documents of one file, whose name is used in messages only.
func Parse(file string, data []byte) (Documents, []Error) {
	var d Documents
	d.parse(file, data)
	d.sort()
	return d, d.errs
}

func (d *Documents) readFolder(fsys fs.FS, name string) {
	folder := snapshot(fsys, name)
	entries, err := fs.ReadDir(fsys, folder)
	if err != nil {
		d.unreadable(name, err)
		return
	}
	files := 0
	for _, entry := range entries {
		if !wanted(entry.Name()) {
			continue
		}
		if files++; files > maxFiles {
			d.refuse(Error{File: name, Message: "the folder holds more files than are read", Remedy: "put several documents into one file"})
			return
		}
		d.readFile(fsys, path.Join(folder, entry.Name()), path.Join(name, entry.Name()))
	}
}

// snapshot returns the folder to read instead of name. A mounted ConfigMap is a folder of links through ..data, which itself is
// swapped at each change: reading behind it gives the files of one moment, not some of before and some of after
// (pkg/volume/util/atomic_writer.go of Kubernetes).
func snapshot(fsys fs.FS, name string) string {
	target, err := fs.ReadLink(fsys, path.Join(name, "..data"))
	if err != nil || path.IsAbs(target) || strings.Contains(target, "/") {
		return name
	}
	return path.Join(name, target)
}

func wanted(name string) bool {
	switch path.Ext(name) {
	case ".yaml", ".yml", ".json":
		return !strings.HasPrefix(name, ".")
	}
	return false
}

// readFile reads the file at name; shown is its name for people. A folder is passed over.
func (d *Documents) readFile(fsys fs.FS, name, shown string) {
	info, err := fs.Stat(fsys, name)
	if err == nil && info.IsDir() {
		return
	}
	if err == nil && !info.Mode().IsRegular() {
		err = errors.New("it is not a regular file") // opening a pipe would wait for ever
	}
	var data []byte
	if err == nil {
		data, err = readAtMost(fsys, name, maxFile+1)
	}
	if err != nil {
		d.unreadable(shown, err)
		return
	}
	d.parse(shown, data)
}

func readAtMost(fsys fs.FS, name string, most int64) ([]byte, error) {
	f, err := fsys.Open(name)
	if err != nil {
		return nil, err
	}
	defer f.Close() // nothing was written
	return io.ReadAll(io.LimitReader(f, most))
}

// unreadable reports what could not be read. It refuses everything: not being able to read is not being told that nothing is there.
func (d *Documents) unreadable(name string, err error) {
	var pathError *fs.PathError
	if errors.As(err, &pathError) {
		err = pathError.Err // the path in it is not always the one that people know
	}
	remedy := "make it readable; until then nothing is changed"
	if errors.Is(err, fs.ErrNotExist) {
		remedy = "make it, an empty folder is fine; until then nothing is changed"
	}
	d.refuse(Error{File: name, Message: "cannot read: " + err.Error(), Remedy: remedy})
}

func (d *Documents) refuse(e Error) { d.errs = append(d.errs, e) }
