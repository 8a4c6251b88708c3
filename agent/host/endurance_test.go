package host

import (
	"context"
	"math/rand/v2"
	"os"
	"path/filepath"
	"runtime"
	"strings"
	"testing"

	"golang.org/x/sys/unix"

	"github.com/mirrorlet/mirrorlet/agent/plan"
)

// errs are what a disk says when it is full, broken, read-only, or over a quota.
var errs = []error{unix.ENOSPC, unix.EIO, unix.EROFS, unix.EDQUOT}

// descriptors are how many files this process has open.
func descriptors(t *testing.T) int {
	t.Helper()
	entries, err := os.ReadDir("/proc/self/fd")
	check(t, err)
	return len(entries)
}

// pass is one pass of an agent that keeps the lock, on a disk of which one operation fails, or all from there on.
func pass(t *testing.T, h *Host, chapter int, random *rand.Rand) error {
	t.Helper()
	todo := story(t)[chapter](h)
	m := &mortal{disk: kernel{}, left: random.IntN(80)}
	if random.IntN(4) > 0 {
		m.fault = errs[random.IntN(len(errs))]
	}
	h.disk = m
	defer func() { h.disk = kernel{} }()
	_, cleanup, err := h.Stage(map[string]plan.Node{"/etc/file": file("staged")})
	check(t, err)
	defer cleanup()
	return h.Commit(context.Background(), changes(t, h, todo), nil, nil)
}

func TestNothingIsLeftOfAThousandPassesWithRandomFaults(t *testing.T) {
	h := owned(t)
	pristine := tree(t, h)
	random := rand.New(rand.NewPCG(7, 8))
	check(t, h.Lock(context.Background(), false))
	open, routines, failed := descriptors(t), runtime.NumGoroutine(), 0
	for i := range 1000 {
		if pass(t, h, i%len(story(t)), random) != nil {
			failed++
		}
	}
	apply(t, h, wants())
	holds(t, h, wants())
	if failed < 300 {
		t.Errorf("only %d of 1000 passes have met a fault", failed)
	}
	if n := descriptors(t); n != open {
		t.Errorf("%d descriptors are open, %d were", n, open)
	}
	if n := runtime.NumGoroutine(); n > routines {
		t.Errorf("%d goroutines run, %d did", n, routines)
	}
	for path := range tree(t, h) {
		if isTemp(filepath.Base(path)) || strings.Contains(path, stagePrefix) {
			t.Errorf("%s is left", path)
		}
	}
	leave(t, h)
	same(t, h, pristine)
}
