package host

import (
	"fmt"
	"os"
	"os/exec"
	"path/filepath"
	"strings"
	"testing"
	"time"
)

// fake is a process of a pretended host.
type fake struct {
	pid                    int
	exe, argv, mounts, uid string
}

// chrooted gives it a root of its own, as containers have.
func (f fake) chrooted(t *testing.T, h *Host) {
	t.Helper()
	root := h.full(fmt.Sprintf("/proc/%d/root", f.pid))
	check(t, os.Remove(root))
	check(t, os.Mkdir(root, 0o755))
}

func (f fake) put(t *testing.T, h *Host) {
	t.Helper()
	dir := h.full(fmt.Sprintf("/proc/%d", f.pid))
	check(t, os.MkdirAll(filepath.Join(dir, "ns"), 0o755))
	check(t, os.Symlink("../..", filepath.Join(dir, "root")))
	if f.exe != "" {
		check(t, os.Symlink(f.exe, filepath.Join(dir, "exe")))
	}
	check(t, os.Symlink(f.mounts, filepath.Join(dir, "ns/mnt")))
	files := map[string]string{
		"cmdline": f.argv,
		"status":  "Name:\tx\nUid:\t" + strings.Repeat(f.uid+"\t", 4) + "\n",
		"stat":    fmt.Sprintf("%d (a ) b) S 1 1 1 0 -1 0 0 0 0 0 0 0 0 0 20 0 1 0 %d 0 0", f.pid, 100*f.pid),
	}
	for name, content := range files {
		check(t, os.WriteFile(filepath.Join(dir, name), []byte(content), 0o600))
	}
}

func TestProcessesAreTheHostsOwn(t *testing.T) {
	h := open(t)
	for _, f := range []fake{
		{1, "/usr/lib/systemd/systemd", "init\x00", "mnt:[1]", "0"},
		{2, "", "", "mnt:[1]", "0"},
		{30, "/usr/bin/containerd", "/usr/bin/containerd\x00-c\x00\x00", "mnt:[1]", "0"},
		{31, "/usr/bin/containerd", "containerd\x00", "mnt:[2]", "0"},
		{32, "/home/eve/containerd", "containerd\x00--config\x00/home/eve/evil\x00", "mnt:[1]", "1000"},
		{33, "/usr/bin/containerd", "containerd\x00", "mnt:[1]", "0"},
		{9, "/usr/bin/crio (deleted)", "crio\x00", "mnt:[1]", "0"},
		{34, "/usr/bin/bash", "containerd\x00", "mnt:[1]", "0"},
	} {
		f.put(t, h)
		if f.pid == 31 || f.pid == 33 {
			f.chrooted(t, h)
		}
	}
	check(t, os.WriteFile(h.full("/proc/stat"), []byte("cpu 1 2 3\nbtime 1700000000\n"), 0o600))
	got, err := h.Processes("containerd", "crio")
	check(t, err)
	if len(got) != 2 || got[0].PID != 9 || got[0].Exe != "/usr/bin/crio" || got[1].PID != 30 {
		t.Fatalf("got %+v", got)
	}
	if want := []string{"/usr/bin/containerd", "-c", ""}; join(got[1].Argv) != join(want) {
		t.Errorf("argv is %q", got[1].Argv)
	}
	if !got[1].Started.Equal(time.Unix(1700000030, 0)) {
		t.Errorf("started at %v", got[1].Started)
	}
	if !h.Running(got[1]) {
		t.Error("it does not run")
	}
	check(t, os.RemoveAll(h.full("/proc/30")))
	if h.Running(got[1]) {
		t.Error("it runs after its end")
	}
}

func TestAServiceWithMountsOfItsOwnIsTheHosts(t *testing.T) {
	h := open(t)
	fake{1, "/sbin/init", "", "mnt:[1]", "0"}.put(t, h)
	fake{8, "/usr/bin/dockerd", "", "mnt:[2]", "0"}.put(t, h)
	if got, err := h.Processes("dockerd"); err != nil || len(got) != 1 {
		t.Errorf("got %+v, %v", got, err)
	}
}

func TestAHostWithoutProcHasNoProcesses(t *testing.T) {
	if got, err := open(t).Processes(); err != nil || len(got) != 0 {
		t.Errorf("got %+v, %v", got, err)
	}
}

func TestARealProcessIsFoundWithItsStart(t *testing.T) {
	for range 50 { // in some runs it is still within execve, where it has a binary and no arguments yet
		findSleep(t)
	}
}

func findSleep(t *testing.T) {
	t.Helper()
	h, err := Open("/")
	check(t, err)
	sleep := exec.Command("sleep", "600")
	check(t, sleep.Start())
	defer func() { _ = sleep.Wait() }()
	defer func() { _ = sleep.Process.Kill() }()
	exe, err := filepath.EvalSymlinks(sleep.Path)
	check(t, err)
	found, err := h.Processes(filepath.Base(exe))
	check(t, err)
	for _, p := range found {
		if p.PID != sleep.Process.Pid {
			continue
		}
		if p.Exe != exe || join(p.Argv) != "sleep 600" || time.Since(p.Started).Abs() > 5*time.Second || !h.Running(p) {
			t.Errorf("got %+v", p)
		}
		if !strings.Contains(p.Version, "sleep") {
			t.Errorf("the version is %q", p.Version)
		}
		return
	}
	need(t, os.Geteuid() == 0, "the user of process 1")
	t.Errorf("process %d is not among %+v", sleep.Process.Pid, found)
}

func TestInstalledProgramsSayTheirVersionOnceAndUnlessStrangersCanWriteThem(t *testing.T) {
	h := open(t)
	script := "#!/bin/sh\necho \"containerd $1 v2.4.2\"\necho second line\necho >>" + h.full("/etc/runs") + "\n"
	write(t, h, "/etc/containerd", script, 0o755)
	write(t, h, "/etc/open", script, 0o777)
	write(t, h, "/etc/data", script, 0o644)
	write(t, h, "/etc/broken", "#!/bin/sh\necho no; exit 1\n", 0o755)
	paths := []string{"/etc/containerd", "/etc/open", "/etc/data", "/etc/broken", "/etc/none"}
	h.Installed(paths...)
	got := h.Installed(paths...)
	if len(got) != 3 || got[0].PID != 0 || got[0].Version != "containerd --version v2.4.2" || got[1].Version != "" || got[2].Version != "" {
		t.Errorf("got %+v", got)
	}
	if runs := read(t, h, "/etc/runs"); runs != "\n" {
		t.Errorf("it ran %d times", len(runs))
	}
}
