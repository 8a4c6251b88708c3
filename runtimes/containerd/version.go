package containerd

import "fmt"

// older says that a version such as 1.6.20~ds1 or 2.1.4-k3s1 comes before major.minor. An unknown version is never older: what it
// may not know it ignores.
func older(version string, major, minor int) bool {
	var a, b int
	if n, _ := fmt.Sscanf(version, "%d.%d", &a, &b); n < 2 {
		return false
	}
	return a < major || a == major && b < minor
}
