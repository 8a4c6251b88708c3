package host

import (
	"os"
	"path/filepath"
	"testing"

	"github.com/mirrorlet/mirrorlet/agent/plan"
)

func TestStageIsACopyThatGoesWithoutATrace(t *testing.T) {
	h := open(t)
	before := tree(t, h)
	nodes := map[string]plan.Node{
		"/etc/containerd/certs.d/a/hosts.toml": file("x"),
		"/etc/link":                            link("/etc/containerd/certs.d"),
		"/etc/link/b/hosts.toml":               file("y"),
		"/etc/out":                             link("../../../../../../../../../../etc"),
		"/etc/out/mirrorlet-test":              file("z"),
		"/etc/empty":                           dir(),
		"/etc/none":                            {},
	}
	root, cleanup, err := h.Stage(nodes)
	check(t, err)
	for path, content := range map[string]string{
		"/etc/containerd/certs.d/a/hosts.toml": "x",
		"/etc/containerd/certs.d/b/hosts.toml": "y",
		"/etc/mirrorlet-test":                  "z",
	} {
		if got, err := os.ReadFile(filepath.Join(root, path)); err != nil || string(got) != content {
			t.Errorf("%s is %q, %v", path, got, err)
		}
	}
	if info, err := os.Stat(root); err != nil || info.Mode().Perm() != 0o700 {
		t.Errorf("the copy is %v, %v", info, err)
	}
	cleanup()
	same(t, h, before)
}

func TestStageRemovesWhatACrashLeftAndNotWhatIsInUse(t *testing.T) {
	h := open(t)
	check(t, os.Mkdir(h.full("/run"), 0o755))
	used, cleanup, err := h.Stage(nil)
	check(t, err)
	defer cleanup()
	left := filepath.Join(filepath.Dir(used), stagePrefix+"left")
	check(t, os.MkdirAll(filepath.Join(left, "etc"), 0o700))
	_, cleanup2, err := h.Stage(nil)
	check(t, err)
	defer cleanup2()
	if _, err := os.Stat(left); !absent(err) {
		t.Errorf("the left one: %v", err)
	}
	if _, err := os.Stat(used); err != nil {
		t.Errorf("the used one: %v", err)
	}
}
