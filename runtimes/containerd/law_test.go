package containerd_test

import (
	"io/fs"
	"testing"

	"github.com/mirrorlet/mirrorlet/runtimes"
	"github.com/mirrorlet/mirrorlet/runtimes/containerd"
	"github.com/mirrorlet/mirrorlet/runtimes/runtimestest"
)

const certsD = "/etc/containerd/certs.d"

func reading(version string) runtimes.Facts {
	return runtimes.Facts{Runtime: "containerd", Version: version, Target: certsD, Roots: []string{certsD}}
}

func TestLawHoldsForGeneratedIntents(t *testing.T) {
	n := 10_000
	if testing.Short() {
		n = 500
	}
	runtimestest.Subject{Runtime: tmp{}, Facts: reading("2.4.2")}.Run(t, 1, n)
}

type tmp struct{ containerd.Runtime }

func (tmp) Detect(procs []runtimes.Process, host fs.FS) (f runtimes.Facts, p []runtimes.Problem) {
	return
}
