package faults

import (
	"errors"
	"os"
	"os/exec"
	"path/filepath"
	"runtime"
	"testing"

	"golang.org/x/sys/unix"

	"github.com/mirrorlet/mirrorlet/test/lab"
	"github.com/mirrorlet/mirrorlet/test/site"
)

func TestMain(m *testing.M) { lab.Main(m) }

// told returns the program, and the stories of containerd as they go when nothing fails.
func told(t *testing.T) (Program, []Story) {
	t.Helper()
	if runtime.GOARCH != "amd64" {
		lab.Need(t, errors.New("the tracer knows the registers of amd64 only"))
	}
	_, err := exec.LookPath("mkfs.ext4")
	lab.Need(t, err)
	l := lab.Start(t)
	folder := t.TempDir()
	stories, err := ContainerdStories(folder, l.CA.PEM)
	if err != nil {
		t.Fatal(err)
	}
	return tell(t, folder, ContainerdHost(l.CA.PEM), stories), stories
}

// tell builds the program and tells stories once without a fault.
func tell(t *testing.T, folder string, pristine Tree, stories []Story) Program {
	t.Helper()
	program, err := site.Build(t.TempDir())
	if err != nil {
		t.Fatal(err)
	}
	scratch := filepath.Join(folder, "host")
	if err := os.Mkdir(scratch, 0o755); err != nil {
		t.Fatal(err)
	}
	if err := Program(program).Tell(scratch, pristine, stories); err != nil {
		t.Fatal(err)
	}
	return Program(program)
}

// ram is a folder in memory.
func ram(t *testing.T) string {
	t.Helper()
	dir := t.TempDir()
	mounted(t, dir, "")
	return dir
}

// mounted is a file system in memory, until the test ends.
func mounted(t *testing.T, dir, options string) {
	t.Helper()
	if err := unix.Mount("tmpfs", dir, "tmpfs", 0, options); err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() {
		if err := unix.Unmount(dir, 0); err != nil {
			t.Error(err)
		}
	})
}

// built builds a program of this package's folder.
func built(t *testing.T, folder string) Program {
	t.Helper()
	program := filepath.Join(t.TempDir(), "program")
	cmd := exec.Command("go", "build", "-o", program, folder)
	cmd.Env = append(os.Environ(), "CGO_ENABLED=0")
	if out, err := cmd.CombinedOutput(); err != nil {
		t.Fatalf("%v: %s", err, out)
	}
	return Program(program)
}
