package agent

import (
	"context"
	"errors"
	"os"
	"strings"
	"syscall"
	"testing"
	"time"

	"github.com/mirrorlet/mirrorlet/runtimes"
	"golang.org/x/sys/unix"
)

// lacking skips a test for want of something, but not where everything must be tested.
func lacking(t *testing.T, format string, args ...any) {
	t.Helper()
	if os.Getenv("CI") == "true" {
		t.Fatalf(format, args...)
	}
	t.Skipf(format, args...)
}

// small gives the agent's /etc a file system of its own, with 64 KB.
func small(t *testing.T, a *Agent) {
	t.Helper()
	must(t, os.MkdirAll(at(a, "/etc"), 0o755))
	if err := unix.Mount("tmpfs", at(a, "/etc"), "tmpfs", 0, "size=64k"); err != nil {
		lacking(t, "this test needs the right to mount: %v", err)
	}
	t.Cleanup(func() { must(t, unix.Unmount(at(a, "/etc"), unix.MNT_DETACH)) })
}

// stamp changes with every try of a commit, since each writes the state ahead.
func stamp(t *testing.T, a *Agent) time.Time {
	t.Helper()
	info, err := os.Stat(at(a, "/var/lib/mirrorlet/state.json"))
	must(t, err)
	return info.ModTime()
}

func TestAFullDiskChangesNothingAndIsNotTriedAgainAtOnce(t *testing.T) {
	a, file := pretended(t, document(quay))
	small(t, a)
	now, log := clock(a)
	pass(t, a)
	before := get(a, quayFile)
	write(t, file, fifty("https://m.example.com"))
	tries, last := 0, stamp(t, a)
	for *now = 0; *now < 10*time.Minute; *now += 5 * time.Second {
		r, err := a.Sync(context.Background())
		if !errors.Is(err, syscall.ENOSPC) || r.State != RolledBack || get(a, quayFile) != before {
			t.Fatalf("after %v: %v, state %s, file %q", *now, err, r.State, get(a, quayFile))
		}
		if now := stamp(t, a); now != last {
			tries, last = tries+1, now
		}
	}
	if tries < 5 || tries > 7 {
		t.Errorf("in ten minutes it was tried %d times", tries)
	}
	if n := strings.Count(log.String(), "pass failed"); n != 1 {
		t.Errorf("it is logged %d times:\n%s", n, log)
	}
	if entries, err := os.ReadDir(at(a, "/etc/containerd/certs.d")); err != nil || len(entries) != 1 {
		t.Errorf("%v is left, %v", entries, err)
	}
	write(t, file, document(quay+ghcr))
	if pass(t, a); get(a, "/etc/containerd/certs.d/ghcr.io/hosts.toml") == "" {
		t.Error("another wish has to wait")
	}
	write(t, file, fifty("https://m.example.com"))
	must(t, unix.Mount("", at(a, "/etc"), "", unix.MS_REMOUNT, "size=1m"))
	*now += 10 * time.Minute
	pass(t, a)
}

func TestARegistryOfTooLongANameStopsNoOther(t *testing.T) {
	name := strings.Repeat("a.", 123) + "dev:65535" // 255 bytes; its folder's name has one more
	a, _ := pretended(t, document("  - {prefix: \""+name+"\", mirrors: [{location: https://m.example.com}]}\n"+quay))
	clock(a)
	r, err := a.Sync(context.Background())
	if err != nil || get(a, quayFile) == "" || problemOf(r, runtimes.Unwritable) == "" {
		t.Errorf("%v, problems %v", err, r.Problems)
	}
}
