package host

import (
	"context"
	"fmt"
	"os"
	"slices"
	"testing"
	"time"

	"github.com/mirrorlet/mirrorlet/agent/plan"
)

// BenchmarkEditCommitted is the time from a plan of one file to its being safe from a power cut, on the disk that the temporary
// folder is on, with fifty registries in the state. Beside it stand the ways of others, which lose the edit in a power cut.
func BenchmarkEditCommitted(b *testing.B) {
	h := openAt(b, b.TempDir())
	var wants []want
	for i := range 50 {
		dirname := fmt.Sprintf("/etc/registry-%d.example.com", i)
		wants = append(wants, want{dirname, dir()}, want{dirname + "/hosts.toml", file("first")})
	}
	check(b, h.Lock(context.Background(), false))
	check(b, h.Commit(context.Background(), changes(b, h, wants), nil, nil))
	const path = "/etc/registry-7.example.com/hosts.toml"
	node, err := h.Node(path)
	check(b, err)
	b.Run("Commit", func(b *testing.B) {
		percentiles(b, func(i int) {
			next := file(fmt.Sprint("edit ", i, b.N))
			check(b, h.Commit(context.Background(), []plan.Change{{Path: path, Old: node, New: next}}, nil, nil))
			node = next
		})
	})
	full := h.full("/etc/peer")
	b.Run("RenameWithoutFolderSync", func(b *testing.B) {
		percentiles(b, func(i int) {
			f, err := os.Create(full + ".tmp")
			check(b, err)
			fmt.Fprint(f, "edit ", i)
			check(b, f.Sync())
			check(b, f.Close())
			check(b, os.Rename(full+".tmp", full))
		})
	})
	b.Run("TruncateInPlace", func(b *testing.B) {
		percentiles(b, func(i int) { check(b, os.WriteFile(full, fmt.Append(nil, "edit ", i), 0o600)) })
	})
}

// percentiles reports the median and the 99th percentile beside the mean.
func percentiles(b *testing.B, do func(i int)) {
	var took []time.Duration
	i := 0
	for b.Loop() {
		start := time.Now()
		do(i)
		took = append(took, time.Since(start))
		i++
	}
	slices.Sort(took)
	b.ReportMetric(took[len(took)/2].Seconds()*1e3, "p50-ms")
	b.ReportMetric(took[len(took)*99/100].Seconds()*1e3, "p99-ms")
}
