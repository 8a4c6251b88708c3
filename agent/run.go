package agent

import (
	"context"
	"time"
)

// interval is how often a pass is made where nothing nudges one: often enough to mend what an overflow of inotify hid.
const interval = time.Minute

// Run makes a pass at once, at every nudge, and every minute, until the context ends; then it changes nothing more. It waits for the
// host's lock first, which another agent may hold while it leaves.
func (a *Agent) Run(ctx context.Context, nudges <-chan struct{}) error {
	if err := a.Host.Lock(ctx, true); err != nil {
		return err
	}
	defer a.Host.Unlock()
	for {
		_, _ = a.Sync(ctx) // it logs what a person must know, and the next pass tries again
		select {
		case <-ctx.Done():
			return nil
		case <-nudges:
		case <-time.After(a.rest()):
		}
	}
}
