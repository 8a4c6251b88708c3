package agent

import (
	"context"
	"fmt"
	"log/slog"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"syscall"
	"testing"
	"time"

	"github.com/mirrorlet/mirrorlet/agent/host"
	"github.com/mirrorlet/mirrorlet/agent/plan"
	"github.com/mirrorlet/mirrorlet/runtimes/containerd"
)

// fifty is a document of 50 registries with a mirror each; the tenth has the given one.
func fifty(mirror string) []byte {
	var b strings.Builder
	b.WriteString("apiVersion: mirrorlet.dev/v1alpha1\nkind: MirrorConfig\nmetadata: {name: cluster}\nspec:\n  registries:\n")
	for i := range 50 {
		location := "https://harbor.example.com/r"
		if i == 10 {
			location = mirror
		}
		fmt.Fprintf(&b, "  - prefix: registry-%d.example.com\n    mirrors: [{location: %s}]\n", i, location)
	}
	return []byte(b.String())
}

// pretended is an agent on a host in a temporary folder, with the documents in a file.
func pretended(tb testing.TB, document []byte) (*Agent, string) {
	tb.Helper()
	file := filepath.Join(tb.TempDir(), "cluster.yaml")
	write(tb, file, document)
	config, err := host.OpenConfig(file)
	if err != nil {
		tb.Fatal(err)
	}
	tb.Cleanup(func() { config.Close() })
	root, err := os.MkdirTemp("", "h") // short, as a host's paths are: each part of one costs time
	if err != nil {
		tb.Fatal(err)
	}
	tb.Cleanup(func() { os.RemoveAll(root) })
	if memory, err := os.MkdirTemp("/dev/shm", ""); err == nil { // as a host's /run is
		tb.Cleanup(func() { os.RemoveAll(memory) })
		if err := os.Symlink(memory, filepath.Join(root, "run")); err != nil {
			tb.Fatal(err)
		}
	}
	h, err := host.Open(root)
	if err != nil {
		tb.Fatal(err)
	}
	return &Agent{
		Host: h, Node: Machine(nil), Documents: NewFolder(config, time.Now), Now: time.Now, Uptime: host.Uptime, Log: slog.New(slog.DiscardHandler),
		Assume: &plan.Found{Runtime: containerd.Runtime{}, Facts: containerd.Runtime{}.Assume("2.4.2")},
	}, file
}

func write(tb testing.TB, file string, data []byte) {
	tb.Helper()
	if err := os.WriteFile(file+".new", data, 0o644); err != nil {
		tb.Fatal(err)
	}
	if err := os.Rename(file+".new", file); err != nil {
		tb.Fatal(err)
	}
}

func pass(tb testing.TB, a *Agent) Report {
	tb.Helper()
	report, err := a.Sync(context.Background())
	if err != nil {
		tb.Fatal(err)
	}
	return report
}

// A pass that finds 50 registries as they should be. cpu-µs/op is the processor time of the whole process, in microseconds.
func BenchmarkNoOpPass(b *testing.B) {
	a, _ := pretended(b, fifty("https://m.example.com"))
	pass(b, a)
	for !a.unchanged() { // until what was written is old enough to be told from a further change
		pass(b, a)
	}
	before := cpu(b)
	for b.Loop() {
		if pass(b, a).Applied {
			b.Fatal("something was applied")
		}
	}
	b.ReportMetric(float64(cpu(b)-before)/1e3/float64(b.N), "cpu-µs/op")
}

func cpu(b *testing.B) time.Duration {
	b.Helper()
	var r syscall.Rusage
	if err := syscall.Getrusage(syscall.RUSAGE_SELF, &r); err != nil {
		b.Fatal(err)
	}
	return time.Duration(r.Utime.Nano() + r.Stime.Nano())
}

// From an edited document of 50 registries, of which one changes, to its file committed: reading, planning, proving, writing ahead. In
// the same run, on the same disk, what the simple writers of the field do with the one file that changes, and nothing else: they lose
// it in a power cut (docs/performance.md).
func BenchmarkEditToCommitted(b *testing.B) {
	b.Run("mirrorlet", func(b *testing.B) { editToCommitted(b, nil) })
	// As an agent does it: with the entry by which the runtime proves the revision written, and that of the last one taken away.
	b.Run("mirrorlet with the entry for proofs", func(b *testing.B) { editToCommitted(b, &prover{}) })
	content := []byte(strings.Repeat("x", 300))
	b.Run("truncate in place", func(b *testing.B) {
		file := filepath.Join(b.TempDir(), "hosts.toml")
		timed(b, func() {}, func() {
			if err := os.WriteFile(file, content, 0o644); err != nil {
				b.Fatal(err)
			}
		})
	})
	b.Run("rename without syncing the folder", func(b *testing.B) {
		file := filepath.Join(b.TempDir(), "hosts.toml")
		timed(b, func() {}, func() {
			if err := renameOnly(file, content); err != nil {
				b.Fatal(err)
			}
		})
	})
}

func editToCommitted(b *testing.B, p Prover) {
	a, file := pretended(b, fifty("https://m.example.com"))
	a.Prover = p
	if err := a.Host.Lock(context.Background(), false); err != nil { // as Run does
		b.Fatal(err)
	}
	defer a.Host.Unlock()
	pass(b, a)
	n := 0
	timed(b, func() {
		n++
		write(b, file, fifty(fmt.Sprintf("https://m-%d.example.com", n)))
	}, func() {
		if !pass(b, a).Applied {
			b.Fatal("nothing was applied")
		}
	})
}

// renameOnly is the best that the peers do: the content is synced, the name is not.
func renameOnly(file string, content []byte) error {
	f, err := os.CreateTemp(filepath.Dir(file), ".tmp")
	if err != nil {
		return err
	}
	defer f.Close()
	if _, err := f.Write(content); err != nil {
		return err
	}
	if err := f.Sync(); err != nil {
		return err
	}
	return os.Rename(f.Name(), file)
}

// timed reports the median and the 99th percentile of do; prepare does not count.
func timed(b *testing.B, prepare, do func()) {
	var took []time.Duration
	for b.Loop() {
		b.StopTimer()
		prepare()
		b.StartTimer()
		began := time.Now()
		do()
		took = append(took, time.Since(began))
	}
	slices.Sort(took)
	b.ReportMetric(float64(took[len(took)/2].Microseconds())/1e3, "p50-ms")
	b.ReportMetric(float64(took[len(took)*99/100].Microseconds())/1e3, "p99-ms")
}
