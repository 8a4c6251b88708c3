package host

import (
	"testing"
	"time"

	"github.com/mirrorlet/mirrorlet/agent/plan"
)

// rotation is a host on which a file has been replaced by another, the old one going after a pause.
func rotation(t *testing.T) (*Host, []plan.Change) {
	t.Helper()
	h := open(t)
	apply(t, h, []want{{"/etc/old.pem", file("old")}})
	todo := changes(t, h, []want{{"/etc/new.pem", file("new")}, {"/etc/old.pem", plan.Node{}}})
	todo[1].Pause = true
	return h, todo
}

func TestACommitWaitsWhereAChangeAsksForAPause(t *testing.T) {
	h, todo := rotation(t)
	h.Grace = 50 * time.Millisecond
	began := time.Now()
	check(t, h.Commit(t.Context(), todo, nil, nil))
	if took := time.Since(began); took < h.Grace {
		t.Errorf("it took %s", took)
	}
	holds(t, h, []want{{"/etc/new.pem", file("new")}, {"/etc/old.pem", plan.Node{}}})
}

// A kill in the pause leaves both files, and the old one goes with the next commit.
func TestWhatAKillInThePauseLeavesIsKnown(t *testing.T) {
	h, todo := rotation(t)
	was, err := h.settled()
	check(t, err)
	steps, err := h.check(was, todo)
	check(t, err)
	check(t, h.writeState(was.ahead(steps, nil, nil), true))
	_, err = h.make(steps[:1])
	check(t, err)
	h = again(t, h)
	state, err := h.LoadState()
	check(t, err)
	if len(state.Records) != 2 {
		t.Errorf("the state knows %+v", state.Records)
	}
	leave(t, h)
	holds(t, h, []want{{"/etc/new.pem", plan.Node{}}, {"/etc/old.pem", plan.Node{}}})
}

func TestWhereNobodyReadsACommitDoesNotWait(t *testing.T) {
	h, todo := rotation(t)
	check(t, h.Commit(t.Context(), todo, nil, nil))
	holds(t, h, []want{{"/etc/old.pem", plan.Node{}}})
}
