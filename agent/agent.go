// Package agent is the loop: what is wanted, what is there, what is to change, the change, the report. One pass of it is Sync.
package agent

import (
	"context"
	"errors"
	"log/slog"
	"time"

	"github.com/mirrorlet/mirrorlet/agent/config"
	"github.com/mirrorlet/mirrorlet/agent/host"
	"github.com/mirrorlet/mirrorlet/agent/metrics"
	"github.com/mirrorlet/mirrorlet/agent/plan"
	"github.com/mirrorlet/mirrorlet/api/v1alpha1"
	"github.com/mirrorlet/mirrorlet/runtimes"
)

// Agent brings one host to what the documents want.
type Agent struct {
	Host     *host.Host
	Runtimes []runtimes.Runtime
	// Documents is where wishes come from.
	Documents Source
	// Node says what is said about the machine; Machine is the one for a machine outside of any cluster.
	Node func() (Node, error)
	// Assume are the facts of a runtime that is taken as given, instead of looking for those of the host; nil to look.
	Assume *plan.Found
	// Patience is how long a set of documents must have been empty before that is taken for the wish to have nothing.
	Patience time.Duration
	Log      *slog.Logger
	// Now is the time of day, by which the kernel stamps files and certificates expire.
	Now func() time.Time
	// Uptime is a clock that nobody can set, by which the agent waits.
	Uptime func() time.Duration
	// Prover has the runtimes prove what they read; nil where nobody asks them.
	Prover Prover
	// Tell is told where the machine stands, after each pass and each proof; nil for nobody. It must not wait.
	Tell func(v1alpha1.MirrorNodeStatus)
	// Metrics count passes and proofs; nil for none.
	Metrics *metrics.Metrics
	// Connected says that the API server answers, for the metrics; nil where there is none.
	Connected func() bool
	// Version is the agent's own, for reports.
	Version string
	// Chance is a random number from 0 to 1, which spreads the machines that wait; nil for 1.
	Chance func() float64

	look    *host.Look // all that the last pass looked at on the host
	last    Report
	node    Node           // of the last pass
	by      string         // who paused the last pass; empty: nobody
	failure string         // of the last pass
	empty   *time.Duration // since when there are no documents
	err     error          // of the last pass
	proofs  proofs
	backoff backoff
	rivals  rivals
	actions actions
	wake    time.Duration // when something that waits may be tried again, by Uptime; 0 for never
}

// tries is how often a pass plans again because somebody else changed a file between plan and commit.
const tries = 3

// Sync is one pass. It returns an error when the host is not as the documents want it, and the report says what then is. A pass
// that finds everything as the last one left it ends after looking.
func (a *Agent) Sync(ctx context.Context) (Report, error) {
	if a.unchanged() {
		a.last = a.last.again()
		return a.last, nil
	}
	report, err := a.Plan(ctx)
	for try := 1; err == nil && report.State == Pending && !report.Waiting; try++ {
		if err = a.apply(ctx, &report); !a.again(report, err, try) {
			break
		}
		report, err = a.Plan(ctx)
	}
	a.remember(report, err)
	return report, err
}

// Plan is a pass without its end: it changes nothing.
func (a *Agent) Plan(ctx context.Context) (Report, error) {
	var err error
	a.node, a.by, err = a.said()
	switch {
	case err != nil:
		return Report{State: Pending}, err
	case a.by != "":
		return Report{State: Paused, By: a.by}, nil
	case !a.node.Enrolled:
		return a.leaving()
	}
	documents, errs, err := a.Documents.Read()
	if err != nil {
		return Report{State: Pending}, err
	}
	if documents.Refused() {
		return Report{State: Refused, Errors: errs}, refusal(errs)
	}
	if by := documents.Paused(); by != "" {
		return Report{State: Paused, By: by, Errors: errs}, nil
	}
	if a.waits(documents) {
		return Report{State: Pending, Waiting: true}, nil
	}
	state, err := a.Host.LoadState()
	if err != nil {
		return Report{State: Refused}, err
	}
	now := a.Now()
	wanted := documents.Compile(config.Options{Labels: a.node.Labels, LastGood: state.References, Now: now})
	if wanted.Refused {
		return Report{State: Refused, Errors: wanted.Errors}, refusal(wanted.Errors)
	}
	report := Report{
		State: Pending, Errors: wanted.Errors, Elsewhere: wanted.Elsewhere, objects: documents.Objects(), registries: wanted.Intent.Wanted(),
		mirrors: mirrors(wanted.Intent), references: wanted.References, pending: state.Pending, wish: wishes(wanted.Intent),
		expiry: &metrics.Expiry{CA: wanted.Expiry.CA, Client: wanted.Expiry.Client}, at: now, turn: wanted.Turn,
	}
	report.Plan, err = a.build(ctx, wanted.Intent, state)
	report.Problems = append(wanted.Problems, report.Problems...)
	if errors.Is(err, ErrNoRuntime) {
		report.State = Unsupported
	}
	return report, err
}

// waits says that the last document went only just now: a folder that is being filled anew, say, or somebody's mistake.
func (a *Agent) waits(documents config.Documents) bool {
	switch {
	case documents.Len() > 0:
		a.empty = nil
	case a.empty == nil:
		now := a.Uptime()
		a.empty = &now
	}
	return a.empty != nil && a.Uptime()-*a.empty < a.Patience
}

// leaving is the pass of a machine that is not, or no longer, enrolled.
func (a *Agent) leaving() (Report, error) {
	state, err := a.Host.LoadState()
	if err != nil {
		return Report{State: Refused}, err
	}
	report := Report{State: NotEnrolled, pending: state.Pending, expiry: &metrics.Expiry{}}
	if len(state.Records)+len(state.Pending) > 0 {
		report.State, report.Leaving = Pending, true
		report.Plan, err = plan.Leave(state, a.Host.Node)
	}
	a.look = a.Host.Look(a.Now)
	report.Found, _ = a.detect(state) // for those who choose which node to enrol; that there is none is no error here
	return report, err
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
	a.actions = actions{} // there is no other pass for which a reload could wait
	report := Report{Plan: p, pending: plan.Pend(state.Pending, p.Changes)}
	if err = a.Host.Commit(ctx, p.Changes, nil, report.pending); err == nil {
		err = a.act(ctx, &report)
	}
	if err == nil {
		err = report.unfinished()
	}
	if err != nil {
		return p, err
	}
	return p, a.Host.Forget()
}

// said returns what is said about the machine, and who asks that nothing be changed on it.
func (a *Agent) said() (node Node, by string, err error) {
	if node, err = a.Node(); err != nil {
		return node, "", err
	}
	paused, err := a.Host.Paused()
	if paused {
		return node, "the file /var/lib/mirrorlet/pause", nil
	}
	return node, node.Paused, err
}

// unchanged says that the last pass ended well, and that nothing it looked at has changed since, nor has time: it would come to the same.
func (a *Agent) unchanged() bool {
	node, by, err := a.said()
	return a.look != nil && a.last.State == Applied && !a.due() && err == nil && by == a.by && node.equal(a.node) && a.Documents.Unchanged() &&
		a.last.holds(a.Now()) && a.look.Unchanged() && a.alive()
}

// remember keeps what the next pass may compare with. A pass that wrote has changed what it looked at: the next one looks again.
func (a *Agent) remember(report Report, err error) {
	a.log(report, err)
	now := a.Uptime()
	a.err, report.node = err, a.node.Name
	a.last, a.wake = report, earlier(a.rivals.next(now), a.backoff.next(now), now)
	if len(report.pending) > 0 {
		a.wake = earlier(a.wake, a.actions.next(now), now)
	}
	if err != nil || report.Applied {
		a.look = nil
	}
}
