package host

import (
	"os"
	"runtime"
	"testing"

	"golang.org/x/sys/unix"
)

// private64K returns a root on a file system of 64 KB in a mount namespace that only this test's thread is in. The thread ends with
// the test.
func private64K(t *testing.T) string {
	t.Helper()
	root(t)
	runtime.LockOSThread()
	need(t, unix.Unshare(unix.CLONE_NEWNS) == nil, "mount namespaces")
	check(t, unix.Mount("", "/", "", unix.MS_REC|unix.MS_PRIVATE, ""))
	dir, err := os.MkdirTemp("", "mirrorlet-test-")
	check(t, err)
	check(t, unix.Mount("tmpfs", dir, "tmpfs", 0, "size=64k"))
	t.Cleanup(func() {
		check(t, unix.Unmount(dir, unix.MNT_DETACH))
		check(t, os.Remove(dir))
	})
	return dir
}

func bind(from, to string) error { return unix.Mount(from, to, "", unix.MS_BIND, "") }

func remountReadOnly(dir string) error {
	return unix.Mount("", dir, "", unix.MS_REMOUNT|unix.MS_RDONLY, "size=64k")
}
