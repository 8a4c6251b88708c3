// Package runtimes describes what is wanted of a container runtime and what a runtime is, as values. A runtime does nothing
// here: it says which files express an intent, and what its own parser makes of them. All doing is in agent/host.
package runtimes

import (
	"context"
	"io/fs"
	"time"
)

// Runtime is one kind of container runtime, as a pure description.
type Runtime interface {
	// Name is the runtime's own: containerd, crio, docker.
	Name() string
	// Programs are the paths at which its daemon may be installed; a process is known by the base name.
	Programs() []string
	// Assume returns the Facts of a daemon of that version, configured as its own documentation says, for where there is none to look at.
	Assume(version string) Facts
	// Detect finds the runtime among the processes and files of a host. The zero Facts mean that it is not there.
	Detect(procs []Process, host fs.FS) (Facts, []Problem)
	// Render returns the files that express the intent, in the order of writing: a file comes after those it mentions. The host is
	// seen as it would be without Mirrorlet. The same input gives the same bytes; an empty intent gives no files.
	Render(facts Facts, host fs.FS, i Intent) ([]File, []Problem)
	// Resolve returns what the runtime's own parser makes of the tree below root, which is a host's "/" or a staged copy of it.
	Resolve(ctx context.Context, facts Facts, root string, ref Ref) ([]Endpoint, error)
}

// Process is one process of the host, or (PID 0) a program that is installed there and does not run.
type Process struct {
	PID     int
	Exe     string // its binary, as a path of the host
	Argv    []string
	Version string // what it prints when asked for --version; empty when it could not be asked
	Started time.Time
}

// Facts are what detection found out about one runtime of a host.
type Facts struct {
	Runtime string  // its name; empty: not on this host
	Version string  // "2.4.2"; empty: unknown
	Process Process // PID 0: it does not run
	Config  string  // its main config file, whether or not that exists
	// Socket is where the daemon serves the CRI, as a path of the host, whether or not that exists; empty: unknown.
	Socket string
	// Target is the folder that our files go to.
	Target string
	// Roots are the folders that the daemon searches now, in order, literally as it takes them. Where Target is not the first of them,
	// the daemon does not read what we write, and a Problem says why.
	Roots []string
	// Stage are the files and folders of the host that a staged copy of the runtime's tree needs whole, beside the folders of what changes.
	Stage []string
	// Notes are short phrases for a person: "config version 3", "transfer pulls".
	Notes []string
}

// Reads says that the daemon reads what is written to Target.
func (f Facts) Reads() bool { return len(f.Roots) > 0 && f.Roots[0] == f.Target }

// File is one whole file as it should be on the host.
type File struct {
	Path    string // absolute, as the host sees it
	Content []byte
	Mode    fs.FileMode
	// Secret content is shown to nobody, only its digest; its mode is 0600.
	Secret bool
	// Action is what must follow when the file changes; Runtime is who needs it, which Render may leave to its caller.
	Action  Action
	Runtime string
	// Registry is the prefix for whose sake the file is there; From is the claim.
	Registry, From string
}

// Action is what a runtime needs after a file of its changed. Higher ones include the lower.
type Action int

// The actions, from the least to the most disruptive.
const (
	NoAction Action = iota
	Reload
	RestartRuntime
)

// String is the action as a person reads it.
func (a Action) String() string {
	switch a {
	case Reload:
		return "reload"
	case RestartRuntime:
		return "restart"
	default:
		return "none"
	}
}

// Title is the runtime as a person names it: "containerd 2.4.2".
func (f Facts) Title() string {
	if f.Version == "" {
		return f.Runtime
	}
	return f.Runtime + " " + f.Version
}
