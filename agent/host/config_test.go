package host

import (
	"io/fs"
	"os"
	"path/filepath"
	"testing"
)

// nudged waits for a nudge; the test's own time-out says that there was none.
func nudged(t *testing.T, c *Config) {
	t.Helper()
	if _, open := <-c.Changed(); !open {
		t.Fatal("the watch has ended")
	}
}

// watched opens a path and closes it with the test.
func watched(t *testing.T, path string) *Config {
	t.Helper()
	c, err := OpenConfig(path)
	check(t, err)
	t.Cleanup(func() {
		check(t, c.Close())
		for range c.Changed() { // ends when the watch has
		}
	})
	return c
}

func contentOf(t *testing.T, c *Config, name string) string {
	t.Helper()
	b, err := fs.ReadFile(c.FS(), name)
	check(t, err)
	return string(b)
}

func TestEveryWayOfEditingAConfigIsNoticed(t *testing.T) {
	dir := t.TempDir()
	c := watched(t, dir)
	path := filepath.Join(dir, "a.yaml")
	for _, edit := range []struct {
		name, content string
		do            func() error
	}{
		{"a new file", "1", func() error { return os.WriteFile(path, []byte("1"), 0o600) }},
		{"a write in place", "2", func() error { return os.WriteFile(path, []byte("2"), 0o600) }},
		{"a rename", "3", func() error {
			if err := os.WriteFile(path+".swp", []byte("3"), 0o600); err != nil {
				return err
			}
			return os.Rename(path+".swp", path)
		}},
	} {
		check(t, edit.do())
		nudged(t, c)
		if got := contentOf(t, c, "a.yaml"); got != edit.content {
			t.Errorf("%s: the content is %q", edit.name, got)
		}
	}
}

// swap does what the kubelet does to a mounted ConfigMap: a new folder, and ..data to lead there
// (k8s.io/kubernetes pkg/volume/util/atomic_writer.go).
func swap(t *testing.T, dir, content string) {
	t.Helper()
	data := filepath.Join(dir, "..2026_"+content)
	check(t, os.Mkdir(data, 0o755))
	check(t, os.WriteFile(filepath.Join(data, "a.yaml"), []byte(content), 0o644))
	check(t, os.Symlink(filepath.Base(data), filepath.Join(dir, "..data_tmp")))
	check(t, os.Rename(filepath.Join(dir, "..data_tmp"), filepath.Join(dir, "..data")))
}

func TestAMountedConfigMapIsFollowedWhenItsLinkIsSwapped(t *testing.T) {
	for _, file := range []string{"", "a.yaml"} {
		dir := t.TempDir()
		swap(t, dir, "1")
		check(t, os.Symlink("..data/a.yaml", filepath.Join(dir, "a.yaml")))
		c := watched(t, filepath.Join(dir, file))
		if want := map[bool]string{true: ".", false: file}[file == ""]; c.Name() != want {
			t.Errorf("the name is %q, want %q", c.Name(), want)
		}
		if got := contentOf(t, c, "a.yaml"); got != "1" {
			t.Errorf("before: %q", got)
		}
		swap(t, dir, "2")
		nudged(t, c)
		if got := contentOf(t, c, "a.yaml"); got != "2" {
			t.Errorf("after: %q", got)
		}
	}
}

func TestManyChangesMakeFewNudges(t *testing.T) {
	dir := t.TempDir()
	c := watched(t, dir)
	path := filepath.Join(dir, "a.yaml")
	for range 100 {
		check(t, os.WriteFile(path, []byte("x"), 0o600))
	}
	check(t, os.WriteFile(path, []byte("last"), 0o600))
	nudges := 0
	for content := ""; content != "last"; content = contentOf(t, c, "a.yaml") {
		nudged(t, c)
		nudges++
	}
	if nudges > 20 {
		t.Errorf("%d nudges", nudges)
	}
}

func TestAConfigThatIsNotThereIsAnError(t *testing.T) {
	path := filepath.Join(t.TempDir(), "none")
	if _, err := OpenConfig(path); err == nil {
		t.Error("it is opened")
	}
}

func TestALinkOutOfTheConfigIsNotFollowed(t *testing.T) {
	dir := t.TempDir()
	check(t, os.Symlink("/etc/hostname", filepath.Join(dir, "a.yaml")))
	c := watched(t, dir)
	if content, err := fs.ReadFile(c.FS(), "a.yaml"); err == nil {
		t.Errorf("it leads to %q", content)
	}
}
