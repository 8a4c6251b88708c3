package agent

import (
	"errors"
	"path"
	"slices"

	"github.com/mirrorlet/mirrorlet/agent/plan"
	"github.com/mirrorlet/mirrorlet/runtimes"
)

// ErrNoRuntime says that there is no runtime whose files could be written.
var ErrNoRuntime = errors.New("no container runtime was found on this machine, neither running nor installed, of those that are known: containerd; " +
	"--runtime takes one as given (" + runtimes.RuntimeNotFound.Doc() + ")")

// detect finds the runtimes of the host, as they would be without us.
func (a *Agent) detect(state plan.State) ([]plan.Found, error) {
	if a.Assume != nil {
		return []plan.Found{*a.Assume}, nil
	}
	var found []plan.Found
	for _, r := range a.Runtimes {
		procs, err := a.processes(r)
		if err != nil {
			return nil, err
		}
		facts, problems := r.Detect(procs, plan.Without(a.look, state))
		if facts.Runtime != "" {
			found = append(found, plan.Found{Runtime: r, Facts: facts, Problems: problems})
		}
	}
	if len(found) == 0 {
		return nil, ErrNoRuntime
	}
	return found, nil
}

// processes are the daemons of a runtime that run, and the programs that could.
func (a *Agent) processes(r runtimes.Runtime) ([]runtimes.Process, error) {
	var names []string
	for _, program := range r.Programs() {
		names = append(names, path.Base(program))
	}
	procs, err := a.Host.Processes(names...)
	return append(procs, a.Host.Installed(r.Programs()...)...), err
}

// alive says that every daemon that was found still runs. One that did not run may do so now.
func (a *Agent) alive() bool {
	return a.Assume != nil || !slices.ContainsFunc(a.last.Found, func(f plan.Found) bool { return !a.Host.Running(f.Facts.Process) })
}
