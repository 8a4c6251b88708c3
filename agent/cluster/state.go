package cluster

import (
	"maps"
	"time"
)

// state is what is known of a collection.
type state struct {
	items   map[string][]byte // not to be changed
	absent  []string          // of the objects that are asked for by name, those that the API server says are not there
	edition int
	listed  bool
	err     error
}

// state returns what is known now.
func (f *feed) state() state {
	f.mu.Lock()
	defer f.mu.Unlock()
	s := state{items: maps.Clone(f.items), edition: f.edition, listed: f.listed, err: f.err}
	for name := range f.answered {
		if _, there := f.items[name]; !there {
			s.absent = append(s.absent, name)
		}
	}
	return s
}

// asked is closed when all that is asked for has been answered, or cannot be.
func (f *feed) asked() <-chan struct{} {
	f.mu.Lock()
	defer f.mu.Unlock()
	if f.err != nil {
		settle(f.settled)
	}
	return f.settled
}

// freshness is the time up to which what is known is all there is; the zero Time where nothing was ever known.
func (f *feed) freshness() time.Time {
	f.mu.Lock()
	defer f.mu.Unlock()
	if f.up {
		return f.now()
	}
	return f.fresh
}

// following says that a watch is open.
func (f *feed) following() bool {
	f.mu.Lock()
	defer f.mu.Unlock()
	return f.up
}
