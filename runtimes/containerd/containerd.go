// Package containerd describes containerd: which folders and hosts.toml files express an intent, what its own parser makes of
// them, and how a daemon on a host is configured.
package containerd

// Runtime is containerd. Its zero value is ready for use.
type Runtime struct{}

// Name is "containerd".
func (Runtime) Name() string { return "containerd" }
