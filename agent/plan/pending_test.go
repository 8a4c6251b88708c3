package plan

import (
	"slices"
	"testing"

	"github.com/mirrorlet/mirrorlet/runtimes"
)

func TestWhatMustFollowIsOneActionForEachRuntime(t *testing.T) {
	change := func(runtime string, action runtimes.Action) Change {
		return Change{Path: "/" + runtime, New: Node{Kind: Regular}, Runtime: runtime, Action: action}
	}
	noted := Moment{Boot: "b", Since: 7}
	before := []PendingAction{{Runtime: "crio", Action: runtimes.Reload, Moment: noted}, {Runtime: "docker", Action: runtimes.RestartRuntime, Moment: noted}}
	kept := slices.Clone(before)
	silent := change("podman", runtimes.Reload)
	silent.Old = silent.New
	got := Pend(before, []Change{
		change("containerd", runtimes.NoAction), change("crio", runtimes.Reload), change("docker", runtimes.Reload), change("new", runtimes.Reload),
		change("new", runtimes.RestartRuntime), silent,
	})
	want := []PendingAction{
		{Runtime: "crio", Action: runtimes.Reload}, {Runtime: "docker", Action: runtimes.RestartRuntime}, {Runtime: "new", Action: runtimes.RestartRuntime},
	}
	if !slices.Equal(got, want) {
		t.Errorf("got %v", got)
	}
	if !slices.Equal(before, kept) {
		t.Error("what was pending was written to")
	}
	if got := Pend(before, nil); !slices.Equal(got, before) {
		t.Errorf("without changes: %v", got)
	}
}
