package host

import (
	"os"

	"golang.org/x/sys/unix"
)

// disk is every system call that changes the host, one method each, so that a test can embed the real thing and let one of them fail.
type disk interface {
	create(full string) (*os.File, error) // a new file, mode 0600, open for writing
	write(f *os.File, content []byte) error
	sync(f *os.File) error
	chmod(full string, mode uint32) error
	chown(full string, uid, gid int) error
	relabel(full, label string) error
	symlink(target, full string) error
	mkdir(full string) error // mode 0700
	rename(from, to string) error
	appear(from, to string) error // a rename of a folder that replaces nothing
	unlink(full string) error
	rmdir(full string) error
	syncFolder(full string) error // makes the names in it last; a folder that is gone needs none
}

// kernel is the real disk. No method follows a symbolic link in the last component, but for chmod, which is called on what we have
// just made under a name that nobody could guess.
type kernel struct{}

func (kernel) create(full string) (*os.File, error) {
	return os.OpenFile(full, os.O_WRONLY|os.O_CREATE|os.O_EXCL|unix.O_NOFOLLOW|unix.O_CLOEXEC, 0o600)
}

func (kernel) write(f *os.File, content []byte) error {
	_, err := f.Write(content)
	return err
}

func (kernel) sync(f *os.File) error                 { return f.Sync() }
func (kernel) chmod(full string, mode uint32) error  { return unix.Chmod(full, mode) }
func (kernel) chown(full string, uid, gid int) error { return unix.Lchown(full, uid, gid) }
func (kernel) symlink(target, full string) error     { return unix.Symlink(target, full) }
func (kernel) mkdir(full string) error               { return unix.Mkdir(full, 0o700) }
func (kernel) rename(from, to string) error          { return unix.Rename(from, to) }
func (kernel) unlink(full string) error              { return unix.Unlink(full) }
func (kernel) rmdir(full string) error               { return unix.Rmdir(full) }

func (kernel) appear(from, to string) error {
	err := unix.Renameat2(unix.AT_FDCWD, from, unix.AT_FDCWD, to, unix.RENAME_NOREPLACE)
	if err == unix.EINVAL || err == unix.ENOSYS { // a file system that cannot say so replaces an empty folder at most
		return unix.Rename(from, to)
	}
	return err
}

func (kernel) relabel(full, label string) error {
	return unix.Lsetxattr(full, selinux, append([]byte(label), 0), 0)
}

func (kernel) syncFolder(full string) error {
	d, err := os.OpenFile(full, os.O_RDONLY|unix.O_DIRECTORY, 0)
	if absent(err) {
		return nil
	}
	if err != nil {
		return err
	}
	defer func() { _ = d.Close() }()
	return d.Sync()
}
