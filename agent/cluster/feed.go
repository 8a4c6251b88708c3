package cluster

import (
	"bytes"
	"context"
	"errors"
	"log/slog"
	"maps"
	"net/url"
	"sync"
	"time"

	apierrors "k8s.io/apimachinery/pkg/api/errors"
)

// confirmation is how long after an object was first missing a second list must show it missing too. Deleting a CRD deletes its objects one
// by one before the kind itself is gone (pkg/controller/finalizer of apiextensions-apiserver), and that takes less.
const confirmation = 5 * time.Second

// gone says when an object that is not there any more is forgotten.
type gone int

const (
	goneAtOnce    gone = iota
	goneConfirmed      // when a list shows it missing again after the confirmation, and none has failed in between
	goneNever          // not at all: the last one stays
)

// feed keeps what is wanted of one collection of objects: a list, then a watch from there, and a list again where the API server says that
// the watch has lost its place. What cannot be read stays as it was.
type feed struct {
	client *client
	log    *slog.Logger
	now    func() time.Time
	uptime func() time.Duration
	chance func() float64
	what   string     // for people, such as "MirrorConfigs"
	path   string     // such as "/api/v1/nodes"
	query  url.Values // such as a fieldSelector; may be nil
	// partial asks for metadata only.
	partial bool
	gone    gone
	// keep returns what is kept of an object.
	keep func(object []byte) []byte
	// changed is told that items or known are not as they were. It must not wait, and mu is held.
	changed func()

	mu      sync.Mutex
	items   map[string][]byte
	edition int                      // of the items
	missing map[string]time.Duration // since when by uptime items are missing, by name, where they are not forgotten at once
	confirm *time.Timer
	listed  bool            // once
	err     error           // why the API server cannot be followed at the moment
	up      bool            // a watch is open, as far as one can know
	fresh   time.Time       // when the last watch ended
	names   map[string]bool // of the objects that are wanted; nil for all
	// answered are those of the names that a list was made for: where they are not among the items, they are not there.
	answered map[string]bool
	settled  chan struct{}           // closed when all that is asked for has been answered, be it by an error
	again    bool                    // a list is asked for
	end      context.CancelCauseFunc // of the open watch; nil while there is none

	// What only run uses.
	version  string // from which to watch; empty: list first
	failures int    // in a row, without a watch that opened
	flaps    int    // watches in a row that did not last
}

// run follows the collection until the context ends.
func (f *feed) run(ctx context.Context) {
	defer f.stop()
	for ctx.Err() == nil {
		err := f.once(ctx)
		if ctx.Err() != nil {
			return
		}
		f.lost(err)
		wait(ctx, f.delay(err))
	}
}

// once lists, where that is needed, and watches until the watch ends.
func (f *feed) once(ctx context.Context) error {
	f.mu.Lock()
	if f.again {
		f.again, f.version = false, ""
	}
	f.mu.Unlock()
	if f.version == "" {
		if err := f.list(ctx); err != nil {
			return err
		}
	}
	err := f.watch(ctx)
	if definite(err) {
		f.version = ""
	}
	return err
}

// list reads everything anew. Nothing is taken of a list that does not come to its end.
func (f *feed) list(ctx context.Context) error {
	f.mu.Lock()
	began, settled, names := f.uptime(), f.settled, maps.Clone(f.names)
	f.mu.Unlock()
	all, version, err := f.fetch(ctx, names)
	f.mu.Lock()
	defer f.mu.Unlock()
	defer settle(settled)
	if err != nil {
		clear(f.missing) // both lists that show an object missing must be of the same collection
		return err
	}
	f.version, f.answered = version, names
	maps.DeleteFunc(f.answered, func(name string, _ bool) bool { return !f.names[name] })
	f.replace(all, began)
	return nil
}

// settle closes a channel that only one goroutine closes, if it is still open.
func settle(c chan struct{}) {
	select {
	case <-c:
	default:
		close(c)
	}
}

// replace takes over a list that began at a time.
func (f *feed) replace(all map[string][]byte, began time.Duration) {
	changed := !f.listed
	f.listed = true
	for name, kept := range all {
		if f.wants(name) {
			changed = f.put(name, kept) || changed
		}
	}
	for name := range f.items {
		if _, there := all[name]; !there {
			changed = f.remove(name, began) || changed
		}
	}
	f.tell(changed)
}

// put takes over an object, and says whether that changes anything.
func (f *feed) put(name string, kept []byte) bool {
	delete(f.missing, name)
	old, there := f.items[name]
	f.items[name] = kept
	return !there || !bytes.Equal(old, kept)
}

// remove takes over that an object was missing at a time, and says whether that changes anything.
func (f *feed) remove(name string, at time.Duration) bool {
	since, missing := f.missing[name]
	_, there := f.items[name]
	switch {
	case !there || f.gone == goneNever:
		return false
	case f.gone == goneConfirmed && (!missing || at-since < confirmation):
		if !missing {
			f.missing[name] = f.uptime()
		}
		f.ask(confirmation)
		return false
	}
	delete(f.missing, name)
	delete(f.items, name)
	return true
}

// tell passes a change on.
func (f *feed) tell(changed bool) {
	if changed {
		f.edition++
		f.changed()
	}
}

// ask has everything listed after a time, of several the last one.
func (f *feed) ask(after time.Duration) {
	if f.confirm == nil {
		f.confirm = time.AfterFunc(after, f.relist)
	} else {
		f.confirm.Reset(after)
	}
}

// relist has everything listed, now or when the API server may be asked again.
func (f *feed) relist() {
	f.mu.Lock()
	defer f.mu.Unlock()
	f.again = true
	if f.end != nil {
		f.end(errAgain)
	}
}

// wants says whether an object is wanted.
func (f *feed) wants(name string) bool { return f.names == nil || f.names[name] }

// want says which objects are asked for by name. The values of a new one are fetched; those of the others are dropped.
func (f *feed) want(names map[string]bool) {
	f.mu.Lock()
	more := false
	for name := range names {
		more = more || !f.names[name]
	}
	f.names = names
	maps.DeleteFunc(f.answered, func(name string, _ bool) bool { return !names[name] })
	for name := range f.items {
		if !names[name] {
			delete(f.items, name)
		}
	}
	if more {
		f.settled = make(chan struct{})
	}
	f.mu.Unlock()
	if more {
		f.relist()
	}
}

// lost notes that nothing is followed at the moment. Where that is an error of the API server, or of the way there, it is said once.
func (f *feed) lost(err error) {
	f.mu.Lock()
	defer f.mu.Unlock()
	if f.up {
		f.up, f.fresh = false, f.now()
	}
	if err == nil || errors.Is(err, errAgain) || errors.Is(err, errCut) || expired(err) {
		return // as it goes; the next attempt tells more
	}
	settle(f.settled)
	other := f.err == nil || apierrors.ReasonForError(f.err) != apierrors.ReasonForError(err)
	f.err = err
	if other {
		f.log.Warn("the API server cannot be followed; all stays as it is", "what", f.what, "error", explain(err, f.what))
	}
	f.tell(other && len(f.items) == 0)
}

// found notes that a watch is open: from now on all changes are known.
func (f *feed) found(end context.CancelCauseFunc) {
	f.mu.Lock()
	defer f.mu.Unlock()
	f.up = true
	if f.err != nil {
		f.log.Info("the API server is followed again", "what", f.what)
	}
	unknown := f.err != nil && len(f.items) == 0
	f.err = nil
	f.tell(unknown)
	f.end = end
	if f.again {
		end(errAgain)
	}
}

// stop ends what runs beside run.
func (f *feed) stop() {
	f.mu.Lock()
	defer f.mu.Unlock()
	if f.confirm != nil {
		f.confirm.Stop()
	}
}
