package host

import (
	"context"
	"io/fs"
	"os"
	"path/filepath"
	"strings"
	"testing"

	"github.com/mirrorlet/mirrorlet/agent/plan"
)

// open returns a pretended host with an empty /etc and /var/lib, in memory where that can be: thousands of syncs wait for nothing.
func open(t testing.TB) *Host {
	t.Helper()
	dir, err := os.MkdirTemp("/dev/shm", "mirrorlet-test-")
	if err != nil {
		dir = t.TempDir()
	}
	t.Cleanup(func() { _ = os.RemoveAll(dir) })
	return openAt(t, dir)
}

func openAt(t testing.TB, root string) *Host {
	t.Helper()
	h, err := Open(root)
	check(t, err)
	check(t, os.MkdirAll(h.full("/etc"), 0o755))
	check(t, os.MkdirAll(h.full("/var/lib"), 0o755))
	return h
}

// again opens the same host as another process would find it.
func again(t testing.TB, h *Host) *Host {
	t.Helper()
	h.Unlock()
	other, err := Open(h.root)
	check(t, err)
	return other
}

func check(t testing.TB, err error) {
	t.Helper()
	if err != nil {
		t.Fatal(err)
	}
}

func write(t testing.TB, h *Host, path, content string, mode fs.FileMode) {
	t.Helper()
	check(t, os.WriteFile(h.full(path), []byte(content), 0o600))
	check(t, os.Chmod(h.full(path), mode))
}

func read(t testing.TB, h *Host, path string) string {
	t.Helper()
	b, err := os.ReadFile(h.full(path))
	check(t, err)
	return string(b)
}

func mine(n plan.Node) plan.Node {
	n.UID, n.GID = os.Geteuid(), os.Getegid()
	return n
}

func file(content string) plan.Node {
	return mine(plan.Node{Kind: plan.Regular, Mode: 0o644, Content: []byte(content)})
}

func dir() plan.Node { return mine(plan.Node{Kind: plan.Directory, Mode: 0o755}) }

func link(target string) plan.Node {
	return mine(plan.Node{Kind: plan.Symlink, Mode: 0o777, Target: target})
}

// want is one path of a wish. A list of them is in the order of writing.
type want struct {
	path string
	node plan.Node
}

// changes is the least planner that there is: what differs, in order.
func changes(t testing.TB, h *Host, wants []want) []plan.Change {
	t.Helper()
	var out []plan.Change
	for _, w := range wants {
		old, err := h.Node(w.path)
		check(t, err)
		if !old.Same(w.node) {
			out = append(out, plan.Change{Path: w.path, Old: old, New: w.node})
		}
	}
	return out
}

// leaving are the wants that put everything back, in the order that does so safely.
func leaving(t testing.TB, h *Host) []want {
	t.Helper()
	s, err := h.LoadState()
	check(t, err)
	var out []want
	for i := len(s.Records) - 1; i >= 0; i-- {
		out = append(out, want{s.Records[i].Path, s.Records[i].Before})
	}
	return out
}

func apply(t testing.TB, h *Host, wants []want) {
	t.Helper()
	check(t, h.Commit(context.Background(), changes(t, h, wants), nil, nil))
}

// leave gives everything back and forgets the host.
func leave(t testing.TB, h *Host) {
	t.Helper()
	apply(t, h, leaving(t, h))
	check(t, h.Forget())
}

// tree is every path below the root with all that is to be restored.
func tree(t testing.TB, h *Host) map[string]plan.Node {
	t.Helper()
	nodes := map[string]plan.Node{}
	check(t, filepath.WalkDir(h.root, func(full string, _ fs.DirEntry, err error) error {
		if err != nil {
			return err
		}
		path := "/" + strings.TrimPrefix(strings.TrimPrefix(full, h.root), "/")
		n, err := h.Node(path)
		nodes[path] = n
		return err
	}))
	return nodes
}

// need skips a test for want of something, but not where everything must be tested.
func need(t testing.TB, has bool, what string) {
	t.Helper()
	switch {
	case has:
	case os.Getenv("CI") == "true":
		t.Fatalf("this test needs %s", what)
	default:
		t.Skipf("this test needs %s", what)
	}
}

func root(t testing.TB) { need(t, os.Geteuid() == 0, "root") }

func TestNodeTellsWhatStandsAtAPath(t *testing.T) {
	h := open(t)
	write(t, h, "/etc/hosts", "127.0.0.1 localhost\n", 0o640)
	check(t, os.Symlink("nowhere", h.full("/etc/link")))
	for path, expected := range map[string]plan.Node{
		"/etc/hosts":       mine(plan.Node{Kind: plan.Regular, Mode: 0o640, Content: []byte("127.0.0.1 localhost\n")}),
		"/etc/link":        link("nowhere"),
		"/etc":             dir(),
		"/etc/none":        {},
		"/etc/hosts/below": {},
	} {
		got, err := h.Node(path)
		if err != nil || !got.Same(expected) || got.Mode != expected.Mode || got.UID != expected.UID || got.GID != expected.GID {
			t.Errorf("%s: got %+v, %v, want %+v", path, got, err, expected)
		}
	}
}

func TestNodeRefusesPathsThatLeadOutOfTheRoot(t *testing.T) {
	h := open(t)
	for _, path := range []string{"", "etc", "/../etc", "/etc/", "/etc//hosts", "/etc/./hosts", "/etc/\x00"} {
		if _, err := h.Node(path); err == nil {
			t.Errorf("%q is taken", path)
		}
	}
}

func TestNodeDoesNotWaitForAPipe(t *testing.T) {
	h := open(t)
	need(t, mkfifo(h.full("/etc/pipe")) == nil, "named pipes")
	n, err := h.Node("/etc/pipe")
	if err != nil || n.Kind != plan.Other {
		t.Errorf("got %+v, %v", n, err)
	}
}

func TestPausedFollowsTheOwnersFile(t *testing.T) {
	h := open(t)
	if paused, err := h.Paused(); paused || err != nil {
		t.Errorf("a host without a state: %v, %v", paused, err)
	}
	check(t, os.MkdirAll(h.full(folder), 0o755))
	write(t, h, folder+"/pause", "", 0o644)
	if paused, err := h.Paused(); !paused || err != nil {
		t.Errorf("a host with the file: %v, %v", paused, err)
	}
}

// beside opens the same host while the first one is still at work.
func beside(t testing.TB, h *Host) *Host {
	t.Helper()
	other, err := Open(h.root)
	check(t, err)
	t.Cleanup(other.Unlock)
	return other
}
