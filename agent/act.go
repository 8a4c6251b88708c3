package agent

import (
	"context"
	"errors"
	"fmt"
	"slices"
	"time"

	"github.com/mirrorlet/mirrorlet/agent/plan"
	"github.com/mirrorlet/mirrorlet/runtimes"
)

// reloadPace is how far apart the reloads of one runtime are at least, so that a burst of edits does not become a burst of those.
const reloadPace = 5 * time.Second

var (
	errRestart  = errors.New("it must be restarted for what has changed, and that is left to you")
	errStranger = errors.New("this mirrorlet does not know this runtime; run the one that wrote its files")
)

// actions knows what became of the last reloads. The zero value knows of none.
type actions struct {
	done    map[string]time.Duration // when each runtime was last reloaded, by Uptime
	backoff backoff                  // of those that failed, by runtime
}

// act does what must follow the changes that are made, and remembers what is still to be done. It stands in the state since before the
// first change, so that no crash makes anybody forget it. What cannot be done is a problem, and nothing is taken back for it: the daemon
// goes on with what it had, and its own parser has proven the files.
func (a *Agent) act(ctx context.Context, report *Report) error {
	var left []plan.PendingAction
	for _, p := range report.pending {
		still, err := a.still(ctx, p)
		if err != nil {
			report.Problems = append(report.Problems, unreloaded(p, err))
		}
		if still {
			left = append(left, a.dated(p))
		}
	}
	if slices.Equal(left, report.pending) {
		return nil
	}
	report.pending = left
	return a.Host.Commit(ctx, nil, report.references, left)
}

// still does an action, unless that is not needed any more or not to be tried yet. It says whether the action is still to be done, and
// why the last try failed.
func (a *Agent) still(ctx context.Context, p plan.PendingAction) (bool, error) {
	now := a.Uptime()
	process, err := a.daemon(p.Runtime)
	failed := a.actions.backoff.waits(p.Runtime, p.Action.String(), now)
	switch {
	case err != nil:
		return true, err
	case process.PID == 0 || a.Host.StartedSince(process, p.Moment): // it reads, or has read, its files when it starts
		a.actions.backoff.succeeded(p.Runtime)
		return false, nil
	case p.Action != runtimes.Reload:
		return true, errRestart
	case failed != nil:
		return true, failed
	case a.actions.paced(p.Runtime, now):
		return true, nil
	}
	if err := a.Host.Reload(ctx, process); err != nil {
		a.actions.backoff.failed(p.Runtime, p.Action.String(), err, now, a.chance())
		a.Log.Warn("not reloaded", "runtime", p.Runtime, "error", err)
		return true, err
	}
	a.actions.reloaded(p.Runtime, a.Uptime())
	a.Log.Info("reloaded", "runtime", p.Runtime)
	return false, nil
}

// dated is an action with the moment since when its files are in place: now, if nobody has noted it before.
func (a *Agent) dated(p plan.PendingAction) plan.PendingAction {
	if p.Boot == "" {
		p.Moment = a.Host.Moment()
	}
	return p
}

// daemon is the process of a runtime; none if it does not run.
func (a *Agent) daemon(runtime string) (runtimes.Process, error) {
	known := a.Runtimes
	if a.Assume != nil {
		known = append(slices.Clip(known), a.Assume.Runtime)
	}
	i := slices.IndexFunc(known, func(r runtimes.Runtime) bool { return r.Name() == runtime })
	if i < 0 {
		return runtimes.Process{}, errStranger
	}
	found, err := a.processes(known[i])
	if err != nil {
		return runtimes.Process{}, err
	}
	facts, _ := known[i].Detect(found, a.Host.FS())
	return facts.Process, nil
}

func unreloaded(p plan.PendingAction, err error) runtimes.Problem {
	return runtimes.Problem{Reason: runtimes.ReloadPending, From: p.Runtime, Message: fmt.Sprintf(
		"it still goes by the files of before: %v; do it by hand: systemctl %s %s", err, p.Action, p.Runtime)}
}

// unfinished is the error of leaving a runtime that could not be told; nil where all are.
func (r Report) unfinished() error {
	for _, p := range r.Problems {
		if p.Reason == runtimes.ReloadPending && len(r.pending) > 0 {
			return fmt.Errorf("everything is given back, but %s does not know it: %s, and run uninstall again", p.From, p.Message)
		}
	}
	return nil
}

// paced says that a runtime was reloaded a moment ago.
func (a *actions) paced(runtime string, now time.Duration) bool {
	last, known := a.done[runtime]
	return known && now < last+reloadPace
}

// reloaded notes a reload.
func (a *actions) reloaded(runtime string, now time.Duration) {
	if a.done == nil {
		a.done = map[string]time.Duration{}
	}
	a.done[runtime] = now
	a.backoff.succeeded(runtime)
}

// next is the first time after now at which an action may be done; 0 for never.
func (a *actions) next(now time.Duration) time.Duration {
	first := a.backoff.next(now)
	for _, last := range a.done {
		first = earlier(first, last+reloadPace, now)
	}
	return first
}
