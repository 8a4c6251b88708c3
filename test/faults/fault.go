package faults

import (
	"slices"
	"syscall"
)

// Fault is something that happens at one call of a run.
type Fault struct {
	Name string
	Action
	// Stays says that every later call meets it as well, as on a disk that is full.
	Stays bool
	// Writes says that it can only happen to a write.
	Writes bool
	// Then is what every later call meets, in place of the same again.
	Then syscall.Errno
}

// Faults are those that each call of a story is to stand. A disk that is full stays so, and one that has gone read-only too; a quota, and
// a disk that cannot be read or written for a moment, may be met once.
var Faults = []Fault{
	{Name: "SIGKILL", Action: Action{Kill: true}},
	{Name: "ENOSPC once", Action: Action{Error: syscall.ENOSPC}},
	{Name: "ENOSPC from there on", Action: Action{Error: syscall.ENOSPC}, Stays: true},
	{Name: "EIO once", Action: Action{Error: syscall.EIO}},
	{Name: "EROFS once", Action: Action{Error: syscall.EROFS}},
	{Name: "EROFS from there on", Action: Action{Error: syscall.EROFS}, Stays: true},
	{Name: "EDQUOT once", Action: Action{Error: syscall.EDQUOT}},
	{Name: "short write", Action: Action{Short: true}, Writes: true},
	{Name: "short write, then ENOSPC", Action: Action{Short: true}, Writes: true, Then: syscall.ENOSPC},
}

// ReadFault is met by calls that only read as well.
var ReadFault = Fault{Name: "EIO once, reading too", Action: Action{Error: syscall.EIO}}

// at is what to decide so that call n, and perhaps those after it, meet the fault. What it adds to hits is how many did.
func (f Fault) at(n int, hits *int) func(Call) Action {
	return func(c Call) Action {
		switch {
		case c.Number == n:
			*hits++
			return f.Action
		case c.Number > n && f.Then != 0:
			return Action{Error: f.Then}
		case c.Number > n && f.Stays:
			return f.Action
		default:
			return Action{}
		}
	}
}

// reason is what the program is told of the fault; 0: nothing.
func (f Fault) reason() syscall.Errno {
	if f.Then != 0 {
		return f.Then
	}
	return f.Error
}

// points are the calls that can meet the fault.
func (f Fault) points(calls []Call) []int {
	var out []int
	for _, c := range calls {
		if !f.Writes || slices.Contains([]string{"write", "pwrite64"}, c.Name) {
			out = append(out, c.Number)
		}
	}
	return out
}
