package agent

import (
	"context"
	"errors"
	"time"

	"github.com/mirrorlet/mirrorlet/agent/host"
	"github.com/mirrorlet/mirrorlet/agent/plan"
)

// apply makes the changes of a report, unless the same failed a moment ago.
func (a *Agent) apply(ctx context.Context, report *Report) error {
	now, wish := a.Uptime(), target(report.Changes)
	err := a.backoff.waits(everything, wish, now)
	if err == nil {
		a.Host.Grace = a.patience(report.Changes)
		report.pending = plan.Pend(report.pending, report.Changes)
		err = a.Host.Commit(ctx, report.Changes, report.references, report.pending)
		a.note(report.Changes, wish, err)
	}
	if err != nil {
		report.State = RolledBack
		return err
	}
	report.State, report.Applied = Applied, !report.IsEmpty()
	err = a.act(ctx, report)
	if report.Leaving {
		report.State = NotEnrolled
	}
	if err != nil || !report.Leaving || len(report.pending) > 0 { // what is pending is remembered until it is done
		return err
	}
	return a.Host.Forget()
}

// everything is the key of a failure that has to do with no registry alone.
const everything = ""

// note remembers what became of a commit.
func (a *Agent) note(changes []plan.Change, wish string, err error) {
	now := a.Uptime()
	switch {
	case err == nil:
		a.rivals.wrote(changes, now)
		a.backoff.succeeded(everything)
		for _, c := range changes {
			a.backoff.succeeded(c.Registry)
		}
	case !errors.Is(err, host.ErrChanged) && !errors.Is(err, context.Canceled) && obstacle(err) == nil:
		a.backoff.failed(everything, wish, err, now, a.chance())
	}
}

// again says that it is worth planning once more at once: somebody was faster, or one registry cannot be written and the others can.
func (a *Agent) again(report Report, err error, try int) bool {
	return errors.Is(err, host.ErrChanged) && try < tries || a.aside(err, report.wish)
}

// target is what a list of changes leads to.
func target(changes []plan.Change) string {
	type step struct {
		path string
		sum  plan.Sum
		back bool
	}
	var all []step
	for _, c := range changes {
		all = append(all, step{c.Path, c.Wrote(), c.Release})
	}
	return digest(all)
}

// due says that something which waits may be tried again.
func (a *Agent) due() bool { return a.wake != 0 && a.Uptime() >= a.wake }

// rest is how long nothing needs to be done unless something happens: until the next regular pass, or until something that waits may
// be tried again.
func (a *Agent) rest() time.Duration {
	if a.wake == 0 {
		return interval
	}
	return max(0, min(interval, a.wake-a.Uptime()))
}

func (a *Agent) chance() float64 {
	if a.Chance == nil {
		return 1
	}
	return a.Chance()
}
