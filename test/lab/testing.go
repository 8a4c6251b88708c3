package lab

import (
	"os"
	"testing"

	"github.com/mirrorlet/mirrorlet/test/parts"
)

// Need skips a test for which something is missing, and says what. Under CI=true nothing may be missing: there it fails.
func Need(t testing.TB, missing error) {
	t.Helper()
	switch {
	case missing == nil:
	case os.Getenv("CI") == "true":
		t.Fatalf("missing, and CI=true skips nothing: %v", missing)
	default:
		t.Skipf("skipped: %v", missing)
	}
}

// NeedAPIServer skips a test that cannot have an API server, or fails it where nothing may be skipped.
func NeedAPIServer(t testing.TB) {
	t.Helper()
	needParts(t, "etcd", "kube-apiserver", "kubectl")
}

// NeedCRIO is NeedAPIServer for a CRI-O.
func NeedCRIO(t testing.TB) {
	t.Helper()
	needParts(t, "crio", "pinns", "conmon", "runc")
}

// NeedCluster is NeedAPIServer for a cluster with workers of these releases of containerd, such as 2.4.
func NeedCluster(t testing.TB, containerds ...string) {
	t.Helper()
	NeedAPIServer(t)
	needParts(t, "kube-controller-manager", "kube-scheduler", "kubelet", "runc", "ctr")
	for _, release := range containerds {
		needParts(t, "containerd-"+release, "shim-"+release)
	}
	_, err := newCgroup("")
	Need(t, err)
}

// needParts is Need for parts that may not be built or downloaded yet.
func needParts(t testing.TB, names ...string) {
	t.Helper()
	for _, name := range names {
		_, err := parts.Path(name)
		Need(t, err)
	}
}

// Start makes a lab for a test. When the test ends it is closed, and the test fails if anything is left of it.
func Start(t testing.TB) *Lab {
	t.Helper()
	if !inside() {
		Need(t, ErrOutside)
	}
	l, err := New()
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() {
		if err := l.Close(); err != nil {
			t.Error(err)
		}
		left, err := l.Leftovers()
		if err != nil {
			t.Error(err)
		}
		for _, what := range left {
			t.Errorf("left behind: %s", what)
		}
	})
	return l
}

// Main runs the tests of a package inside, where that is possible; without root the tests that need it say so.
//
//	func TestMain(m *testing.M) { lab.Main(m) }
func Main(m *testing.M) {
	if err := Enter(); err != nil && err != ErrOutside {
		panic(err)
	}
	os.Exit(m.Run())
}
