package faults

import (
	"math/rand/v2"
	"path/filepath"
	"testing"
)

// cutsInATest is how many power cuts a test makes over all stories; make soak makes thousands.
const cutsInATest = 200

func TestAPowerCutLosesNothingThatWasAcknowledged(t *testing.T) {
	p, stories := told(t)
	scratch := ram(t)
	total := 0
	for _, s := range stories {
		total += len(callsOf(t, p, s, scratch, false))
	}
	for _, s := range stories {
		calls := len(callsOf(t, p, s, scratch, false))
		n := max(8, 1+cutsInATest*calls/total)
		row, err := p.Blackouts(s, Blackouts(n, calls, rand.New(rand.NewPCG(3, uint64(calls)))), scratch)
		if err != nil {
			t.Fatal(err)
		}
		shows(t, row, calls)
	}
}

func TestTheHarnessSeesWhatSimpleWritersLose(t *testing.T) {
	p, stories := told(t)
	scratch := ram(t)
	simple := built(t, "./simple")
	for _, c := range []struct {
		method                string
		gone, torn, cut, late bool
	}{
		{"truncate", false, true, true, true},
		{"clear", true, true, true, true},
		{"rename", false, false, true, true},
	} {
		s, err := SimpleStory(stories[1], c.method, filepath.Join(t.TempDir(), "wanted"))
		if err != nil {
			t.Fatal(err)
		}
		l := losses(t, simple, s, scratch)
		if got := l.Gone > 0; got != c.gone {
			t.Errorf("%s: %d paths of the owner's are gone when nothing fails", c.method, l.Gone)
		}
		if got := l.KillsTorn > 0; got != c.torn {
			t.Errorf("%s: %d of %d kills tear a file", c.method, l.KillsTorn, l.Kills)
		}
		if got := l.Undone > 0; got != c.late {
			t.Errorf("%s: %d of %d updates that were done are lost", c.method, l.Undone, l.Done)
		}
	}
	if l := losses(t, p, stories[1], scratch); l.Gone+l.KillsTorn+l.CutsTorn+l.Undone > 0 {
		t.Errorf("a commit loses something: %+v", l)
	}
}

func losses(t *testing.T, p Program, s Story, scratch string) Losses {
	t.Helper()
	l, err := p.Losses(s, 8, scratch)
	if err != nil {
		t.Fatal(err)
	}
	t.Logf("%+v", l)
	return l
}
