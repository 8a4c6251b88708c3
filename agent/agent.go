// Package agent is the loop: what is wanted, what is there, what is to change, the change, the report. One pass of it is Sync.
package agent

import (
	"context"
	"errors"
	"fmt"
	"log/slog"
	"path"
	"slices"
	"strings"
	"time"

	"github.com/mirrorlet/mirrorlet/agent/config"
	"github.com/mirrorlet/mirrorlet/agent/host"
	"github.com/mirrorlet/mirrorlet/agent/plan"
	"github.com/mirrorlet/mirrorlet/runtimes"
)

// Agent brings one host to what the documents want.
type Agent struct {
	Host     *host.Host
	Runtimes []runtimes.Runtime
	// Documents is where wishes come from.
	Documents Source
	// Labels are the node's, for nodeSelector.
	Labels map[string]string
	// Assume are the facts of a runtime that is taken as given, instead of looking for those of the host; nil to look.
	Assume *plan.Found
	Log    *slog.Logger
	Now    func() time.Time

	look *host.Look // all that the last pass looked at on the host
	last Report
}

// Source is where documents come from: a folder, later also the API server.
type Source interface {
	// Read returns the documents as they are now. What cannot be read is an error, never the empty set.
	Read() (config.Documents, []config.Error)
	// Unchanged says that Read would return what it returned last.
	Unchanged() bool
}

// Report is what one pass came to.
type Report struct {
	plan.Plan
	State State
	// Errors are what is wrong in the documents. Where Refused is the state, they stopped the pass; otherwise they hold one entry each.
	Errors []config.Error
	// Applied says that this pass changed the host.
	Applied bool

	intent     runtimes.Intent
	references map[string][]byte
}

// State is where a host stands, in the words of MirrorNode.
type State string

// The states of a host.
const (
	Pending    State = "Pending"    // planned, not applied
	Applied    State = "Applied"    // as it should be
	Refused    State = "Refused"    // the documents are wrong: nothing was changed
	Paused     State = "Paused"     // by the file /var/lib/mirrorlet/pause: nothing was changed
	RolledBack State = "RolledBack" // the change failed and was taken back
)

// ErrNoRuntime says that there is no runtime whose files could be written.
var ErrNoRuntime = errors.New("no container runtime was found on this machine, neither running nor installed, of those that are known: containerd; " +
	"--runtime takes one as given (" + runtimes.RuntimeNotFound.Doc() + ")")

// tries is how often a pass plans again because somebody else changed a file between plan and commit.
const tries = 3

// Sync is one pass. It returns an error when the host is not as the documents want it, and the report says what then is. A pass
// that finds everything as the last one left it ends after looking.
func (a *Agent) Sync(ctx context.Context) (Report, error) {
	if a.unchanged() {
		return a.last.again(), nil
	}
	report, err := a.Plan(ctx)
	for try := 1; err == nil && report.State == Pending; try++ {
		err = a.apply(ctx, &report)
		if !errors.Is(err, host.ErrChanged) || try == tries {
			break
		}
		report, err = a.Plan(ctx)
	}
	a.remember(report, err)
	return report, err
}

// Plan is a pass without its end: it changes nothing.
func (a *Agent) Plan(ctx context.Context) (Report, error) {
	documents, errs := a.Documents.Read()
	if documents.Refused() {
		return Report{State: Refused, Errors: errs}, refusal(errs)
	}
	if paused, err := a.Host.Paused(); paused || err != nil {
		return Report{State: Paused, Errors: errs}, err
	}
	state, err := a.Host.LoadState()
	if err != nil {
		return Report{State: Refused}, err
	}
	wanted := documents.Compile(config.Options{Labels: a.Labels, LastGood: state.References, Now: a.Now()})
	if wanted.Refused {
		return Report{State: Refused, Errors: wanted.Errors}, refusal(wanted.Errors)
	}
	report := Report{State: Pending, Errors: wanted.Errors, intent: wanted.Intent, references: wanted.References}
	report.Plan, err = a.build(ctx, wanted.Intent, state)
	report.Problems = append(wanted.Problems, report.Problems...)
	return report, err
}

// build plans, and plans again without the registries whose files their runtime would read otherwise than they are meant.
func (a *Agent) build(ctx context.Context, intent runtimes.Intent, state plan.State) (plan.Plan, error) {
	a.look = a.Host.Look(a.Now)
	found, err := a.detect(state)
	if err != nil {
		return plan.Plan{}, err
	}
	in := plan.Input{Intent: intent, State: state, Host: a.look, Node: a.look.Node, Found: found}
	p, err := plan.Build(in)
	if err != nil || p.IsEmpty() {
		return p, err
	}
	misread, err := a.prove(ctx, in, p)
	if err != nil || len(misread) == 0 {
		return p, err
	}
	in.Intent = intent.Hold(misread)
	p, err = plan.Build(in)
	p.Problems = append(p.Problems, misread...)
	return p, err
}

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

// apply makes the changes of a report.
func (a *Agent) apply(ctx context.Context, report *Report) error {
	if err := a.Host.Commit(ctx, report.Changes, report.references, nil); err != nil {
		report.State = RolledBack
		return err
	}
	report.State, report.Applied = Applied, !report.IsEmpty()
	return nil
}

// Leave gives everything back to the owner of the host, from the state alone.
func (a *Agent) Leave(ctx context.Context) (plan.Plan, error) {
	state, err := a.Host.LoadState()
	if err != nil {
		return plan.Plan{}, err
	}
	p, err := plan.Leave(state, a.Host.Node)
	if err != nil {
		return p, err
	}
	if err := a.Host.Commit(ctx, p.Changes, nil, nil); err != nil {
		return p, err
	}
	return p, a.Host.Forget()
}

// unchanged says that the last pass ended well, and that nothing it looked at has changed since: it would come to the same.
func (a *Agent) unchanged() bool {
	return a.look != nil && a.last.State == Applied && a.Documents.Unchanged() && a.look.Unchanged() && a.alive()
}

// remember keeps what the next pass may compare with. A pass that wrote has changed what it looked at: the next one looks again.
func (a *Agent) remember(report Report, err error) {
	a.last = report
	if err != nil || report.Applied {
		a.look = nil
	}
	a.log(report, err)
}

// again is the report of a pass that found nothing to do.
func (r Report) again() Report {
	r.Applied, r.Changes = false, nil
	return r
}

// log writes one line for a pass that changed something or went wrong, and none for one that did not.
func (a *Agent) log(r Report, err error) {
	switch {
	case err != nil:
		a.Log.Error("pass failed", "state", r.State, "error", err)
	case r.Applied:
		a.Log.Info("applied", "runtime", r.titles(), "outcome", r.Outcome(), "problems", len(r.Problems), "wrong", len(r.Errors))
	}
}

// titles names the runtimes of the host.
func (r Report) titles() string {
	var all []string
	for _, f := range r.Found {
		all = append(all, f.Facts.Title())
	}
	return strings.Join(all, ", ")
}

func refusal(errs []config.Error) error {
	all := make([]error, len(errs))
	for i, e := range errs {
		all[i] = e
	}
	return fmt.Errorf("nothing is changed, because the documents are wrong:\n%w", errors.Join(all...))
}
