package host

import (
	"context"
	"errors"
	"fmt"
	"os"
	"reflect"
	"strings"
	"syscall"
	"testing"

	"github.com/mirrorlet/mirrorlet/agent/plan"
)

func TestAHostWithoutAStateHasTheZeroState(t *testing.T) {
	h := open(t)
	before := tree(t, h)
	s, err := h.LoadState()
	if err != nil || s.Records != nil || s.References != nil || s.Pending != nil {
		t.Errorf("got %+v, %v", s, err)
	}
	same(t, h, before)
}

func TestAStateThatCannotBeReadIsNeverTakenForEmpty(t *testing.T) {
	for name, c := range map[string]struct{ content, message string }{
		"empty":              {"", "damaged"},
		"cut off":            {`{"version":1,"records":[{"path":"/etc/ho`, "damaged"},
		"of a newer version": {`{"version":3,"new":true}`, "version 3"},
		"without a version":  {`{}`, "version 0"},
		"unknown key":        {`{"version":1,"recordz":[]}`, "damaged"},
		"path out of root":   {`{"version":1,"records":[{"path":"/../etc/shadow"}]}`, "damaged"},
	} {
		h := open(t)
		check(t, os.Mkdir(h.full(folder), 0o700))
		write(t, h, statePath, c.content, 0o600)
		_, err := h.LoadState()
		if err == nil || !strings.Contains(err.Error(), c.message) || !strings.Contains(err.Error(), statePath) {
			t.Errorf("%s: LoadState says %v", name, err)
		}
		if err := h.Commit(context.Background(), changes(t, h, wants()[:1]), nil, nil); err == nil {
			t.Errorf("%s: a commit goes through", name)
		}
		if got := read(t, h, statePath); got != c.content {
			t.Errorf("%s: the state was overwritten with %q", name, got)
		}
		if err := h.Forget(); err == nil {
			t.Errorf("%s: it can be forgotten", name)
		}
	}
}

func TestAMissingOrChangedOriginalIsAnError(t *testing.T) {
	h := owned(t)
	n, err := h.Node("/etc/hosts")
	check(t, err)
	apply(t, h, wants())
	path := originalPath(n.Sum().Digest)
	write(t, h, path, "tampered", 0o600)
	if _, err := h.LoadState(); err == nil || !strings.Contains(err.Error(), "/etc/hosts") {
		t.Errorf("changed: %v", err)
	}
	check(t, os.Remove(h.full(path)))
	if _, err := h.LoadState(); err == nil || !strings.Contains(err.Error(), path) {
		t.Errorf("missing: %v", err)
	}
}

func TestTheStateIsForUsAlone(t *testing.T) {
	h := owned(t)
	apply(t, h, wants())
	for path, n := range tree(t, h) {
		if strings.HasPrefix(path, folder) && n.Mode.Perm()&0o077 != 0 {
			t.Errorf("%s has mode %v", path, n.Mode)
		}
	}
}

func TestOriginalsThatNobodyNeedsAreRemoved(t *testing.T) {
	h := owned(t)
	apply(t, h, wants())
	apply(t, h, leaving(t, h))
	for path := range tree(t, h) {
		if strings.HasPrefix(path, originalsDir) {
			t.Errorf("%s is left", path)
		}
	}
}

func TestNoSecretIsInAnError(t *testing.T) {
	const canary = "c4n4ry-c4n4ry"
	for n := range 60 {
		h := owned(t)
		write(t, h, "/etc/hosts", canary, 0o600)
		todo := changes(t, h, []want{{"/etc/hosts", file(canary + "2")}})
		h.disk = &mortal{disk: h.disk, left: n}
		err := h.Commit(context.Background(), todo, map[string][]byte{"secret": []byte(canary)}, nil)
		if err != nil && strings.Contains(err.Error(), canary) {
			t.Errorf("operation %d: %v", n, err)
		}
	}
}

func TestPendingActionsOfACommitThatFailedAreNotKept(t *testing.T) {
	h := owned(t)
	old := []plan.PendingAction{{Runtime: "crio", Action: 1, Moment: plan.Moment{Since: 7}}}
	check(t, h.Commit(context.Background(), nil, nil, old))
	h.disk = &meddler{h.disk, func() { write(t, h, "/etc/hosts", "a moment ago", 0o640) }}
	todo := changes(t, h, []want{{"/etc/hosts", file("x")}})
	if err := h.Commit(context.Background(), todo, nil, append(old, plan.PendingAction{Runtime: "containerd"})); err == nil {
		t.Error("the commit goes through")
	}
	s, err := again(t, h).LoadState()
	if err != nil || len(s.Pending) != 1 || len(s.Records) != 0 {
		t.Errorf("got %+v, %v", s, err)
	}
}

func TestForgetLeavesWhatIsTheOwners(t *testing.T) {
	h := owned(t)
	check(t, os.Mkdir(h.full(folder), 0o755))
	write(t, h, folder+"/pause", "", 0o644)
	before := tree(t, h)
	apply(t, h, wants())
	if err := h.Forget(); err == nil || !strings.Contains(err.Error(), "given back") {
		t.Errorf("a host that still has our files is forgotten: %v", err)
	}
	leave(t, h)
	same(t, h, before)
}

func TestForgetRemovesEveryFolderThatWeMade(t *testing.T) {
	h := owned(t)
	check(t, os.RemoveAll(h.full("/var")))
	before := tree(t, h)
	apply(t, h, wants())
	if info, err := os.Stat(h.full("/var/lib")); err != nil || info.Mode().Perm() != 0o755 {
		t.Errorf("/var/lib is %v, %v", info, err)
	}
	leave(t, h)
	same(t, h, before)
	check(t, h.Forget())
	same(t, h, before)
}

func TestAFullDiskChangesNothing(t *testing.T) {
	h := openAt(t, private64K(t))
	write(t, h, "/etc/hosts", "127.0.0.1 localhost", 0o640)
	apply(t, h, []want{{"/etc/mine", file("1")}})
	before, state := tree(t, h), load(t, h)
	big := file(strings.Repeat("x", 60<<10))
	err := h.Commit(context.Background(), changes(t, h, []want{{"/etc/mine", file("2")}, {"/etc/hosts", big}}), nil, nil)
	if err == nil || !strings.Contains(err.Error(), "/etc/hosts") || !strings.Contains(err.Error(), "everything was put back") {
		t.Errorf("got %v", err)
	}
	if now := load(t, h); !reflect.DeepEqual(now, state) {
		t.Errorf("the state is %+v, and was %+v", now, state)
	}
	delete(before, statePath) // it may say the same in other words
	after := tree(t, h)
	delete(after, statePath)
	if !reflect.DeepEqual(after, before) {
		t.Errorf("the tree is %+v, and was %+v", after, before)
	}
	check(t, h.Commit(context.Background(), changes(t, h, []want{{"/etc/mine", file("2")}}), nil, nil))
	if got := read(t, h, "/etc/mine"); got != "2" {
		t.Errorf("a commit that fits writes %q", got)
	}
}

func TestAFileThatIsABindMountIsLeftAsItIs(t *testing.T) {
	h := openAt(t, private64K(t))
	write(t, h, "/etc/hosts", "127.0.0.1 localhost", 0o640)
	check(t, bind(h.full("/etc/hosts"), h.full("/etc/hosts")))
	check(t, h.Lock(context.Background(), false))
	before := tree(t, h)
	err := h.Commit(context.Background(), changes(t, h, []want{{"/etc/mine", file("1")}, {"/etc/hosts", file("2")}}), nil, nil)
	if err == nil || !strings.Contains(err.Error(), "/etc/hosts: rename") {
		t.Errorf("got %v", err)
	}
	delete(before, statePath)
	after := tree(t, h)
	for path, n := range before {
		if !after[path].Same(n) {
			t.Errorf("%s is %+v", path, after[path])
		}
	}
	if _, there := after["/etc/mine"]; there {
		t.Error("/etc/mine is left")
	}
}

func TestAReadOnlyHostSaysSo(t *testing.T) {
	h := openAt(t, private64K(t))
	check(t, remountReadOnly(h.root))
	err := h.Commit(context.Background(), []plan.Change{{Path: "/etc/a", New: file("1")}}, nil, nil)
	if err == nil || !strings.Contains(err.Error(), "read-only file system") {
		t.Errorf("got %v", err)
	}
}

func TestLockKeepsOthersOutAndNamesItsHolder(t *testing.T) {
	h := open(t)
	check(t, h.Lock(context.Background(), false))
	check(t, h.Lock(context.Background(), false))
	other, err := Open(h.root)
	check(t, err)
	err = other.Lock(context.Background(), false)
	if !errors.Is(err, ErrLocked) || !strings.Contains(err.Error(), os.Args[0]) {
		t.Errorf("got %v", err)
	}
	h.Unlock()
	if err := other.Lock(context.Background(), false); err != nil {
		t.Errorf("after Unlock: %v", err)
	}
}

func TestLockWaitsUntilTheHolderLeavesTheHost(t *testing.T) {
	h := open(t)
	check(t, h.Lock(context.Background(), true))
	got := make(chan error, 1)
	other := beside(t, h)
	go func() { got <- other.Lock(context.Background(), true) }()
	waitedFor(t, h.lock)
	check(t, h.Forget()) // the file that the other one waits for is gone
	if err := <-got; err != nil || !isAt(other.lock, h.full(lockPath)) {
		t.Errorf("got %v", err)
	}
}

func TestLockWaitsNoLongerThanItsContext(t *testing.T) {
	h := open(t)
	check(t, h.Lock(context.Background(), true))
	ctx, cancel := context.WithCancel(context.Background())
	got := make(chan error, 1)
	other := beside(t, h)
	go func() { got <- other.Lock(ctx, true) }()
	waitedFor(t, h.lock)
	cancel()
	if err := <-got; !errors.Is(err, context.Canceled) {
		t.Errorf("got %v", err)
	}
	h.Unlock()
	check(t, beside(t, h).Lock(context.Background(), true))
}

// waitedFor returns once somebody waits for a lock that is held on the file: the kernel lists him (proc_locks(5)).
func waitedFor(t *testing.T, f *os.File) {
	t.Helper()
	info, err := f.Stat()
	check(t, err)
	inode := fmt.Sprintf(":%d ", info.Sys().(*syscall.Stat_t).Ino)
	for {
		locks, err := os.ReadFile("/proc/locks")
		check(t, err)
		for line := range strings.Lines(string(locks)) {
			if strings.Contains(line, "-> FLOCK") && strings.Contains(line, inode) {
				return
			}
		}
	}
}

func load(t *testing.T, h *Host) plan.State {
	t.Helper()
	s, err := h.LoadState()
	check(t, err)
	return s
}
