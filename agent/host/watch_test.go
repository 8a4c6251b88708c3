package host

import (
	"context"
	"errors"
	"os"
	"path/filepath"
	"testing"

	"golang.org/x/sys/unix"

	"github.com/mirrorlet/mirrorlet/agent/plan"
)

// watching returns a host with a file of ours in a folder of ours, and a watch that has settled down after it was written.
func watching(t *testing.T) (*Host, *Watch) {
	t.Helper()
	h := open(t)
	apply(t, h, []want{{"/etc/d", dir()}, {"/etc/d/f", file("ours")}})
	w, err := h.Watch()
	check(t, err)
	t.Cleanup(func() {
		w.Close()
		for range w.Changed() { // ends when the watch has
		}
	})
	follow(t, w)
	return h, w
}

func follow(t *testing.T, w *Watch) bool {
	t.Helper()
	added, err := w.Follow()
	check(t, err)
	return added
}

func TestAWatchThatBeginsCallsForALook(t *testing.T) {
	h, w := watching(t)
	if follow(t, w) {
		t.Error("nothing was added")
	}
	apply(t, h, []want{{"/etc/e", dir()}, {"/etc/e/f", file("ours")}})
	if !follow(t, w) || follow(t, w) {
		t.Error("a folder was added, and then none")
	}
}

func TestEveryTouchOfOurFilesIsNoticed(t *testing.T) {
	for name, touch := range map[string]func(h *Host) error{
		"a write in place":          func(h *Host) error { return os.WriteFile(h.full("/etc/d/f"), []byte("theirs"), 0o644) },
		"a rename onto it":          func(h *Host) error { return os.Rename(h.full("/etc/other"), h.full("/etc/d/f")) },
		"a change of its mode":      func(h *Host) error { return os.Chmod(h.full("/etc/d/f"), 0o600) },
		"its removal":               func(h *Host) error { return os.Remove(h.full("/etc/d/f")) },
		"the removal of its folder": func(h *Host) error { return os.RemoveAll(h.full("/etc/d")) },
		"a new name for its folder": func(h *Host) error { return os.Rename(h.full("/etc/d"), h.full("/etc/e")) },
	} {
		t.Run(name, func(t *testing.T) {
			h, w := watching(t)
			check(t, os.WriteFile(h.full("/var/other"), []byte("theirs"), 0o644))
			check(t, os.Rename(h.full("/var/other"), h.full("/etc/other")))
			<-w.Changed()
			check(t, touch(h))
			<-w.Changed() // the test's own time-out says that there was none
		})
	}
}

func TestAFolderThatComesBackIsWatchedAgain(t *testing.T) {
	h, w := watching(t)
	check(t, os.RemoveAll(h.full("/etc/d")))
	<-w.Changed()
	apply(t, h, changesBack())
	<-w.Changed()
	follow(t, w)
	check(t, os.WriteFile(h.full("/etc/d/f"), []byte("theirs"), 0o644))
	<-w.Changed()
}

func changesBack() []want { return []want{{"/etc/d", dir()}, {"/etc/d/f", file("ours")}} }

func TestWhatIsNoLongerOursIsNoLongerWatched(t *testing.T) {
	h, w := watching(t)
	if n := len(w.watcher.WatchList()); n != 2 {
		t.Errorf("%d folders are watched, want /etc and /etc/d", n)
	}
	apply(t, h, leaving(t, h))
	follow(t, w)
	if l := w.watcher.WatchList(); len(l) > 0 {
		t.Errorf("%v is still watched", l)
	}
}

func TestAWatchFollowsWhatAnInterruptedCommitWasWriting(t *testing.T) {
	got := folders(document{Records: []record{
		{Path: "/etc/d", Next: &plan.Sum{Kind: plan.Directory}}, {Path: "/etc/d/f", Next: &plan.Sum{Kind: plan.Regular}},
	}})
	if len(got) != 2 || !got["/etc"] || !got["/etc/d"] {
		t.Errorf("got %v", got)
	}
}

// without runs do while the process can open no more than a number of further files, which is what inotify's limit says as well.
func without(t *testing.T, further int, do func()) {
	t.Helper()
	var limit unix.Rlimit
	check(t, unix.Getrlimit(unix.RLIMIT_NOFILE, &limit))
	f, err := os.Open("/dev/null") // takes the lowest number that is free
	check(t, err)
	lowest := int(f.Fd())
	check(t, f.Close())
	low := limit
	low.Cur = uint64(lowest + further)
	check(t, unix.Setrlimit(unix.RLIMIT_NOFILE, &low))
	defer func() { check(t, unix.Setrlimit(unix.RLIMIT_NOFILE, &limit)) }()
	do()
}

func TestWithoutAWatchAConfigIsReadAllTheSame(t *testing.T) {
	dir := t.TempDir()
	check(t, os.WriteFile(filepath.Join(dir, "a.yaml"), []byte("1"), 0o600))
	var c *Config
	for further := 1; c == nil && further < 10; further++ {
		without(t, further, func() { c, _ = OpenConfig(dir) })
	}
	if c == nil || c.Unwatched() == nil || !errors.Is(c.Unwatched(), unix.EMFILE) {
		t.Fatalf("got %+v", c)
	}
	if got := contentOf(t, c, "a.yaml"); got != "1" {
		t.Errorf("the content is %q", got)
	}
	check(t, c.Close())
}

func TestWithoutAWatchAHostSaysSo(t *testing.T) {
	h := open(t)
	without(t, 0, func() {
		if _, err := h.Watch(); !errors.Is(err, unix.EMFILE) {
			t.Errorf("got %v", err)
		}
	})
}

func TestAConfigIsAwaited(t *testing.T) {
	dir := t.TempDir()
	path := filepath.Join(dir, "a", "b")
	var told []string
	reasons := make(chan error, 10)
	got := make(chan *Config)
	go func() {
		c, err := AwaitConfig(context.Background(), path, func(reason error) { reasons <- reason })
		if err != nil {
			t.Error(err)
		}
		got <- c
	}()
	told = append(told, (<-reasons).Error())
	check(t, os.Mkdir(filepath.Join(dir, "a"), 0o755))
	check(t, os.Mkdir(filepath.Join(dir, "new"), 0o755))
	check(t, os.WriteFile(filepath.Join(dir, "new", "x.yaml"), []byte("1"), 0o600))
	check(t, os.Rename(filepath.Join(dir, "new"), path))
	c := <-got
	if text := contentOf(t, c, "x.yaml"); text != "1" || len(told) != 1 || len(reasons) > 0 {
		t.Errorf("got %q after %v and %d more", text, told, len(reasons))
	}
	check(t, c.Close())
}

func TestAwaitingAConfigEndsWithItsContext(t *testing.T) {
	ctx, cancel := context.WithCancel(context.Background())
	_, err := AwaitConfig(ctx, filepath.Join(t.TempDir(), "none"), func(error) { cancel() })
	if !errors.Is(err, context.Canceled) {
		t.Errorf("got %v", err)
	}
}
