// Package containerd describes containerd: which folders and hosts.toml files express an intent, what its own parser makes of
// them, and how a daemon on a host is configured.
package containerd

import (
	"slices"

	"github.com/mirrorlet/mirrorlet/runtimes"
)

// Runtime is containerd. Its zero value is ready for use.
type Runtime struct{}

// Name is "containerd".
func (Runtime) Name() string { return "containerd" }

// Programs are the paths of its releases, of Debian, Docker and the cloud images.
func (Runtime) Programs() []string { return slices.Clone(binaries) }

// Assume is a daemon that reads /etc/containerd/certs.d.
func (Runtime) Assume(version string) runtimes.Facts {
	return runtimes.Facts{
		Runtime: "containerd", Version: version, Config: defaultConfig, Socket: defaultSocket, Target: conventional, Roots: []string{conventional},
	}
}
