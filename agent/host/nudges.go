package host

import (
	"time"

	"github.com/fsnotify/fsnotify"
)

// Nudges wait until nothing has happened for calm, so that an editor or a swap of links is done, but not for longer than patience.
const (
	calm     = 50 * time.Millisecond
	patience = 500 * time.Millisecond
)

// nudges say that something may have changed. It holds one, which waits to be taken.
type nudges chan struct{}

// follow turns the events that concern somebody into nudges until the watcher is closed; then it closes the nudges.
func (n nudges) follow(watcher *fsnotify.Watcher, concerns func(path string) bool) {
	defer close(n)
	quiet := time.NewTimer(calm)
	quiet.Stop()
	var since time.Time // of the first event that has made no nudge yet
	for {
		select {
		case event, open := <-watcher.Events:
			if !open {
				return
			}
			if !concerns(event.Name) {
				continue
			}
		case _, open := <-watcher.Errors: // events were lost: everything may have changed
			if !open {
				return
			}
		case <-quiet.C:
			since = time.Time{}
			n.nudge()
			continue
		}
		if since.IsZero() {
			since = time.Now()
		}
		quiet.Reset(max(0, min(calm, patience-time.Since(since))))
	}
}

func (n nudges) nudge() {
	select {
	case n <- struct{}{}:
	default: // one is waiting to be taken
	}
}
