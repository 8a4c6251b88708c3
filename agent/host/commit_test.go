package host

import (
	"context"
	"errors"
	"os"
	"path/filepath"
	"reflect"
	"strings"
	"testing"

	"golang.org/x/sys/unix"

	"github.com/mirrorlet/mirrorlet/agent/plan"
)

func join(s []string) string { return strings.Join(s, " ") }

func mkfifo(full string) error { return unix.Mkfifo(full, 0o600) }

// owned is a host whose owner has files of every kind where ours will be.
func owned(t testing.TB) *Host {
	h := open(t)
	write(t, h, "/etc/hosts", "127.0.0.1 localhost", 0o640)
	write(t, h, "/etc/empty", "", 0o604)
	check(t, os.Symlink("../elsewhere", h.full("/etc/link")))
	check(t, os.Chmod(h.full("/etc"), 0o751))
	return h
}

func wants() []want {
	return []want{
		{"/etc/containerd", dir()},
		{"/etc/containerd/certs.d", dir()},
		{"/etc/containerd/certs.d/ca.crt", file("a certificate")},
		{"/etc/containerd/certs.d/hosts.toml", file("ca = \"ca.crt\"")},
		{"/etc/hosts", file("127.0.0.1 localhost\n10.0.0.1 mirror\n")},
		{"/etc/link", file("no link any more")},
		{"/etc/empty", link("hosts")},
	}
}

// second is an edit of the first wish: one file differs, and one registry goes.
func second() []want {
	return []want{
		{"/etc/hosts", file("10.0.0.2 mirror\n")},
		{"/etc/containerd/certs.d/hosts.toml", plan.Node{}},
		{"/etc/containerd/certs.d/ca.crt", plan.Node{}},
		{"/etc/containerd/certs.d", plan.Node{}},
	}
}

func holds(t testing.TB, h *Host, wants []want) {
	t.Helper()
	for _, w := range wants {
		n, err := h.Node(w.path)
		check(t, err)
		if !n.Same(w.node) || n.UID != w.node.UID || n.GID != w.node.GID || n.Kind == plan.Directory && n.Mode != w.node.Mode {
			t.Errorf("%s is %+v, want %+v", w.path, n, w.node)
		}
	}
}

func same(t testing.TB, h *Host, before map[string]plan.Node) {
	t.Helper()
	after := tree(t, h)
	for path := range after {
		if !reflect.DeepEqual(before[path], after[path]) {
			t.Errorf("%s is %+v, and was %+v", path, after[path], before[path])
		}
	}
	for path := range before {
		if _, there := after[path]; !there {
			t.Errorf("%s is gone", path)
		}
	}
}

func TestWhatIsCommittedIsThereAndLeavingRestoresEveryByte(t *testing.T) {
	h := owned(t)
	before := tree(t, h)
	apply(t, h, wants())
	holds(t, h, wants())
	apply(t, h, second())
	holds(t, h, second())
	leave(t, again(t, h))
	same(t, h, before)
}

func TestOwnersAndLabelsAreRestored(t *testing.T) {
	root(t)
	h := owned(t)
	check(t, os.Chown(h.full("/etc/hosts"), 12, 34))
	check(t, os.Chmod(h.full("/etc/hosts"), 0o4755|os.ModeSetuid))
	check(t, os.Lchown(h.full("/etc/link"), 56, 78))
	label := append([]byte("system_u:object_r:net_conf_t:s0"), 0)
	need(t, unix.Lsetxattr(h.full("/etc/hosts"), selinux, label, 0) == nil, "a file system with security labels")
	before := tree(t, h)
	apply(t, h, wants())
	if n, err := h.Node("/etc/hosts"); err != nil || n.Label != "system_u:object_r:net_conf_t:s0" {
		t.Errorf("the label of a replaced file is %q, %v", n.Label, err)
	}
	leave(t, h)
	same(t, h, before)
}

func TestAFileThatIsNotAsPlannedStopsTheCommit(t *testing.T) {
	h := owned(t)
	todo := changes(t, h, wants())
	write(t, h, "/etc/hosts", "somebody else's", 0o640)
	before := tree(t, h)
	err := h.Commit(context.Background(), todo, nil, nil)
	if !errors.Is(err, ErrChanged) || !strings.Contains(err.Error(), "/etc/hosts") {
		t.Errorf("got %v", err)
	}
	delete(before, "/var/lib")
	for path, n := range before {
		if got, err := h.Node(path); err != nil || !got.Same(n) {
			t.Errorf("%s is %+v, %v", path, got, err)
		}
	}
}

// meddler is somebody who writes to a file while ours is being synced.
type meddler struct {
	disk
	meddle func()
}

func (m *meddler) sync(f *os.File) error {
	if filepath.Base(filepath.Dir(f.Name())) == "etc" {
		m.meddle()
	}
	return m.disk.sync(f)
}

func TestBytesWrittenWhileACommitIsUnderWayAreNotOverwritten(t *testing.T) {
	h := owned(t)
	h.disk = &meddler{h.disk, func() { write(t, h, "/etc/hosts", "a moment ago", 0o640) }}
	err := h.Commit(context.Background(), changes(t, h, wants()), nil, nil)
	if !errors.Is(err, ErrChanged) {
		t.Errorf("got %v", err)
	}
	if got := read(t, h, "/etc/hosts"); got != "a moment ago" {
		t.Errorf("/etc/hosts is %q", got)
	}
	if n, err := h.Node("/etc/containerd"); err != nil || n.Kind != plan.Absent {
		t.Errorf("/etc/containerd is %+v, %v", n, err)
	}
}

func TestAFolderThatOthersUseStays(t *testing.T) {
	h := owned(t)
	apply(t, h, wants())
	write(t, h, "/etc/containerd/theirs", "x", 0o600)
	leave(t, h)
	if got := read(t, h, "/etc/containerd/theirs"); got != "x" {
		t.Errorf("their file is %q", got)
	}
	if _, err := os.Stat(h.full(folder)); !absent(err) {
		t.Errorf("our folder is still there: %v", err)
	}
}

func TestTheOriginalIsTakenOnceAndForGood(t *testing.T) {
	h := owned(t)
	for _, content := range []string{"1", "2", "3"} {
		apply(t, h, []want{{"/etc/hosts", file(content)}})
	}
	write(t, h, "/etc/hosts", "foreign", 0o600)
	apply(t, h, []want{{"/etc/hosts", file("4")}})
	s, err := h.LoadState()
	check(t, err)
	r, _ := s.Record("/etc/hosts")
	if string(r.Before.Content) != "127.0.0.1 localhost" || r.Before.Mode != 0o640 || r.Wrote != file("4").Sum() {
		t.Errorf("the record is %+v", r)
	}
}

func TestPlansThatNobodyMayMakeAreRefused(t *testing.T) {
	for name, w := range map[string][]want{
		"a file that becomes a folder":       {{"/etc/hosts", dir()}},
		"a folder that becomes a file":       {{"/etc", file("x")}},
		"a pipe that becomes a file":         {{"/etc/pipe", file("x")}},
		"an owner's file that is taken away": {{"/etc/hosts", plan.Node{}}},
		"a path twice":                       {{"/etc/a", file("1")}, {"/etc/a", file("2")}},
	} {
		h := owned(t)
		check(t, mkfifo(h.full("/etc/pipe")))
		before, err := h.Node("/etc/hosts")
		check(t, err)
		if err := h.Commit(context.Background(), changes(t, h, w), nil, nil); err == nil {
			t.Errorf("%s is done", name)
		}
		if after, err := h.Node("/etc/hosts"); err != nil || !after.Same(before) {
			t.Errorf("%s: /etc/hosts is %+v, %v", name, after, err)
		}
	}
}

func TestACommitWithoutNewsWritesNothing(t *testing.T) {
	h := owned(t)
	refs := map[string][]byte{"secret/a": []byte("s3cr3t")}
	pending := []plan.PendingAction{{Runtime: "crio", Action: 1, Moment: plan.Moment{Since: 7}}}
	check(t, h.Commit(context.Background(), nil, refs, pending))
	before := sign(h.full(statePath), false)
	check(t, h.Commit(context.Background(), nil, refs, pending))
	if sign(h.full(statePath), false) != before {
		t.Error("the state was written again")
	}
	s, err := again(t, h).LoadState()
	if err != nil || string(s.References["secret/a"]) != "s3cr3t" || len(s.Pending) != 1 || s.Pending[0] != pending[0] {
		t.Errorf("got %+v, %v", s, err)
	}
}

func TestAContextThatHasEndedChangesNothing(t *testing.T) {
	h := owned(t)
	ctx, cancel := context.WithCancel(context.Background())
	cancel()
	if err := h.Commit(ctx, changes(t, h, wants()), nil, nil); !errors.Is(err, context.Canceled) {
		t.Errorf("got %v", err)
	}
	if _, err := os.Lstat(h.full("/etc/containerd")); !absent(err) {
		t.Errorf("there is a folder: %v", err)
	}
}
