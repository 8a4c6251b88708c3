//go:build !cgo

package oracle_test

import (
	"testing"

	"github.com/mirrorlet/mirrorlet/runtimes"
	"github.com/mirrorlet/mirrorlet/runtimes/crio"
	"github.com/mirrorlet/mirrorlet/runtimes/runtimestest"
	"github.com/mirrorlet/mirrorlet/test/oracle"
)

func TestTheLawHoldsUnderTheParserThatCRIO134Links(t *testing.T) {
	n := 2_000
	if testing.Short() {
		n = 500
	}
	runtimestest.Subject{
		Runtime: crio.Runtime{}, Facts: crio.Runtime{}.Assume("1.34.0"), Resolve: oracle.ResolveCRIO134, PortsToo: true,
		// There is no time-out of a mirror's own.
		Blank: func(e *runtimes.Endpoint) { e.DialTimeout = 0 },
	}.Run(t, 1, n)
}
