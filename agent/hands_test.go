package agent

import (
	"context"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"testing"
	"time"

	"github.com/mirrorlet/mirrorlet/runtimes"
	"golang.org/x/sys/unix"
)

// What people do to our files by hand, and what comes of it: docs/flow.md tells the policy.
func TestWhatPeopleDoToOurFiles(t *testing.T) {
	remove := func(path string) func(*testing.T, *Agent) {
		return func(t *testing.T, a *Agent) { must(t, os.RemoveAll(at(a, path))) }
	}
	for name, c := range map[string]struct {
		do     func(*testing.T, *Agent)
		back   bool // our file is put back
		reason runtimes.Reason
	}{
		"edit it":                      {func(t *testing.T, a *Agent) { put(t, a, quayFile, "# mine\n") }, true, runtimes.ForeignEdit},
		"empty it":                     {func(t *testing.T, a *Agent) { put(t, a, quayFile, "") }, true, runtimes.ForeignEdit},
		"forbid others to read it":     {func(t *testing.T, a *Agent) { must(t, os.Chmod(at(a, quayFile), 0o600)) }, true, runtimes.ForeignEdit},
		"delete it":                    {remove(quayFile), true, ""},
		"delete the registry's folder": {remove("/etc/containerd/certs.d/quay.io"), true, ""},
		"delete certs.d":               {remove("/etc/containerd/certs.d"), true, ""},
		"make a link of it": {func(t *testing.T, a *Agent) {
			put(t, a, "/etc/elsewhere", "theirs")
			must(t, os.Remove(at(a, quayFile)))
			must(t, os.Symlink("../../../elsewhere", at(a, quayFile)))
		}, true, runtimes.ForeignEdit},
		"put a folder in its place": {func(t *testing.T, a *Agent) {
			must(t, os.Remove(at(a, quayFile)))
			must(t, os.Mkdir(at(a, quayFile), 0o755))
		}, false, runtimes.Unwritable},
		"put a file in the folder's place": {func(t *testing.T, a *Agent) {
			must(t, os.RemoveAll(at(a, filepath.Dir(quayFile))))
			put(t, a, filepath.Dir(quayFile), "")
		}, false, runtimes.Unwritable},
		"make a link to nowhere of the folder": {func(t *testing.T, a *Agent) {
			must(t, os.RemoveAll(at(a, filepath.Dir(quayFile))))
			must(t, os.Symlink("nowhere", at(a, filepath.Dir(quayFile))))
		}, false, runtimes.Unwritable},
		"make a link to itself of the folder": {func(t *testing.T, a *Agent) {
			must(t, os.RemoveAll(at(a, filepath.Dir(quayFile))))
			must(t, os.Symlink("quay.io", at(a, filepath.Dir(quayFile))))
		}, false, runtimes.Unwritable},
	} {
		t.Run(name, func(t *testing.T) {
			a, file := pretended(t, document(quay))
			clock(a)
			pass(t, a)
			ours := get(a, quayFile)
			c.do(t, a)
			write(t, file, document(quay+ghcr))
			r := pass(t, a)
			if (get(a, quayFile) == ours) != c.back {
				t.Errorf("it is %q", get(a, quayFile))
			}
			if c.reason != "" && !slices.Contains(reasons(r), c.reason) && (c.back || !slices.Contains(reasons(r), runtimes.Conflict)) {
				t.Errorf("problems %v", r.Problems)
			}
			if get(a, "/etc/containerd/certs.d/ghcr.io/hosts.toml") == "" {
				t.Error("the other registry is not written")
			}
			if got := get(a, "/etc/elsewhere"); got != "" && got != "theirs" {
				t.Errorf("what the link led to is %q", got)
			}
			pass(t, a)
		})
	}
}

func must(t *testing.T, err error) {
	t.Helper()
	if err != nil {
		t.Fatal(err)
	}
}

// An immutable file and a mount point cannot be replaced by a rename: the registry stays as it is, is reported and tried again, and the
// others are applied.
func TestARegistryThatCannotBeWrittenStopsNoOther(t *testing.T) {
	for name, c := range map[string]struct {
		forbid func(full string) error
		allow  func(full string) error
		say    string
	}{
		"immutable":     {func(f string) error { return immutable(f, true) }, func(f string) error { return immutable(f, false) }, "chattr -i"},
		"a mount point": {func(f string) error { return unix.Mount(f, f, "", unix.MS_BIND, "") }, func(f string) error { return unix.Unmount(f, unix.MNT_DETACH) }, "mount point"},
	} {
		t.Run(name, func(t *testing.T) {
			a, file := pretended(t, document(quay))
			now, log := clock(a)
			pass(t, a)
			before := get(a, quayFile)
			if err := c.forbid(at(a, quayFile)); err != nil {
				lacking(t, "this machine does not let a file be %s: %v", name, err)
			}
			free := func() { must(t, c.allow(at(a, quayFile))) }
			defer func() { free() }()
			write(t, file, document(strings.Replace(quay, "m.example", "m2.example", 1)+ghcr))
			for range 3 {
				r := pass(t, a)
				if get(a, quayFile) != before || !strings.Contains(problemOf(r, runtimes.Unwritable), c.say) {
					t.Errorf("it is %q, problems %v", get(a, quayFile), r.Problems)
				}
			}
			if get(a, "/etc/containerd/certs.d/ghcr.io/hosts.toml") == "" {
				t.Error("the other registry is not written")
			}
			if n := strings.Count(log.String(), "left to somebody else"); n != 1 {
				t.Errorf("it is logged %d times", n)
			}
			if _, err := a.Leave(context.Background()); err == nil || get(a, quayFile) != before {
				t.Errorf("leaving says %v, and the file is %q", err, get(a, quayFile))
			}
			free()
			free = func() {}
			*now += 10 * time.Second
			if pass(t, a); !strings.Contains(get(a, quayFile), "m2.example.com") {
				t.Error("it is not tried again")
			}
		})
	}
}

// immutable is what chattr +i does (ioctl_iflags(2)).
func immutable(full string, yes bool) error {
	f, err := os.Open(full)
	if err != nil {
		return err
	}
	defer f.Close()
	flags, err := unix.IoctlGetUint32(int(f.Fd()), unix.FS_IOC_GETFLAGS)
	if err != nil {
		return err
	}
	const flag = 0x10 // FS_IMMUTABLE_FL of linux/fs.h
	flags &^= flag
	if yes {
		flags |= flag
	}
	return unix.IoctlSetPointerInt(int(f.Fd()), unix.FS_IOC_SETFLAGS, int(flags))
}

func TestACertsDThatIsALinkIsWrittenWhereItLeads(t *testing.T) {
	a, _ := pretended(t, document(quay))
	must(t, os.MkdirAll(at(a, "/srv/certs.d"), 0o755))
	must(t, os.MkdirAll(at(a, "/etc/containerd"), 0o755))
	must(t, os.Symlink("../../srv/certs.d", at(a, "/etc/containerd/certs.d")))
	pass(t, a)
	if get(a, "/srv/certs.d/quay.io/hosts.toml") == "" {
		t.Error("it is not written where containerd reads it")
	}
	if _, err := a.Leave(context.Background()); err != nil {
		t.Fatal(err)
	}
	if entries, err := os.ReadDir(at(a, "/srv/certs.d")); err != nil || len(entries) > 0 {
		t.Errorf("%v is left, %v", entries, err)
	}
	if target, err := os.Readlink(at(a, "/etc/containerd/certs.d")); err != nil || target != "../../srv/certs.d" {
		t.Errorf("the link is %q, %v", target, err)
	}
}
