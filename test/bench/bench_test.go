package bench_test

import (
	"strings"
	"testing"
	"time"

	"github.com/mirrorlet/mirrorlet/test/bench"
	"github.com/mirrorlet/mirrorlet/test/lab"
	"github.com/mirrorlet/mirrorlet/test/parts"
)

func TestMain(m *testing.M) { lab.Main(m) }

func TestTheNextPullObeysAnEditAtTheMomentThatIsTaken(t *testing.T) {
	lab.NeedAPIServer(t)
	_, err := parts.Path("containerd-2.4")
	lab.Need(t, err)
	l := lab.Start(t)
	programs, err := bench.Build(lab.Scratch())
	must(t, err)
	b, err := bench.NewBed(l, programs, 2)
	defer func() { must(t, b.Close()) }()
	must(t, err)
	for i := range 2 {
		e, err := b.Edit(i == 0)
		must(t, err)
		must(t, b.Pull())
		if e.Answered <= 0 || e.Told <= 0 || e.Obeyed < e.Told/2 || e.Polled <= 0 || (e.Proven > e.Obeyed) != (i == 0) {
			t.Errorf("these times cannot be: %+v", e)
		}
	}
}

func TestPercentilesAreOfWhatWasMeasured(t *testing.T) {
	edits := make([]bench.Edit, 200)
	for i := range edits {
		edits[i].Obeyed = time.Duration(i+1) * time.Millisecond
	}
	edits[0].Proven = 7 * time.Millisecond
	var out strings.Builder
	must(t, bench.Print(&out, edits))
	for line, want := range map[string]string{
		"mirrorlet: the next pull obeys": "100.0 180.0 198.0 200.0 200", "with the proof": "7.0 7.0 7.0 7.0 1", "a poll every second": "- - - - 0",
	} {
		if !strings.Contains(strings.Join(strings.Fields(out.String()), " "), want) {
			t.Errorf("%s: no %q in\n%s", line, want, &out)
		}
	}
}

func must(t *testing.T, err error) {
	t.Helper()
	if err != nil {
		t.Fatal(err)
	}
}
