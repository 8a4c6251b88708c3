package plan

import (
	"errors"
	"io/fs"
	"strings"
	"syscall"
	"testing"
	"testing/fstest"

	"github.com/mirrorlet/mirrorlet/runtimes"
)

// torn is a host of which one folder cannot be listed.
type torn struct {
	fs.FS
	folder string
	err    error
}

func (t torn) ReadDir(name string) ([]fs.DirEntry, error) {
	if name == t.folder {
		return nil, &fs.PathError{Op: "readdir", Path: name, Err: t.err}
	}
	return fs.ReadDir(t.FS, name)
}

// careless renders nothing when it cannot list a folder.
type careless struct{ runtimes.Runtime }

func (careless) Render(_ runtimes.Facts, host fs.FS, _ runtimes.Intent) ([]runtimes.File, []runtimes.Problem) {
	_, _ = fs.ReadDir(host, "etc/certs.d")
	return nil, nil
}

func TestAFolderThatCannotBeReadIsNotTakenForAnEmptyOne(t *testing.T) {
	for name, c := range map[string]struct {
		err   error
		fails bool
	}{
		"a disk that is broken":       {syscall.EIO, true},
		"no right to look":            {syscall.EACCES, true},
		"no file descriptor left":     {syscall.EMFILE, true},
		"a folder that is not there":  {syscall.ENOENT, false},
		"a file in place of a folder": {syscall.ENOTDIR, false},
		"links that lead around":      {syscall.ELOOP, false},
	} {
		t.Run(name, func(t *testing.T) {
			host := torn{fstest.MapFS{}, "etc/certs.d", c.err}
			_, err := Build(Input{Found: []Found{{Runtime: careless{}}}, Host: host})
			if (err != nil) != c.fails {
				t.Fatalf("it says %v", err)
			}
			if c.fails && (!errors.Is(err, c.err) || !strings.Contains(err.Error(), "/etc/certs.d")) {
				t.Errorf("it does not say what and where: %v", err)
			}
		})
	}
}
