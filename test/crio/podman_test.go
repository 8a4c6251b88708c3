package crio_test

import (
	"fmt"
	"os/exec"
	"path/filepath"
	"testing"

	"github.com/mirrorlet/mirrorlet/runtimes"
	"github.com/mirrorlet/mirrorlet/test/lab"
	"github.com/mirrorlet/mirrorlet/test/parts"
)

// podman runs Podman with the same /etc as the CRI-O of the machine, and storage of its own.
func (h *host) podman(args ...string) error {
	h.t.Helper()
	var programs []string
	for _, name := range []string{"podman", "conmon", "runc"} {
		path, err := parts.Path(name)
		lab.Need(h.t, err)
		programs = append(programs, path)
	}
	dir := filepath.Join(h.daemon.Folder, "podman")
	argv := append([]string{
		fmt.Sprintf("--mount=/proc/%d/ns/mnt", h.daemon.PID()), programs[0], "--root", dir + "/root", "--runroot", dir + "/run", "--storage-driver", "vfs",
		"--conmon", programs[1], "--runtime", programs[2], "--cgroup-manager", "cgroupfs", "--events-backend", "file", "--tmpdir", dir + "/tmp",
	}, args...)
	out, err := exec.Command("nsenter", argv...).CombinedOutput()
	if err != nil {
		return fmt.Errorf("podman: %w: %s", err, out)
	}
	return nil
}

func (h *host) podmanPull(image string) error {
	return h.podman("pull", "--quiet", "--signature-policy", filepath.Join(h.daemon.Folder, "policy.json"), image)
}

func TestPodmanReadsTheSameFiles(t *testing.T) {
	h := start(t)
	one, two := h.registry(lab.RegistryConfig{}), h.registry(lab.RegistryConfig{Plain: true})
	for _, name := range []string{"a:1", "b:1"} {
		_, err := one.Push("hub/" + name)
		must(t, err)
		_, err = two.Copy("example-project/"+name, one, "hub/"+name)
		must(t, err)
	}
	digest, err := one.Digest("hub/a:1")
	must(t, err)
	h.run(nil)
	h.place(entry(upstream+"/library", runtimes.Never, h.mirror(one, "hub"), h.mirror(two, "example-project")))
	one.Log.Clear()
	must(t, h.podmanPull(upstream+"/library/a@"+digest))
	if asked(one, "hub/a") == 0 {
		t.Error("the first mirror was not asked")
	}
	must(t, one.Stop())
	two.Log.Clear()
	must(t, h.podmanPull(upstream+"/library/b:1"))
	if asked(two, "example-project/b") == 0 {
		t.Error("the second mirror was not asked")
	}
	h.place()
	if err := h.podmanPull(upstream + "/library/b:1"); err == nil {
		t.Error("the pull succeeded after the files were taken away")
	}
}
