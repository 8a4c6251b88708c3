package containerd_test

import (
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
	runtimestest.Subject{Runtime: containerd.Runtime{}, Facts: reading("2.4.2")}.Run(t, 1, n)
}
