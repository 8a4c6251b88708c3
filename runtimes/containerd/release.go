package containerd

import (
	"fmt"
	"math"
	"strconv"
	"strings"
)

// release is a version of containerd, as far as the reading of its config depends on it. The zero release is an unknown one.
type release struct{ major, minor, patch int }

// since says that r is the given release, or a later one.
func (r release) since(major, minor, patch int) bool {
	switch {
	case r.major != major:
		return r.major > major
	case r.minor != minor:
		return r.minor > minor
	default:
		return r.patch >= patch
	}
}

func (r release) String() string { return fmt.Sprintf("%d.%d.%d", r.major, r.minor, r.patch) }

// newestKnown is the last release whose reading of its config was looked at; what comes later is read as this one.
var newestKnown = release{2, 4, 2}

// turningPoints are releases after which a config means something else, the oldest first. An unknown version could be any.
var turningPoints = []release{{1, 7, 17}, {2, 0, 0}, {2, 1, 0}, {2, 2, 0}, {2, 2, 2}, newestKnown}

// maxConfig is the highest version of config.toml with which the release starts: version/version.go of 2.x, and ValidateV2 in
// services/server/config/config.go of 1.x, which came with 1.6.32 and 1.7.17. Before, whatever is above 2 is read as 2.
func (r release) maxConfig() int {
	switch {
	case r.since(2, 3, 0):
		return 4
	case r.since(2, 0, 0):
		return 3
	case r.since(1, 7, 17), r.since(1, 6, 32) && !r.since(1, 7, 0):
		return 2
	default:
		return math.MaxInt
	}
}

// parseRelease finds the version in what containerd --version prints, in any of its forms:
//
//	containerd github.com/containerd/containerd 1.6.20~ds1 1.6.20~ds1-1+deb12u3
//	containerd containerd.io 1.7.27 05044ec0a9a75232cad458027ca83437aae3f4da
//	containerd github.com/containerd/containerd/v2 v2.4.2 0123abc
//	containerd github.com/k3s-io/containerd v2.1.4-k3s1
//
// It returns the version as printed too, without its v. The zero release means that none is there.
func parseRelease(text string) (release, string) {
	for _, field := range strings.Fields(text) {
		field = strings.TrimPrefix(field, "v")
		var numbers []int
		for _, part := range strings.SplitN(field, ".", 3) {
			digits := part[:len(part)-len(strings.TrimLeft(part, "0123456789"))]
			n, err := strconv.Atoi(digits)
			if err != nil {
				break
			}
			numbers = append(numbers, n)
			if digits != part {
				break
			}
		}
		if len(numbers) >= 2 {
			numbers = append(numbers, 0)
			return release{numbers[0], numbers[1], numbers[2]}, field
		}
	}
	return release{}, ""
}
