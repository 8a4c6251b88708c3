package faults

import (
	"errors"
	"math/rand/v2"
	"os/exec"
	"runtime"
	"slices"
	"strings"
	"testing"

	"github.com/mirrorlet/mirrorlet/test/lab"
)

// toldHosts is told with the stories about /etc/hosts.
func toldHosts(t *testing.T) (Program, []Story) {
	t.Helper()
	if runtime.GOARCH != "amd64" {
		lab.Need(t, errors.New("the tracer knows the registers of amd64 only"))
	}
	lab.Start(t)
	folder := t.TempDir()
	stories, err := HostsStories(folder)
	if err != nil {
		t.Fatal(err)
	}
	return tell(t, folder, HostsHost(), stories), stories
}

// hostsCuts is how many power cuts the test makes in each story: about one after each call that could lose something.
const hostsCuts = 24

func TestAPowerCutLosesNoByteOfTheHostsFile(t *testing.T) {
	_, err := exec.LookPath("mkfs.ext4")
	lab.Need(t, err)
	p, stories := toldHosts(t)
	scratch := ram(t)
	for _, s := range stories {
		calls := len(callsOf(t, p, s, scratch, false))
		row, err := p.Blackouts(s, Blackouts(hostsCuts, calls, rand.New(rand.NewPCG(5, uint64(calls)))), scratch)
		if err != nil {
			t.Fatal(err)
		}
		shows(t, row, calls)
	}
}

func TestEachByteOfTheHostsFileIsAsBeforeOrAsAfterWhateverFailsAtAnyCall(t *testing.T) {
	p, stories := toldHosts(t)
	if got := stories[1].After["/etc/hosts"].Content; !strings.HasPrefix(got, stories[0].Pristine["/etc/hosts"].Content+"\n") || !strings.Contains(got, "10.0.0.2 ") {
		t.Fatalf("without a fault it is %q", got)
	}
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
