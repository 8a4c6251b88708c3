package probe_test

import (
	"slices"
	"testing"
	"time"

	"github.com/mirrorlet/mirrorlet/test/lab"
)

// How long the proof takes that 2.4 has loaded what was written: until its request, and until its pull has ended. Run it with
//
//	go test -run '^$' -bench Proof -benchtime 50x ./probe
func BenchmarkProof(b *testing.B) {
	for _, name := range []string{"containerd-2.4", "containerd-1.7", "containerd-1.6"} {
		b.Run(name, func(b *testing.B) {
			r, d := listen(b), start(b, lab.ContainerdConfig{Binary: part(b, name)})
			render(b, d.CertsD, revision, r)
			asked(b, r, d)
			var requests, ends []time.Duration
			for b.Loop() {
				begun := time.Now()
				requests = append(requests, asked(b, r, d).After)
				ends = append(ends, time.Since(begun))
			}
			b.ReportMetric(median(requests), "ms-to-request")
			b.ReportMetric(median(ends), "ms-to-end")
		})
	}
}

// median in milliseconds.
func median(all []time.Duration) float64 {
	slices.Sort(all)
	return float64(all[len(all)/2]) / float64(time.Millisecond)
}
