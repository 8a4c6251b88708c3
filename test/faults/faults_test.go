package faults

import (
	"os"
	"slices"
	"testing"
)

// often are the faults that are tried at every call by each make test; the others at every eleventh, and at every one by make soak.
var often = []string{"SIGKILL", "ENOSPC once"}

const seldom = 11

func TestEachPathIsAsBeforeOrAsAfterAndIsRepairedWhateverFailsAtAnyCall(t *testing.T) {
	p, stories := told(t)
	scratch := ram(t)
	for _, s := range stories {
		calls := callsOf(t, p, s, scratch, false)
		for _, f := range Faults {
			stride := seldom
			if slices.Contains(often, f.Name) {
				stride = 1
			}
			stands(t, p, s, f, calls, stride, false, scratch)
		}
	}
}

func TestWhatCannotBeReadIsNeverTakenForNothing(t *testing.T) {
	p, stories := told(t)
	scratch := ram(t)
	for _, s := range stories {
		calls := callsOf(t, p, s, scratch, true)
		stands(t, p, s, ReadFault, calls, 3*seldom, true, scratch)
	}
}

func callsOf(t *testing.T, p Program, s Story, scratch string, reads bool) []Call {
	t.Helper()
	root, err := os.MkdirTemp(scratch, "calls-")
	if err != nil {
		t.Fatal(err)
	}
	calls, err := p.Calls(s, root, reads)
	if err != nil {
		t.Fatal(err)
	}
	return calls
}

// maxShown is how many things that are wrong are shown of one row.
const maxShown = 10

func stands(t *testing.T, p Program, s Story, f Fault, calls []Call, stride int, reads bool, scratch string) {
	t.Helper()
	row, err := p.Try(s, f, calls, stride, reads, scratch)
	if err != nil {
		t.Fatal(err)
	}
	shows(t, row, len(calls))
}

func shows(t *testing.T, row Row, calls int) {
	t.Helper()
	t.Logf("%s, %s: at %d of %d calls, %d wrong", row.Story, row.Fault, row.Points, calls, len(row.Wrong))
	if row.Points == 0 {
		t.Errorf("%s, %s: at no call", row.Story, row.Fault)
	}
	for _, wrong := range row.Wrong[:min(maxShown, len(row.Wrong))] {
		t.Errorf("%s, %s: %s", row.Story, row.Fault, wrong)
	}
}
