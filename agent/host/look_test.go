package host

import (
	"fmt"
	"io/fs"
	"os"
	"testing"
	"time"

	"golang.org/x/sys/unix"
)

// later is a clock for which nothing has been changed just now.
func later() time.Time { return time.Now().Add(time.Hour) }

func TestLookSeesEveryWayInWhichALookedAtPathChanges(t *testing.T) {
	const toml = "/etc/hosts.toml"
	read := func(l *Look) { _, _ = l.ReadFile("etc/hosts.toml") }
	for _, c := range []struct {
		name    string
		look    func(l *Look)
		change  func(h *Host) error
		changed bool
	}{
		{"nothing", read, func(*Host) error { return nil }, false},
		{"a write in place", read, func(h *Host) error { return os.WriteFile(h.full(toml), []byte("y"), 0o600) }, true},
		{"a mode", read, func(h *Host) error { return os.Chmod(h.full(toml), 0o640) }, true},
		{"a new file in its place", read, func(h *Host) error { return os.Rename(h.full("/etc/other"), h.full(toml)) }, true},
		{"a file that goes", read, func(h *Host) error { return os.Remove(h.full(toml)) }, true},
		{"a restored time", read, func(h *Host) error {
			err := os.WriteFile(h.full(toml), []byte("y"), 0o600)
			_ = os.Chtimes(h.full(toml), time.Unix(1, 0), time.Unix(1, 0))
			return err
		}, true},
		{"a file that nobody looked at", read, func(h *Host) error { return os.WriteFile(h.full("/etc/other"), []byte("y"), 0o600) }, false},
		{
			"a file that was not there", func(l *Look) { _, _ = fs.Stat(l, "etc/new") },
			func(h *Host) error { return os.WriteFile(h.full("/etc/new"), nil, 0o600) }, true,
		},
		{
			"a name in a folder", func(l *Look) { _, _ = fs.ReadDir(l, "etc") },
			func(h *Host) error { return os.WriteFile(h.full("/etc/new"), nil, 0o600) }, true,
		},
		{
			"what a link leads to", func(l *Look) { _, _ = fs.ReadFile(l, "etc/link") },
			func(h *Host) error { return os.WriteFile(h.full(toml), []byte("y"), 0o600) }, true,
		},
		{
			"what a link that was only read leads to", func(l *Look) { _, _ = l.ReadLink("etc/link") },
			func(h *Host) error { return os.WriteFile(h.full(toml), []byte("y"), 0o600) }, false,
		},
		{"a link", func(l *Look) { _, _ = l.Lstat("etc/link") }, func(h *Host) error {
			_ = os.Remove(h.full("/etc/link"))
			return os.Symlink("other", h.full("/etc/link"))
		}, true},
		{"a node", func(l *Look) { _, _ = l.Node(toml) }, func(h *Host) error { return os.Remove(h.full(toml)) }, true},
	} {
		h := open(t)
		write(t, h, toml, "x", 0o600)
		write(t, h, "/etc/other", "x", 0o600)
		check(t, os.Symlink("hosts.toml", h.full("/etc/link")))
		tick(t, h)
		l := h.Look(later)
		c.look(l)
		if !l.Unchanged() {
			t.Errorf("%s: it is changed before", c.name)
		}
		check(t, c.change(h))
		if l.Unchanged() == c.changed {
			t.Errorf("%s: changed is %v", c.name, !c.changed)
		}
	}
}

// tick returns when the kernel stamps changes with another time than it has stamped /etc with, which was changed last.
func tick(t testing.TB, h *Host) {
	t.Helper()
	last := sign(h.full("/etc"), false).ctime
	for now := last; now == last; now = sign(h.full("/var/lib/tick"), false).ctime {
		write(t, h, "/var/lib/tick", "", 0o600)
	}
}

func TestLookTrustsNoFileThatWasChangedAMomentAgo(t *testing.T) {
	for after, trusted := range map[time.Duration]bool{
		-time.Hour: true, -40 * time.Millisecond: false, 0: false, 40 * time.Millisecond: false, 60 * time.Millisecond: true,
	} {
		h := open(t)
		write(t, h, "/etc/hosts", "x", 0o600)
		var st unix.Stat_t
		check(t, unix.Stat(h.full("/etc/hosts"), &st))
		stamp := time.Unix(st.Ctim.Unix())
		l := h.Look(func() time.Time { return stamp.Add(after) })
		if _, err := l.ReadFile("etc/hosts"); err != nil {
			t.Fatal(err)
		}
		if l.Unchanged() != trusted {
			t.Errorf("looked at %v after the change: trusted is %v", after, !trusted)
		}
	}
}

func TestLookIsAReadLinkFS(t *testing.T) {
	h := open(t)
	write(t, h, "/etc/hosts", "x", 0o600)
	check(t, os.Symlink("hosts", h.full("/etc/link")))
	var l fs.ReadLinkFS = h.Look(later)
	if target, err := fs.ReadLink(l, "etc/link"); err != nil || target != "hosts" {
		t.Errorf("got %q, %v", target, err)
	}
	if _, err := fs.ReadFile(l, "/etc/hosts"); err == nil {
		t.Error("a path with a slash in front is valid")
	}
}

func BenchmarkUnchangedOf300Paths(b *testing.B) {
	h := open(b)
	l := h.Look(later)
	for i := range 100 {
		path := fmt.Sprintf("/etc/containerd/certs.d/registry-%d.example.com", i)
		check(b, os.MkdirAll(h.full(path), 0o755))
		write(b, h, path+"/hosts.toml", "x", 0o600)
		for _, name := range []string{"", "/hosts.toml", "/ca.crt"} {
			_, _ = fs.Stat(l, path[1:]+name)
		}
	}
	b.ReportAllocs()
	before := cpu(b)
	for b.Loop() {
		if !l.Unchanged() {
			b.Fatal("it changed")
		}
	}
	b.ReportMetric(float64(cpu(b)-before)/float64(b.N)/300, "cpu-ns/path")
}

// cpu is the time that the process has had on a processor, which unlike the time that has passed is our own doing.
func cpu(t testing.TB) time.Duration {
	var u unix.Rusage
	check(t, unix.Getrusage(unix.RUSAGE_SELF, &u))
	return time.Duration(u.Utime.Nano() + u.Stime.Nano())
}
