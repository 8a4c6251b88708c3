package agent

import (
	"context"
	"errors"
	"path"
	"time"

	"github.com/mirrorlet/mirrorlet/agent/host"
)

// interval is how often a pass is made where nothing nudges one: often enough to mend what no watch has seen.
const interval = time.Minute

// Run makes a pass at once, at every nudge, when somebody touches a file of ours, and every minute, until the context ends; then it
// changes nothing more. On an enrolled machine it waits for the host's lock first, which another agent may hold while it leaves. Where
// the host was changed by a mirrorlet of another version it ends with an error at once, unless there is somebody to tell of that.
func (a *Agent) Run(ctx context.Context, nudges <-chan struct{}) error {
	defer a.Host.Unlock()
	if err := a.hold(ctx); err != nil {
		return err
	}
	if _, err := a.Host.LoadState(); errors.Is(err, host.ErrStateVersion) && a.Tell == nil {
		return err
	}
	watch := a.watch()
	defer watch.close()
	for {
		a.round(ctx)
		if watch.follow() && ctx.Err() == nil {
			continue
		}
		select {
		case <-ctx.Done():
			return nil
		case <-nudges:
		case <-watch.touched:
		case answer := <-a.proofs.answers:
			a.take(answer)
		case <-time.After(a.rest()):
		}
	}
}

// round is a pass and what follows it. It logs what a person must know, and the next one tries again.
func (a *Agent) round(ctx context.Context) {
	began := a.Uptime()
	switch err := a.hold(ctx); {
	case ctx.Err() != nil:
		return
	case err != nil:
		a.remember(Report{State: Pending}, err)
	default:
		_, _ = a.Sync(ctx)
	}
	a.count(a.Uptime() - began)
	a.ask(ctx)
	a.tell()
}

// hold takes the host's lock on a machine that is enrolled. On any other not even the lock's file is made.
func (a *Agent) hold(ctx context.Context) error {
	if node, err := a.Node(); err != nil || !node.Enrolled {
		return nil
	}
	if a.Metrics != nil {
		a.Metrics.Waits("the lock, which another mirrorlet may hold")
		defer a.Metrics.Waits("")
	}
	return a.Host.Lock(ctx, true)
}

// watch is a watch of what is ours, or the lack of one: then a change is noticed by the regular pass only, which is said once.
type watch struct {
	*host.Watch
	agent   *Agent
	touched <-chan struct{}
	told    bool
}

func (a *Agent) watch() *watch {
	w := &watch{agent: a}
	var err error
	if w.Watch, err = a.Host.Watch(); err != nil {
		w.tell(err)
		return w
	}
	w.touched = w.Changed()
	return w
}

// follow watches what the last pass wrote as well, and says whether that calls for another pass: it may have been touched before.
func (w *watch) follow() bool {
	if w.Watch == nil {
		return false
	}
	added, err := w.Follow(w.agent.last.surroundings()...)
	w.tell(err)
	return added
}

// surroundings are the folders in which something of the runtimes changes when one is configured otherwise, or starts again: those of
// their config files and of their sockets.
func (r Report) surroundings() []string {
	var all []string
	for _, f := range r.Found {
		for _, file := range []string{f.Facts.Config, f.Facts.Socket} {
			if file != "" {
				all = append(all, path.Dir(file))
			}
		}
	}
	return all
}

func (w *watch) tell(err error) {
	if err != nil && !w.told {
		w.agent.Log.Warn("files of ours are not all watched; a change to them is noticed within a minute", "error", err)
		w.told = true
	}
}

func (w *watch) close() {
	if w.Watch != nil {
		w.Close()
	}
}
