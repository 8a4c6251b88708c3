package agent

import (
	"path"
	"slices"
	"time"

	"github.com/mirrorlet/mirrorlet/agent/plan"
	"github.com/mirrorlet/mirrorlet/runtimes"
)

// grace is how long a runtime is given between its reading of a file and its reading of what that file names: containerd reads both at
// every pull, one right after the other (v2.4.2 core/remotes/docker/config/hosts.go ConfigureHosts). No event tells that it is done, and
// on a machine with far more to do than it can, a thread may wait for its turn for some hundred milliseconds.
const grace = time.Second

// patience is how long the changes are to wait where they ask for a pause: not at all where no runtime runs. Where that cannot be found
// out, one may.
func (a *Agent) patience(changes []plan.Change) time.Duration {
	if !slices.ContainsFunc(changes, func(c plan.Change) bool { return c.Pause }) {
		return 0
	}
	var names []string
	for _, r := range a.Runtimes {
		for _, program := range r.Programs() {
			names = append(names, path.Base(program))
		}
	}
	procs, err := a.Host.Processes(names...)
	if err == nil && !slices.ContainsFunc(procs, func(p runtimes.Process) bool { return p.PID != 0 }) {
		return 0
	}
	return grace
}
