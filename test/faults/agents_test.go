package faults

import (
	"bufio"
	"math/rand/v2"
	"os"
	"os/exec"
	"path/filepath"
	"strings"
	"testing"
	"time"

	"github.com/mirrorlet/mirrorlet/agent/host"
)

// patience is far longer than an edit takes to reach the disk.
const patience = 20 * time.Second

// daemons are agents for one host, started twice by mistake, or by an update that starts the new one before the old one has gone.
type daemons struct {
	t       *testing.T
	program Program
	root    string
	config  string // the folder of documents
	lines   chan line
	running [2]*exec.Cmd
}

// line is what one of them has logged.
type line struct {
	from int
	text string
}

func (d *daemons) start(i int) {
	d.t.Helper()
	cmd := exec.Command(string(d.program), "agent", "--root", d.root, "--config", d.config, "--runtime", "containerd@2.4.2",
		"--proof=") // the entry for proofs differs between two agents on one machine, which have two ports
	log, err := cmd.StderrPipe()
	if err == nil {
		err = cmd.Start()
	}
	if err != nil {
		d.t.Fatal(err)
	}
	d.running[i] = cmd
	go func() {
		for s := bufio.NewScanner(log); s.Scan(); {
			d.lines <- line{i, s.Text()}
		}
	}()
}

// kill ends one at once.
func (d *daemons) kill(i int) {
	if d.running[i] == nil {
		return
	}
	_ = d.running[i].Process.Kill()
	_ = d.running[i].Wait()
}

// want replaces the documents, as an editor saves.
func (d *daemons) want(s Story) {
	d.t.Helper()
	content, err := os.ReadFile(filepath.Join(s.Args[1], "cluster.yaml"))
	file := filepath.Join(d.config, "cluster.yaml")
	if err == nil {
		err = os.WriteFile(file+".new", content, 0o644)
	}
	if err == nil {
		err = os.Rename(file+".new", file)
	}
	if err != nil {
		d.t.Fatal(err)
	}
}

// comes waits until the host is as after a story, and returns who has said to have applied that, oldest first. All the time the state
// can be read.
func (d *daemons) comes(s Story) []int {
	d.t.Helper()
	var applied []int
	want := s.After.Only(theirs)
	look := time.NewTicker(5 * time.Millisecond)
	defer look.Stop()
	for late := time.After(patience); ; {
		select {
		case l := <-d.lines:
			switch {
			case strings.Contains(l.text, "msg=applied"):
				applied = append(applied, l.from)
			case !strings.Contains(l.text, "level=INFO"):
				d.t.Errorf("agent %d says %s", l.from, l.text)
			}
		case <-look.C:
			d.readable()
		case <-late:
			now, err := ReadTree(d.root)
			d.t.Fatalf("the host does not come to what is wanted: %v, %v", Differences(now.Only(theirs), want), err)
		}
		if now, err := ReadTree(d.root); err == nil && len(applied) > 0 && len(Differences(now.Only(theirs), want)) == 0 {
			return applied
		}
	}
}

func (d *daemons) readable() {
	d.t.Helper()
	h, err := host.Open(d.root)
	if err == nil {
		_, err = h.LoadState()
	}
	if err != nil {
		d.t.Error(err)
	}
}

func twoAgents(t *testing.T) (*daemons, []Story) {
	p, stories := told(t)
	d := &daemons{t: t, program: p, root: ram(t), config: t.TempDir(), lines: make(chan line, 1000)}
	if err := stories[0].Before.Write(d.root); err != nil {
		t.Fatal(err)
	}
	d.want(stories[0])
	d.start(0)
	t.Cleanup(func() { d.kill(0); d.kill(1) })
	if who := d.comes(stories[0]); len(who) != 1 || who[0] != 0 {
		t.Fatalf("applied by %v", who)
	}
	d.start(1)
	return d, stories
}

func TestOfTwoAgentsOneWorksAndTheOtherTakesOver(t *testing.T) {
	d, stories := twoAgents(t)
	for i := range 10 {
		s, worker := stories[(i+1)%2], i%2
		d.want(s)
		if who := d.comes(s); len(who) != 1 || who[0] != worker {
			t.Fatalf("edit %d was applied by agents %v, want %d once", i, who, worker)
		}
		d.kill(worker) // the other one has been waiting
		d.start(worker)
	}
	d.quiet(stories[0])
}

func TestTwoAgentsThatAreKilledAtAnyMomentComeToWhatIsWanted(t *testing.T) {
	d, stories := twoAgents(t)
	random := rand.New(rand.NewPCG(5, 6))
	for i := range 30 {
		s := stories[(i+1)%2]
		d.want(s)
		time.Sleep(time.Duration(random.IntN(40)) * time.Millisecond) // the moment is what is tried
		victim := random.IntN(2)
		d.kill(victim)
		d.start(victim)
		d.settles(s)
	}
	d.quiet(stories[0])
	if now, err := ReadTree(d.root); err != nil || len(now.Only(unfinished)) > 0 {
		t.Errorf("left: %v, %v", now.Only(unfinished), err)
	}
}

// settles is comes for when the one who has applied it may have died before it could say so.
func (d *daemons) settles(s Story) {
	d.t.Helper()
	want := s.After.Only(theirs)
	look := time.NewTicker(5 * time.Millisecond)
	defer look.Stop()
	for late := time.After(patience); ; {
		select {
		case <-d.lines:
		case <-look.C:
			d.readable()
			if now, err := ReadTree(d.root); err == nil && len(Differences(now.Only(theirs), want)) == 0 {
				return
			}
		case <-late:
			now, err := ReadTree(d.root)
			d.t.Fatalf("the host does not come to what is wanted: %v, %v", Differences(now.Only(theirs), want), err)
		}
	}
}

// quiet is long enough for two agents that undo each other's work to be caught at it.
const quiet = 500 * time.Millisecond

// quiet fails if the host is ever different when nothing is asked for.
func (d *daemons) quiet(s Story) {
	d.t.Helper()
	look := time.NewTicker(5 * time.Millisecond)
	defer look.Stop()
	for enough := time.After(quiet); ; {
		select {
		case <-look.C:
			now, err := ReadTree(d.root)
			if changed := Differences(now.Only(theirs), s.After.Only(theirs)); err != nil || len(changed) > 0 {
				d.t.Fatalf("the host changes though nothing is asked for: %v, %v", changed, err)
			}
		case <-enough:
			return
		}
	}
}
