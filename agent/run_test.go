package agent

import (
	"bytes"
	"context"
	"errors"
	"log/slog"
	"os"
	"path/filepath"
	"strings"
	"testing"
	"time"

	"github.com/mirrorlet/mirrorlet/agent/host"
	"golang.org/x/sys/unix"
)

// lines is a log that hands on each line.
type lines chan string

func (l lines) Write(b []byte) (int, error) {
	l <- string(b)
	return len(b), nil
}

// run runs the agent until the test is over, and returns its log.
func run(t *testing.T, a *Agent, nudges <-chan struct{}) lines {
	t.Helper()
	log := make(lines, 1000)
	a.Log = slog.New(slog.NewTextHandler(log, nil))
	ctx, cancel := context.WithCancel(context.Background())
	done := make(chan error)
	go func() { done <- a.Run(ctx, nudges) }()
	t.Cleanup(func() {
		cancel()
		must(t, <-done)
	})
	return log
}

// until waits for a line with a text; the test's own time-out says that there was none.
func until(t *testing.T, log lines, text string) {
	t.Helper()
	for !strings.Contains(<-log, text) {
	}
}

func TestATouchOfOurFilesNudgesAPass(t *testing.T) {
	a, _ := pretended(t, document(quay))
	log := run(t, a, nil)
	until(t, log, "applied")
	ours := get(a, quayFile)
	for _, touch := range []func() error{
		func() error { return os.WriteFile(at(a, quayFile), []byte("# mine"), 0o644) },
		func() error { return os.Remove(at(a, quayFile)) },
		func() error { return os.RemoveAll(at(a, "/etc/containerd/certs.d")) },
	} {
		must(t, touch())
		until(t, log, "applied")
		if got := get(a, quayFile); got != ours {
			t.Errorf("it is %q", got)
		}
	}
}

// A folder of documents that is gone, or cannot be read, or is half written, changes nothing, is said once, and is taken up when it is
// right: also by an agent that starts then, without any memory but the state.
func TestWhatIsAppliedOutlivesItsDocuments(t *testing.T) {
	const login = "---\napiVersion: v1\nkind: Secret\nmetadata: {name: robot}\nstringData: {username: robot, password: canary}\n"
	with := string(document("  - prefix: quay.io\n    mirrors: [{location: https://m.example.com, auth: {secretRef: {name: robot}}}]\n"))
	for name, breakIt := range map[string]func(dir string) error{
		"gone": os.RemoveAll,
		"half written": func(dir string) error {
			return os.WriteFile(filepath.Join(dir, "a.yaml"), []byte(with[:len(with)-5]), 0o644)
		},
		"a folder in the place of a file": func(dir string) error {
			return errors.Join(os.Remove(filepath.Join(dir, "a.yaml")), os.Mkdir(filepath.Join(dir, "a.yaml"), 0o755))
		},
		"a link to nowhere": func(dir string) error {
			return errors.Join(os.Remove(filepath.Join(dir, "a.yaml")), os.Symlink("nowhere", filepath.Join(dir, "a.yaml")))
		},
		"without the secret": func(dir string) error { return os.WriteFile(filepath.Join(dir, "a.yaml"), []byte(with), 0o644) },
	} {
		t.Run(name, func(t *testing.T) {
			a, _ := pretended(t, nil)
			dir := filepath.Join(t.TempDir(), "config")
			must(t, os.Mkdir(dir, 0o755))
			must(t, os.WriteFile(filepath.Join(dir, "a.yaml"), []byte(with+login), 0o644))
			config, err := host.OpenConfig(dir)
			must(t, err)
			t.Cleanup(func() { config.Close() })
			a.Documents, a.Patience = NewFolder(config, time.Now), time.Minute
			pass(t, a)
			before := get(a, quayFile)
			must(t, breakIt(dir))
			for _, fresh := range []bool{false, true} {
				if fresh {
					a = restarted(t, a)
				}
				var log bytes.Buffer
				a.Log = slog.New(slog.NewTextHandler(&log, nil))
				for range 3 {
					_, _ = a.Sync(context.Background())
				}
				if get(a, quayFile) != before || !strings.Contains(before, "Authorization") {
					t.Errorf("it is %q", get(a, quayFile))
				}
				if n := strings.Count(log.String(), "\n"); n > 1 {
					t.Errorf("the log says\n%s", &log)
				}
			}
			must(t, os.RemoveAll(dir))
			must(t, os.Mkdir(dir, 0o755))
			must(t, os.WriteFile(filepath.Join(dir, "a.yaml"), []byte(strings.Replace(with+login, "m.example", "m2.example", 1)), 0o644))
			if pass(t, a); !strings.Contains(get(a, quayFile), "m2.example.com") {
				t.Error("it is not taken up again")
			}
		})
	}
}

// restarted is the agent after a restart: it has no memory but the state.
func restarted(t *testing.T, a *Agent) *Agent {
	t.Helper()
	a.Host.Unlock()
	h, err := host.Open(a.Host.Root())
	must(t, err)
	return &Agent{
		Host: h, Node: Machine(nil), Documents: a.Documents, Patience: a.Patience, Now: time.Now, Uptime: host.Uptime, Log: slog.New(slog.DiscardHandler), Assume: a.Assume,
	}
}

func TestTheTimeOfDayHasNoEffect(t *testing.T) {
	a, file := pretended(t, document(quay))
	dir := t.TempDir()
	config, err := host.OpenConfig(dir)
	must(t, err)
	t.Cleanup(func() { config.Close() })
	years := 0
	a.Now = func() time.Time { return time.Now().AddDate(years, 0, 0) }
	a.Patience = time.Minute
	pass(t, a)
	ours, documents := get(a, quayFile), a.Documents
	for _, years = range []int{10, -10, 0, -10, 10} {
		a.Documents = documents
		if pass(t, a); get(a, quayFile) != ours {
			t.Errorf("%d years away it is %q", years, get(a, quayFile))
		}
		edited := strings.Replace(quay, "m.example", "m"+strings.Repeat("x", years+11)+".example", 1)
		write(t, file, document(edited))
		if pass(t, a); get(a, quayFile) == ours {
			t.Errorf("%d years away an edit is not seen", years)
		}
		write(t, file, document(quay))
		if pass(t, a); get(a, quayFile) != ours {
			t.Errorf("%d years away it is not put back", years)
		}
		a.Documents = NewFolder(config, time.Now) // empty: and nobody has waited for a minute
		for range 3 {
			if r := pass(t, a); !r.Waiting || get(a, quayFile) != ours {
				t.Errorf("%d years away the last document is taken for gone", years)
			}
			years = -years
		}
	}
}

// With few descriptors left a pass fails somewhere on its way, at each place once: what is there stays whole, and with enough of them
// again all is as it should be.
func TestAPassWithoutDescriptorsLeavesNothingHalf(t *testing.T) {
	a, file := pretended(t, document(quay))
	must(t, a.Host.Lock(context.Background(), false))
	defer a.Host.Unlock()
	now, _ := clock(a)
	pass(t, a)
	open := descriptors(t)
	failed := 0
	for further := range 12 {
		before := get(a, quayFile)
		write(t, file, document(strings.Replace(quay, "m.example", "m"+strings.Repeat("x", further+1)+".example", 1)))
		limited(t, further, func() {
			if _, err := a.Sync(context.Background()); err != nil {
				failed++
			}
		})
		if got := get(a, quayFile); got != before && !strings.Contains(got, "/m"+strings.Repeat("x", further+1)+".example.com") {
			t.Errorf("with %d: it is %q", further, got)
		}
		*now += time.Hour
		if pass(t, a); !strings.Contains(get(a, quayFile), "/m"+strings.Repeat("x", further+1)+".example.com") {
			t.Errorf("with %d: it does not converge", further)
		}
	}
	if failed < 3 {
		t.Errorf("only %d passes lacked descriptors", failed)
	}
	if now := descriptors(t); now != open {
		t.Errorf("%d descriptors are open, and were %d", now, open)
	}
	leftovers(t, a)
}

func descriptors(t *testing.T) int {
	t.Helper()
	entries, err := os.ReadDir("/proc/self/fd")
	must(t, err)
	return len(entries)
}

// limited runs do while the process can open no more than a number of further files.
func limited(t *testing.T, further int, do func()) {
	t.Helper()
	var limit unix.Rlimit
	must(t, unix.Getrlimit(unix.RLIMIT_NOFILE, &limit))
	f, err := os.Open("/dev/null") // takes the lowest number that is free
	must(t, err)
	low := limit
	low.Cur = uint64(f.Fd()) + uint64(further)
	must(t, f.Close())
	must(t, unix.Setrlimit(unix.RLIMIT_NOFILE, &low))
	defer func() { must(t, unix.Setrlimit(unix.RLIMIT_NOFILE, &limit)) }()
	do()
}

// leftovers finds unfinished files and copies.
func leftovers(t *testing.T, a *Agent) {
	t.Helper()
	for _, dir := range []string{"/etc/containerd/certs.d/quay.io", "/etc/containerd/certs.d", "/var/lib/mirrorlet", "/run"} {
		entries, err := os.ReadDir(at(a, dir))
		if err != nil && !errors.Is(err, os.ErrNotExist) {
			t.Fatal(err)
		}
		for _, e := range entries {
			if strings.HasPrefix(e.Name(), ".mirrorlet") {
				t.Errorf("%s/%s is left", dir, e.Name())
			}
		}
	}
}

func TestAnAgentWithoutAWatchSaysSoOnceAndWorks(t *testing.T) {
	a, _ := pretended(t, document(quay))
	clock(a)
	log := make(lines, 100)
	a.Log = slog.New(slog.NewTextHandler(log, nil))
	limited(t, 0, func() {
		w := a.watch()
		w.follow()
		w.follow()
		w.close()
	})
	if len(log) != 1 {
		t.Errorf("%d lines", len(log))
	}
}

func TestAnAgentWithAStateOfAnotherVersionEnds(t *testing.T) {
	a, _ := pretended(t, document(quay))
	put(t, a, "/var/lib/mirrorlet/state.json", `{"version":3}`)
	if err := a.Run(context.Background(), nil); !errors.Is(err, host.ErrStateVersion) || get(a, quayFile) != "" {
		t.Errorf("got %v", err)
	}
}
