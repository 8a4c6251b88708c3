// Package crio describes CRI-O: which drop-ins of registries.conf and which certificates express an intent, what its own parser makes of
// them, and how a daemon on a host is configured. Podman, Buildah and Skopeo read the same files.
package crio

import (
	"slices"

	"github.com/mirrorlet/mirrorlet/runtimes"
)

// Runtime is CRI-O. Its zero value is ready for use.
type Runtime struct{}

// Where containers/image looks, as a process of root: builtinRegistriesConfPath and userRegistriesFile in pkg/sysregistriesv2 of
// go.podman.io/image v5.39.3, homeCertDir and perHostCertDirs in docker/docker_client.go there.
const (
	mainConf    = "/etc/containers/registries.conf"
	dropIns     = "/etc/containers/registries.conf.d"
	userConf    = "/root/.config/containers/registries.conf"
	userDropIns = "/root/.config/containers/registries.conf.d"
	ownCerts    = "/etc/containers/certs.d"
)

// certRoots are the folders in which a folder per host is looked for; the first that there is counts alone.
var certRoots = []string{"/root/.config/containers/certs.d", ownCerts, "/etc/docker/certs.d"}

// Name is "crio".
func (Runtime) Name() string { return "crio" }

// Programs are the paths of its packages and of OpenShift.
func (Runtime) Programs() []string { return slices.Clone(binaries) }

// Assume is a daemon that reads the drop-ins of /etc/containers; so do Podman, Buildah and Skopeo.
func (Runtime) Assume(version string) runtimes.Facts {
	return runtimes.Facts{
		Runtime: "crio", Version: version, Config: defaultConfig, Socket: defaultSocket, Target: dropIns, Roots: []string{dropIns, userDropIns},
		Stage: append([]string{mainConf, dropIns, "/root/.config/containers"}, certRoots...),
	}
}
