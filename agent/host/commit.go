package host

import (
	"bytes"
	"context"
	"errors"
	"fmt"
	"maps"
	"os"
	"path/filepath"
	"slices"
	"time"

	"github.com/mirrorlet/mirrorlet/agent/plan"
)

// step is a change, and the path as it was found when the commit began.
type step struct {
	plan.Change
	full string
	was  plan.Node
	seen signature
	made bool // it has happened, though perhaps a power cut would take it back
}

// Commit makes the changes, in their order, and remembers the references and the pending actions in place of those that were
// remembered. It makes all changes or none: on an error everything is as it was, or the error says what is not; where it has to do
// with one path, it is a plan.Obstacle. If a path is not as its change says, nothing is written and the error is ErrChanged. Without
// changes only what is remembered is written, and nothing at all if that is the same.
//
// When Commit returns nil, a power cut takes nothing of it back. It takes the lock if the caller has not. A context that ends stops
// a commit that has not begun to write; after that it is quicker to finish.
func (h *Host) Commit(ctx context.Context, changes []plan.Change, references map[string][]byte, pending []plan.PendingAction) error {
	if h.lock == nil {
		if err := h.Lock(ctx, true); err != nil {
			return err
		}
		defer h.Unlock()
	}
	h.discardAll()
	was, err := h.settled()
	if err != nil {
		return err
	}
	steps, err := h.check(was, changes)
	if err != nil {
		return err
	}
	if err := ctx.Err(); err != nil {
		return fmt.Errorf("commit: %w", err)
	}
	if len(steps) == 0 {
		return h.remember(was, references, pending)
	}
	return h.commit(was, was.ahead(steps, references, pending), steps)
}

// commit writes the state ahead, makes the steps, and settles.
func (h *Host) commit(was, ahead document, steps []step) error {
	err := h.keepOriginals(steps, was, ahead)
	if err == nil {
		err = h.writeState(ahead, true)
	}
	if err != nil {
		h.finish(ahead, was)
		return fmt.Errorf("nothing was changed: %w", err)
	}
	if k, err := h.make(steps); err != nil {
		return h.undo(was, ahead, steps[:k+1], err)
	}
	now := make(map[string]plan.Sum, len(steps))
	for _, s := range steps {
		now[s.Path] = s.Wrote()
	}
	shared := slices.ContainsFunc(steps, func(s step) bool { return s.Shared }) // else a block that others take out seems never written
	if settled := settle(ahead, now); shared || len(settled.Records) < len(ahead.Records) || len(steps) > fewSteps {
		h.finish(ahead, settled)
	}
	return nil
}

// fewSteps is how many writes are left to be settled by the next reader of the state, who looks at each of them. It saves a small
// commit the cost of writing the state twice.
const fewSteps = 8

// remember writes what does not concern any path.
func (h *Host) remember(was document, references map[string][]byte, pending []plan.PendingAction) error {
	if maps.EqualFunc(was.References, references, bytes.Equal) && slices.Equal(was.Pending, pending) {
		return nil
	}
	was.References, was.Pending = references, pending
	return h.writeState(was, true)
}

// check finds out whether every path is as its change says, and can become what it says.
func (h *Host) check(was document, changes []plan.Change) ([]step, error) {
	steps := make([]step, 0, len(changes))
	named := map[string]bool{}
	for _, c := range changes {
		s := step{Change: c, full: h.full(c.Path)}
		s.seen = sign(s.full, false) // before the content is read, so that a write in between shows
		var err error
		if s.was, err = h.Node(c.Path); err != nil {
			return nil, err
		}
		if !s.was.Same(c.Old) {
			return nil, fmt.Errorf("%s: %w", c.Path, ErrChanged)
		}
		if err := s.possible(was); err != nil {
			return nil, fmt.Errorf("%s: %w", c.Path, err)
		}
		if named[c.Path] {
			return nil, fmt.Errorf("%s: the plan names it twice", c.Path)
		}
		if s.New.Label == "" && s.was.Kind == c.New.Kind {
			s.New.Label = s.was.Label
		}
		named[c.Path] = true
		steps = append(steps, s)
	}
	return steps, nil
}

// possible refuses what no plan may ask for: that a folder turns into a file or back, that a device or the like be touched, and
// that something of the owner's be taken away with nothing in its place.
func (s step) possible(was document) error {
	old, next, before := s.was.Kind, s.New.Kind, s.was.Kind
	if i := was.index(s.Path); i >= 0 {
		before = was.Records[i].Before.Kind
	}
	switch {
	case old == plan.Other || next == plan.Other,
		old == plan.Directory && next != plan.Directory && next != plan.Absent,
		next == plan.Directory && old != plan.Directory && old != plan.Absent:
		return fmt.Errorf("%s cannot turn into %s", name(old), name(next))
	case next == plan.Absent && before != plan.Absent:
		return fmt.Errorf("%s was there before mirrorlet, and is put back, not taken away", name(before))
	default:
		return nil
	}
}

func name(k plan.Kind) string {
	if k == plan.Absent {
		return "nothing"
	}
	return "a " + string(k)
}

// make makes the steps and returns, with an error, the index of the one that failed. Each step lasts before the next one begins, so
// that no file is there without those it mentions; only folders, which mention nothing, are synced together.
func (h *Host) make(steps []step) (int, error) {
	var unsynced []string
	for i, s := range steps {
		if s.Pause {
			time.Sleep(h.Grace) // nothing tells when a reader is done
		}
		if err := h.put(s.full, s.was, s.New, s.unchanged); err != nil {
			return i, s.failed(err)
		}
		steps[i].made = true
		if dir := filepath.Dir(s.full); !slices.Contains(unsynced, dir) {
			unsynced = append(unsynced, dir)
		}
		if i+1 < len(steps) && s.ofFolder() && steps[i+1].ofFolder() {
			continue
		}
		if err := h.syncFolders(unsynced); err != nil {
			return i, s.failed(err)
		}
		unsynced = unsynced[:0]
	}
	return len(steps), nil
}

func (s step) failed(err error) error {
	return &plan.Obstacle{Path: s.Path, Registry: s.Registry, Err: fmt.Errorf("%s: %w", s.Path, err)}
}

func (h *Host) syncFolders(dirs []string) error {
	for _, d := range dirs {
		if err := h.disk.syncFolder(d); err != nil {
			return fmt.Errorf("sync the folder: %w", reason(err))
		}
	}
	return nil
}

func (s step) ofFolder() bool { return s.was.Kind == plan.Directory || s.New.Kind == plan.Directory }

// unchanged is asked right before the step: nobody else's bytes are overwritten. A folder changes with what is in it, and what
// others have in it keeps it from being removed.
func (s step) unchanged() error {
	if s.was.Kind != plan.Directory && sign(s.full, false) != s.seen {
		return ErrChanged
	}
	return nil
}

// undo puts the steps back, the last first, and writes the state that is true then. It always returns an error, which says why.
func (h *Host) undo(was, ahead document, steps []step, why error) error {
	var errs []error
	for _, s := range slices.Backward(steps) {
		if err := h.putBack(s); err != nil {
			errs = append(errs, fmt.Errorf("put %s back: %w", s.Path, err))
		}
	}
	if len(errs) == 0 {
		h.finish(ahead, was)
		return fmt.Errorf("%w; everything was put back", why)
	}
	if onDisk, err := h.sums(ahead.underWay()); err == nil {
		h.finish(ahead, settle(ahead, onDisk))
	}
	return errors.Join(append([]error{why}, errs...)...)
}

// putBack undoes a step. One that was not made has left nothing.
func (h *Host) putBack(s step) error {
	if !s.made {
		return nil
	}
	now, err := readNode(s.full)
	switch {
	case err != nil:
		return reason(err)
	case now.Same(s.was):
		return nil
	case !now.Same(s.New):
		return fmt.Errorf("%w; it is left as it is", ErrChanged)
	}
	if err := h.put(s.full, now, s.was, always); err != nil {
		return err
	}
	return wrap("sync the folder", h.disk.syncFolder(filepath.Dir(s.full)))
}

func always() error { return nil }

// finish writes the state after a commit and takes away the originals that it has no longer. An error changes nothing for the
// caller: the state written ahead stays, and settle makes the same of it. For that reason the folder needs no sync either, unless
// an original goes, which only the older state mentions.
func (h *Host) finish(ahead, now document) {
	gone := orphans(ahead, now)
	if err := h.writeState(now, len(gone) > 0); err != nil {
		return
	}
	for _, digest := range gone {
		_ = h.disk.unlink(h.full(originalPath(digest)))
	}
	if len(gone) > 0 && !slices.ContainsFunc(now.Records, func(r record) bool { return r.Before.Digest != "" }) {
		_ = os.Remove(h.full(originalsDir))
	}
}
