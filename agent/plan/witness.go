package plan

import (
	"errors"
	"fmt"
	"io/fs"
	"syscall"
)

// witness is a host that remembers the first error in reading it that says nothing about what stands there. Who renders may take such
// an error for an absent file, and leave out a certificate of the owner's, without which pulls fail.
type witness struct {
	fs.FS
	err error
}

// telling are the errors that do say what stands at a path, so that one can go by them: nothing, a folder, no folder, a link in a
// circle, a name that cannot be.
var telling = []error{
	fs.ErrNotExist, fs.ErrInvalid, syscall.ENOTDIR, syscall.EISDIR, syscall.EINVAL, syscall.ELOOP, syscall.ENAMETOOLONG,
}

// saw returns the error as it is.
func (w *witness) saw(name string, err error) error {
	if err == nil || w.err != nil {
		return err
	}
	for _, t := range telling {
		if errors.Is(err, t) {
			return err
		}
	}
	why, path := err, (*fs.PathError)(nil)
	if errors.As(err, &path) {
		why = path.Err
	}
	w.err = fmt.Errorf("read /%s: %w; nothing was changed", name, why)
	return err
}

// Open implements fs.FS. What is read from the file is its reader's to look after.
func (w *witness) Open(name string) (fs.File, error) {
	f, err := w.FS.Open(name)
	return f, w.saw(name, err)
}

// ReadFile implements fs.ReadFileFS.
func (w *witness) ReadFile(name string) ([]byte, error) {
	data, err := fs.ReadFile(w.FS, name)
	return data, w.saw(name, err)
}

// ReadDir implements fs.ReadDirFS.
func (w *witness) ReadDir(name string) ([]fs.DirEntry, error) {
	entries, err := fs.ReadDir(w.FS, name)
	return entries, w.saw(name, err)
}

// Stat implements fs.StatFS.
func (w *witness) Stat(name string) (fs.FileInfo, error) {
	info, err := fs.Stat(w.FS, name)
	return info, w.saw(name, err)
}
