package faults

import (
	"errors"
	"os"
	"path/filepath"
	"strings"
	"testing"

	"golang.org/x/sys/unix"
)

// small is a host before a story, on a file system in memory of its own of 256 KB: the smallest in which the host and its state have
// room as long as nothing else is there.
func small(t *testing.T, s Story) string {
	t.Helper()
	dir := t.TempDir()
	mounted(t, dir, "size=256k")
	root := filepath.Join(dir, "host")
	if err := os.Mkdir(root, 0o755); err != nil {
		t.Fatal(err)
	}
	if err := s.Before.Write(root); err != nil {
		t.Fatal(err)
	}
	return root
}

// fill leaves so many bytes of a file system.
func fill(t *testing.T, root string, leave int64) (ballast string) {
	t.Helper()
	ballast = filepath.Join(filepath.Dir(root), "ballast")
	f, err := os.Create(ballast)
	if err != nil {
		t.Fatal(err)
	}
	defer f.Close()
	size := int64(0)
	for err == nil {
		_, err = f.Write(make([]byte, 4096))
		size += 4096
	}
	if !errors.Is(err, unix.ENOSPC) {
		t.Fatal(err)
	}
	if err := f.Truncate(size - 4096 - leave); err != nil {
		t.Fatal(err)
	}
	return ballast
}

func TestAFullDiskChangesNothingAndIsRepairedWhenThereIsRoom(t *testing.T) {
	p, stories := told(t)
	for _, s := range stories {
		for left := int64(0); left <= 128<<10; left += 4096 {
			root := small(t, s)
			ballast := fill(t, root, left)
			out, err := Run(Command{Path: string(p), Args: s.args(root), Tree: root}, func(Call) Action { return Action{} })
			if err != nil {
				t.Fatal(err)
			}
			if err := os.Remove(ballast); err != nil {
				t.Fatal(err)
			}
			after(t, p, s, root, out, unix.ENOSPC)
			if out.Exit == 0 && left > 0 {
				t.Logf("%s: %d KB are enough", s.Name, left>>10)
				break
			}
		}
	}
}

func TestADiskThatTheKernelMakesReadOnlyIsRepairedWhenItIsWritable(t *testing.T) {
	p, stories := told(t)
	scratch := ram(t)
	for _, s := range stories {
		from, err := DiskFor(s, emptyIn(t, scratch))
		if err != nil {
			t.Fatal(err)
		}
		calls := callsOf(t, p, s, scratch, false)
		for n := 1; n <= len(calls); n += 1 + len(calls)/15 {
			turnsReadOnly(t, p, s, n, from, emptyIn(t, scratch))
		}
	}
}

// turnsReadOnly plays a story on a copy of a disk that becomes read-only at call n, and judges it on the disk as it is mounted again.
func turnsReadOnly(t *testing.T, p Program, s Story, n int, from *Disk, folder string) {
	t.Helper()
	d, err := from.Copy(filepath.Join(folder, "image"), emptyIn(t, folder))
	if err == nil {
		err = d.Mount()
	}
	if err != nil {
		t.Fatal(err)
	}
	var failed error
	out, err := Run(Command{Path: string(p), Args: s.args(d.Host()), Tree: d.Host()}, func(c Call) Action {
		if c.Number == n {
			failed = d.Abort()
		}
		return Action{}
	})
	if err = errors.Join(err, failed, d.Unmount(), d.Mount()); err != nil {
		t.Fatalf("%s, read-only from call %d: %v", s.Name, n, err)
	}
	after(t, p, s, d.Host(), out, unix.EROFS)
	if err := errors.Join(d.Unmount(), os.RemoveAll(folder)); err != nil {
		t.Error(err)
	}
}

func emptyIn(t *testing.T, folder string) string {
	t.Helper()
	dir, err := os.MkdirTemp(folder, "")
	if err != nil {
		t.Fatal(err)
	}
	return dir
}

func TestAHostThatIsReadOnlyIsLeftAloneAndSaysSo(t *testing.T) {
	p, stories := told(t)
	for _, s := range stories {
		root := small(t, s)
		remount(t, root, unix.MS_RDONLY)
		out, err := Run(Command{Path: string(p), Args: s.args(root), Tree: root}, func(Call) Action { return Action{} })
		if err != nil {
			t.Fatal(err)
		}
		if out.Exit != 1 {
			t.Errorf("%s exits with %d", s.Name, out.Exit)
		}
		remount(t, root, 0)
		after(t, p, s, root, out, unix.EROFS)
	}
}

func remount(t *testing.T, root string, flags uintptr) {
	t.Helper()
	if err := unix.Mount("", filepath.Dir(root), "", unix.MS_REMOUNT|flags, "size=256k"); err != nil {
		t.Fatal(err)
	}
}

// after judges a run that met an error, now that the error is gone.
func after(t *testing.T, p Program, s Story, root string, out Outcome, fault unix.Errno) {
	t.Helper()
	now, err := ReadTree(root)
	if err != nil {
		t.Fatal(err)
	}
	wrong := s.Told(out, fault, false, now)
	spare := filepath.Join(ram(t), "spare")
	if err := os.Mkdir(spare, 0o755); err != nil {
		t.Fatal(err)
	}
	if wrong = append(wrong, p.Judge(s, root, spare)...); len(wrong) > 0 {
		t.Errorf("%s, which ended with %d and said %q:\n%s", s.Name, out.Exit, out.Stderr, strings.Join(wrong[:min(maxShown, len(wrong))], "\n"))
	}
}
