package plan

import (
	"errors"
	"fmt"
	"io/fs"
	"path"
	"slices"

	"github.com/mirrorlet/mirrorlet/runtimes"
)

// Found is a runtime of the host and what detection said of it.
type Found struct {
	Runtime  runtimes.Runtime
	Facts    runtimes.Facts
	Problems []runtimes.Problem
}

// Plan is what is to be done to a host, and what cannot be.
type Plan struct {
	Found    []Found
	Changes  []Change
	Problems []runtimes.Problem
	// Revision names what will then be written for the runtimes; empty for nothing.
	Revision string
}

// Covers says that a problem excuses the registry from being as the intent wants it.
func (p Plan) Covers(registry string) bool {
	return slices.ContainsFunc(p.Problems, func(problem runtimes.Problem) bool {
		return problem.Registry == registry && problem.Reason.Effect() != runtimes.Noted && problem.Reason != runtimes.ForeignEdit
	})
}

// Input is all that a plan depends on.
type Input struct {
	Intent runtimes.Intent
	Found  []Found
	State  State
	// Proof is the address of the registry on loopback that waits for the runtimes' proof; empty for none.
	Proof string
	// Host is the host as it is; Node reads one path of it with all that is needed to put it back.
	Host fs.FS
	Node func(path string) (Node, error)
}

// Build plans the way from the host as it is to the intent. It fails only when the host cannot be read.
func Build(in Input) (Plan, error) {
	p := Plan{Found: in.Found}
	host := &witness{FS: in.Host}
	without := Without(host, in.State)
	files, problems := in.render(in.Intent, without)
	p.Revision, p.Problems = revision(files), problems
	if in.Proof != "" && p.Revision != "" {
		files, p.Problems = in.render(in.proven(p.Revision), without)
	}
	if host.err != nil {
		return p, host.err
	}
	changes, problems, err := Diff(in, files)
	p.Changes, p.Problems = changes, append(p.Problems, problems...)
	return p, err
}

// Leave plans the way back: everything that the state knows of goes back to its owner. It needs neither documents nor runtimes.
func Leave(state State, node func(path string) (Node, error)) (Plan, error) {
	changes, problems, err := Diff(Input{State: state, Node: node}, nil)
	return Plan{Changes: changes, Problems: problems}, err
}

// Diff compares the files that should be there with those that are. What goes away comes last and in reverse, so that no file is
// ever left that mentions a missing one; what belongs to a held registry stays as it is.
func Diff(in Input, files []runtimes.File) ([]Change, []runtimes.Problem, error) {
	d := differ{Input: in, needed: map[string]bool{}}
	if err := d.hosts(); err != nil { // first: the files name mirrors that are found by it
		return nil, nil, &Obstacle{runtimes.HostsFile, runtimes.HostsFile, err}
	}
	for _, f := range files {
		if err := d.write(f); err != nil {
			return nil, nil, &Obstacle{f.Path, f.Registry, err}
		}
	}
	for _, r := range in.State.Records {
		if slices.Contains(in.Intent.Held, r.Registry) && r.Registry != "" {
			d.need(r.Path)
		}
	}
	for _, r := range slices.Backward(in.State.Records) {
		if d.needed[r.Path] {
			continue
		}
		if err := d.giveBack(r); err != nil {
			return nil, nil, &Obstacle{r.Path, r.Registry, err}
		}
	}
	return order(d.changes, files), d.problems, nil
}

// ErrInTheWay says that something stands at a path which nobody may replace by a file of ours.
var ErrInTheWay = errors.New("is in the way")

// Obstacle is an error that has to do with one path, and so with one registry only: the others can do without it.
type Obstacle struct {
	Path, Registry string
	Err            error
}

// Error is that of Err, which names a path.
func (o *Obstacle) Error() string { return o.Err.Error() }

// Unwrap returns Err.
func (o *Obstacle) Unwrap() error { return o.Err }

type differ struct {
	Input
	needed   map[string]bool // paths that stay ours
	changes  []Change
	problems []runtimes.Problem
}

// need marks a path and the folders above it.
func (d *differ) need(p string) {
	for ; p != "/" && !d.needed[p]; p = path.Dir(p) {
		d.needed[p] = true
	}
}

func (d *differ) write(f runtimes.File) error {
	if err := d.folders(path.Dir(f.Path), f); err != nil {
		return err
	}
	d.need(f.Path)
	now, err := d.Node(f.Path)
	if err != nil {
		return err
	}
	if now.Kind == Directory || now.Kind == Other {
		return fmt.Errorf("%s %w: a file is to be written there, and it is none; move it away", f.Path, ErrInTheWay)
	}
	want := Node{Kind: Regular, Mode: f.Mode, Label: now.Label, Content: f.Content}
	record, known := d.State.Record(f.Path)
	if now.Same(want) {
		return nil
	}
	if known && !ours(record, now) {
		d.problem(record, "was changed by somebody else and is put back; change the MirrorConfig instead")
	}
	d.changes = append(d.changes, Change{
		Path: f.Path, Old: now, New: want, Secret: f.Secret, Action: f.Action, Runtime: f.Runtime, Registry: f.Registry, From: f.From,
	})
	return nil
}

// folders adds the folders that are missing on the way to a file.
func (d *differ) folders(dir string, f runtimes.File) error {
	if dir == "/" || d.needed[dir] {
		return nil
	}
	if err := d.folders(path.Dir(dir), f); err != nil {
		return err
	}
	d.need(dir)
	info, err := fs.Stat(d.Host, dir[1:])
	switch {
	case err == nil && info.IsDir():
		return nil
	case err == nil:
		return fmt.Errorf("%s %w: a folder is needed there, and it is none; move it away", dir, ErrInTheWay)
	}
	now, err := d.Node(dir)
	if err != nil {
		return err
	}
	if now.Kind != Absent {
		return fmt.Errorf("%s %w: it leads nowhere; mend it or move it away", dir, ErrInTheWay)
	}
	d.changes = append(d.changes, Change{Path: dir, New: Node{Kind: Directory, Mode: 0o755}, Registry: f.Registry, From: f.From})
	return nil
}

// giveBack returns a path to its owner: as it was, if it still is as we left it; what somebody else has put there since is his, and
// the original goes beside it.
func (d *differ) giveBack(r Record) error {
	now, err := d.Node(r.Path)
	if err != nil {
		return err
	}
	back := Change{
		Path: r.Path, Old: now, New: r.Before, Secret: r.Secret, Shared: r.Shared, Action: r.Action, Runtime: r.Runtime, Registry: r.Registry,
		From: r.From, Release: true,
	}
	if r.Shared {
		back.New, err = withoutBlock(now, r)
		d.changes = append(d.changes, back)
		return err
	}
	if ours(r, now) || now.Kind == Absent && r.Before.Kind != Directory {
		d.changes = append(d.changes, back)
		return nil
	}
	if r.Before.Kind != Absent && r.Before.Kind != Directory {
		beside := back
		beside.Path += ".mirrorlet-original"
		if beside.Old, err = d.Node(beside.Path); err != nil {
			return err
		}
		d.changes = append(d.changes, beside)
		d.problem(r, "was changed by somebody else and stays as it is; what was there before Mirrorlet is now in "+beside.Path)
	} else if now.Kind != Directory {
		d.problem(r, "was changed by somebody else and stays as it is")
	}
	back.New = now
	d.changes = append(d.changes, back)
	return nil
}

func (d *differ) problem(r Record, message string) {
	d.problems = append(d.problems, runtimes.Problem{Registry: r.Registry, Reason: runtimes.ForeignEdit, From: r.Path, Message: r.Path + " " + message})
}

// ours says that a path that is not shared holds what we wrote, what we were about to write, or what was there before us.
func ours(r Record, now Node) bool {
	s := now.Sum()
	return s == r.Wrote || r.Next != nil && s == *r.Next || s == r.Before.Sum()
}
