package plan

import (
	"slices"

	"github.com/mirrorlet/mirrorlet/runtimes"
)

// PendingAction is a reload or a restart that must still happen.
type PendingAction struct {
	Runtime string          `json:"runtime"`
	Action  runtimes.Action `json:"action"`
	// Moment is when all files were in place; zero: it is not known. A daemon that started later has read them.
	Moment
}

// Moment is a time in the life of one machine, by a clock that nobody can set. The zero Moment is none.
type Moment struct {
	Boot  string `json:"boot,omitempty"` // which start of the machine, by its boot_id
	Since int64  `json:"since"`          // hundredths of a second since that
}

// Pend returns the actions that must follow a list of changes, beside those that are still to be done: one for each runtime, the most
// disruptive. Their Moment comes when the changes are made: a daemon that started before that may have read what was there before.
func Pend(pending []PendingAction, changes []Change) []PendingAction {
	pending = slices.Clone(pending)
	for _, c := range changes {
		if c.Action == runtimes.NoAction || c.Silent() {
			continue
		}
		i := slices.IndexFunc(pending, func(p PendingAction) bool { return p.Runtime == c.Runtime })
		if i < 0 {
			pending = append(pending, PendingAction{Runtime: c.Runtime, Action: c.Action})
		} else {
			pending[i] = PendingAction{Runtime: c.Runtime, Action: max(pending[i].Action, c.Action)}
		}
	}
	return pending
}
