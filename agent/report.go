package agent

import (
	"errors"
	"fmt"
	"slices"
	"strings"
	"time"

	"github.com/mirrorlet/mirrorlet/agent/config"
	"github.com/mirrorlet/mirrorlet/agent/metrics"
	"github.com/mirrorlet/mirrorlet/agent/plan"
	"github.com/mirrorlet/mirrorlet/api/v1alpha1"
	"github.com/mirrorlet/mirrorlet/runtimes"
)

// Report is what one pass came to.
type Report struct {
	plan.Plan
	State State
	// Errors are what is wrong in the documents. Where Refused is the state, they stopped the pass; otherwise they hold one entry each.
	Errors []config.Error
	// Elsewhere says which documents are for other nodes.
	Elsewhere []string
	// Applied says that this pass changed the host.
	Applied bool
	// By says who asks that nothing be changed, where the state is Paused.
	By string
	// Leaving says that the machine is no longer enrolled, and that everything goes back to its owner.
	Leaving bool
	// Waiting says that there are no documents any more, and that everything stays for the time of the agent's patience.
	Waiting bool

	node       string                  // its name
	objects    []config.Object         // the MirrorConfigs that were read
	registries int                     // how many entries are wanted of this node
	mirrors    []v1alpha1.MirrorStatus // that are used
	references map[string][]byte
	expiry     *metrics.Expiry            // of the certificates that are used; nil: not looked at
	at, turn   time.Time                  // from when to before when the documents mean this; a zero turn: from then on
	pending    []plan.PendingAction       // what runtimes still need, for what was changed
	wish       func(prefix string) string // what tells one wish for a registry from another
}

// State is where a host stands, in the words of MirrorNode.
type State string

// The states of a host.
const (
	NotEnrolled State = "NotEnrolled" // nobody asks for it: nothing is touched
	Pending     State = "Pending"     // planned, not applied
	Applied     State = "Applied"     // as it should be
	Refused     State = "Refused"     // the documents are wrong: nothing was changed
	Paused      State = "Paused"      // somebody asks that nothing be changed
	RolledBack  State = "RolledBack"  // the change failed and was taken back
	Unsupported State = "Unsupported" // there is no runtime that we know
)

// again is the report of a pass that found nothing to do.
func (r Report) again() Report {
	r.Applied, r.Changes = false, nil
	return r
}

// holds says that at this time the documents mean what they meant to the report.
func (r Report) holds(now time.Time) bool {
	return !now.Before(r.at) && (r.turn.IsZero() || now.Before(r.turn))
}

// log writes one line for a pass that changed something, went wrong in a new way, or waits; and none for another.
func (a *Agent) log(r Report, err error) {
	before := a.failure
	a.failure = ""
	if errors.Is(err, ErrUnknown) && !errors.Is(a.err, ErrUnknown) {
		return // at a start, or where the API server is away for a moment, it is known soon
	}
	for _, p := range r.Problems {
		if yields(p.Reason) && !slices.Contains(a.last.Problems, p) {
			a.Log.Warn("left to somebody else", "registry", p.Registry, "reason", p.Reason, "problem", p.Message)
		}
	}
	switch {
	case errors.Is(err, ErrUnknown):
		if a.failure = err.Error(); a.failure != before {
			a.Log.Warn("waiting; until it is known, nothing is changed", "reason", err)
		}
	case err != nil:
		if a.failure = err.Error(); a.failure != before {
			a.Log.Error("pass failed", "state", r.State, "error", err)
		}
	case r.Waiting:
		if a.failure = "waiting"; a.failure != before {
			a.Log.Warn("there are no documents; what is here stays for a while", "for", a.Patience)
		}
	case r.Applied && r.Leaving:
		a.Log.Info("left, as the node is not enrolled any more", "outcome", r.Outcome(), "problems", len(r.Problems))
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

// errDocuments is in the error of a pass that the documents stopped.
var errDocuments = errors.New("nothing is changed, because the documents are wrong")

func refusal(errs []config.Error) error {
	all := make([]error, len(errs))
	for i, e := range errs {
		all[i] = e
	}
	return fmt.Errorf("%w:\n%w", errDocuments, errors.Join(all...))
}

// yields says that a problem is one of the host that a pass comes upon, and not of what is wanted: the log tells it once.
func yields(r runtimes.Reason) bool { return r == runtimes.ForeignOwner || r == runtimes.Unwritable }
