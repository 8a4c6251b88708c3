package containerd

import (
	"cmp"
	"errors"
	"fmt"
	"io/fs"
	"path"
	"slices"
	"strings"
	"time"

	"github.com/mirrorlet/mirrorlet/runtimes"
)

// Detect finds the containerd that serves the kubelet and works out, from the files alone, where it looks for hosts.toml. procs may hold
// any processes; those that are no containerd daemon, and the one that dockerd runs for itself, are left out. Where no daemon runs, an
// installed binary (a process with PID 0) or a config file is enough. The facts are what the files say now: a RestartPending problem
// tells where the daemon may still go by older ones. Nothing found is zero Facts and no problem.
//
// A version that is not known is read as whichever of the known ones reads least, and a note says so.
func (Runtime) Detect(procs []runtimes.Process, host fs.FS) (runtimes.Facts, []runtimes.Problem) {
	var all []diagnosis
	for _, d := range daemons(procs, host) {
		all = append(all, diagnose(d, host))
	}
	if len(all) == 0 {
		return runtimes.Facts{}, nil
	}
	slices.SortStableFunc(all, diagnosis.compare)
	best := all[0]
	for _, other := range all[1:] {
		best.facts.Notes = append(best.facts.Notes, fmt.Sprintf("another containerd left alone: PID %d with %s", other.daemon.process.PID, other.daemon.config))
	}
	return best.facts, best.problems
}

// diagnosis is what came of looking at one daemon.
type diagnosis struct {
	daemon   daemon
	facts    runtimes.Facts
	problems []runtimes.Problem
	noCRI    bool
}

// compare puts the daemon first that a kubelet is most likely to use: one with the CRI, then one of a Kubernetes distribution, then the
// host's own.
func (a diagnosis) compare(b diagnosis) int {
	last := func(x bool) int {
		if x {
			return 1
		}
		return 0
	}
	return cmp.Or(
		cmp.Compare(last(a.noCRI), last(b.noCRI)),
		cmp.Compare(last(!a.daemon.kubernetes()), last(!b.daemon.kubernetes())),
		cmp.Compare(last(a.daemon.config != defaultConfig), last(b.daemon.config != defaultConfig)),
		cmp.Compare(a.daemon.process.PID, b.daemon.process.PID))
}

// diagnose reads the config of one daemon as its version does.
func diagnose(d daemon, host fs.FS) diagnosis {
	r, text := parseRelease(d.process.Version)
	switch {
	case r == release{}:
		return leastRead(d, host)
	case r.since(newestKnown.major, newestKnown.minor+1, 0):
		out := diagnoseAs(d, host, newestKnown)
		out.facts.Version = r.String()
		out.note(fmt.Sprintf("containerd %s is newer than what Mirrorlet knows, and read as %s", r, newestKnown))
		return out
	}
	out := diagnoseAs(d, host, r)
	out.facts.Version = r.String()
	if text != r.String() {
		out.note("built as " + text)
	}
	return out
}

// leastRead is the reading of an unknown version: among the releases that start with the config, the first that reads nothing from the
// target; where all read it, the oldest.
func leastRead(d daemon, host fs.FS) diagnosis {
	var best diagnosis
	for i, r := range turningPoints {
		out := diagnoseAs(d, host, r)
		out.note(fmt.Sprintf("version unknown, and read as the least favourable: %s", r))
		starts := !slices.ContainsFunc(out.problems, func(p runtimes.Problem) bool { return p.Reason == runtimes.UnreadableConfig })
		better := best.facts.Reads() || slices.ContainsFunc(best.problems, func(p runtimes.Problem) bool { return p.Reason == runtimes.UnreadableConfig })
		if i == 0 || starts && better && (!out.facts.Reads() || !best.facts.Reads()) {
			best = out
		}
	}
	return best
}

// diagnoseAs reads the config as one release.
func diagnoseAs(d daemon, host fs.FS, r release) diagnosis {
	out := diagnosis{daemon: d, facts: runtimes.Facts{
		Runtime: "containerd", Process: d.process, Config: d.config, Socket: absoluteSocket(d.address), Target: conventional,
	}}
	if d.process.PID == 0 {
		out.note("not running")
	}
	if strings.HasSuffix(d.process.Exe, deleted) {
		out.note("its binary was replaced since it started")
	}
	m, err := load(host, d, r)
	var p pulls
	if err == nil {
		p, err = m.pulls(d, r)
	}
	if err != nil {
		// The pending restart is not told then: a restart would end the daemon.
		out.problems = []runtimes.Problem{unreadableProblem(d, err)}
		return out
	}
	out.facts.Socket = m.socket(d, r)
	out.noCRI, out.facts.Roots, out.facts.Target = p.disabled, p.roots(), p.folder()
	out.note(p.notes()...)
	out.problems = append(p.problems(), m.pending(d)...)
	return out
}

func (d *diagnosis) note(notes ...string) { d.facts.Notes = append(d.facts.Notes, notes...) }

// notes say in short what was found.
func (p pulls) notes() []string {
	notes := []string{"no config file, so the built-in defaults hold"}
	if documents := p.config.documents; len(documents) > 0 {
		notes = []string{fmt.Sprintf("config version %d", documents[0].version)}
		if documents[0].version == 0 {
			notes = []string{"config without a version"}
		}
		for _, doc := range documents[1:] {
			notes = append(notes, "imports "+doc.path)
		}
	}
	if name := distribution(p.config.main); name != "" {
		notes = append(notes, p.config.main+" is made anew whenever "+name+" starts")
	}
	if p.disabled {
		return append(notes, "the CRI plugin is disabled")
	}
	return append(notes, p.mode())
}

func (p pulls) mode() string {
	if p.local == "" {
		return "transfer pulls"
	}
	return "local pulls (" + p.local + ")"
}

// distribution names the Kubernetes distribution that generates a config (k3s-io/k3s pkg/agent/containerd/config.go), or "".
func distribution(config string) string {
	for _, name := range []string{"k3s", "rke2"} {
		if strings.Contains(config, "/"+name+"/") && strings.HasSuffix(config, "/agent/etc/containerd/config.toml") {
			return name
		}
	}
	return ""
}

// restart is the last step of most remedies.
func (d daemon) restart() string {
	switch name := distribution(d.config); {
	case d.process.PID == 0:
		return "start containerd"
	case name != "":
		return "restart " + name + ", which Mirrorlet does not do by itself yet"
	default:
		return "restart containerd, which Mirrorlet does not do by itself yet"
	}
}

// editable is the file in which a setting of config lasts: for k3s and RKE2 the template, of which the one for version 3 is looked for
// first (getTemplate in pkg/agent/containerd of k3s-io/k3s).
func (p pulls) editable(file string) string {
	if distribution(file) == "" {
		return file
	}
	if p.release.since(2, 0, 0) {
		return path.Join(path.Dir(file), "config-v3.toml.tmpl")
	}
	return file + ".tmpl"
}

// startError is by how much the start of a process may be told too early: it is a boot time in whole seconds plus ticks since then.
const startError = time.Second

// pending tells the files that changed after the daemon started: it reads them only once.
func (m merged) pending(daemon daemon) []runtimes.Problem {
	p := daemon.process
	if p.PID == 0 || p.Started.IsZero() {
		return nil
	}
	for _, d := range m.documents {
		if d.lastChange.After(p.Started.Add(startError)) {
			return []runtimes.Problem{{
				Reason: runtimes.RestartPending, From: d.path,
				Message: fmt.Sprintf("this is newer than the running containerd, which started at %s and may go by what was there before: %s",
					p.Started.UTC().Format(time.RFC3339), daemon.restart()),
			}}
		}
	}
	return nil
}

func unreadableProblem(d daemon, err error) runtimes.Problem {
	p := runtimes.Problem{Reason: runtimes.UnreadableConfig, Message: err.Error(), From: d.config}
	var u *unreadable
	if errors.As(err, &u) {
		p.Message, p.From = u.what, u.from()
	}
	return p
}
