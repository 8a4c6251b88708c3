package faults

import (
	"errors"
	"fmt"
	"math/rand/v2"
	"os"
	"path/filepath"
	"strings"
)

// Losses is what one way of writing files loses, whoever does it.
type Losses struct {
	Writer string
	// Gone is how many paths of the owner's, which nobody asked to be replaced, are gone or changed when nothing fails.
	Gone int
	// Kills and Cuts are runs that were ended by SIGKILL or by a power cut; Torn are those of them after which a file is neither as
	// before nor as after.
	Kills, KillsTorn, Cuts, CutsTorn int
	// Done is how often the power was cut right after the program had said that it was done; Undone, how often that was not so.
	Done, Undone int
}

// SimpleStory is what an edit of Mirrorlet's comes to, to be done by a simple writer: the same files before, the same files wanted.
func SimpleStory(edit Story, method, folder string) (Story, error) {
	wanted := Tree{}
	for _, r := range edit.State.Records {
		if n := edit.After[r.Path]; n.Mode.IsRegular() {
			wanted[r.Path] = n
		}
	}
	for path, n := range wanted {
		if err := os.MkdirAll(filepath.Dir(folder+path), 0o755); err != nil {
			return Story{}, err
		}
		if err := n.write(folder + path); err != nil {
			return Story{}, err
		}
	}
	return Story{Name: method, Verb: method, Args: []string{"--wanted", folder}, Pristine: edit.Pristine, Before: edit.Before.Only(theirs)}, nil
}

// Losses plays a story at every stride-th call with SIGKILL and with a power cut, and cuts the power eight times after the end. It
// does not judge whether the program repairs anything afterwards. The story needs no After.
func (p Program) Losses(s Story, stride int, scratch string) (Losses, error) {
	l := Losses{Writer: s.Name}
	root, err := os.MkdirTemp(scratch, "after-")
	if err != nil {
		return l, err
	}
	calls, err := p.Calls(s, root, false)
	if err != nil {
		return l, err
	}
	if s.After, err = ReadTree(root); err != nil {
		return l, err
	}
	l.Gone = len(s.gone())
	for n := 1; n <= len(calls); n += stride {
		torn, err := p.kill(s, n, scratch)
		if err != nil {
			return l, err
		}
		l.Kills++
		l.KillsTorn += torn
	}
	return l, errors.Join(p.cuts(s, len(calls), stride, scratch, &l), os.RemoveAll(root))
}

// gone are the paths of the owner's that are not as they were, though the host had them to the end and nobody wanted another thing
// there.
func (s Story) gone() []string {
	var out []string
	for path, n := range s.Pristine {
		if s.Before[path] == n && s.After[path] != n {
			out = append(out, path)
		}
	}
	return out
}

// kill is 1 if a kill leaves something torn.
func (p Program) kill(s Story, n int, scratch string) (int, error) {
	root, err := os.MkdirTemp(scratch, "kill-")
	if err != nil {
		return 0, err
	}
	if err := s.Before.Write(root); err != nil {
		return 0, err
	}
	hits := 0
	_, err = Run(Command{Path: string(p), Args: s.args(root), Tree: root}, Fault{Action: Action{Kill: true}}.at(n, &hits))
	if err == nil && hits != 1 {
		err = fmt.Errorf("%s: there is no call %d", s.Name, n)
	}
	torn, e := s.torn(root)
	return torn, errors.Join(err, e, os.RemoveAll(root))
}

// torn is 1 if any path is neither as before nor as after. Files that a writer has not renamed yet do not count.
func (s Story) torn(root string) (int, error) {
	now, err := ReadTree(root)
	if err != nil {
		return 0, err
	}
	return min(1, len(s.between(now.Only(func(path string) bool { return !strings.HasSuffix(path, ".tmp") })))), nil
}

// trials is how often the power is cut after the end.
const trials = 8

func (p Program) cuts(s Story, calls, stride int, scratch string, l *Losses) error {
	folder, err := os.MkdirTemp(scratch, "disk-")
	if err != nil {
		return err
	}
	work, err := os.MkdirTemp(scratch, "work-")
	if err != nil {
		return err
	}
	d, err := DiskFor(s, folder)
	if err != nil {
		return err
	}
	cuts := Blackouts(calls/stride, calls, rand.New(rand.NewPCG(1, 2)))
	for range trials {
		cuts = append(cuts, Blackout{At: calls + 1, Journal: journalLost})
	}
	for _, b := range cuts {
		if _, err := p.CutPower(s, b, d, work, func(host string, done bool) []string { return l.count(s, host, done) }); err != nil {
			return err
		}
	}
	return errors.Join(os.RemoveAll(folder), os.RemoveAll(work))
}

// count looks at a host after a power cut.
func (l *Losses) count(s Story, host string, done bool) []string {
	torn, err := s.torn(host)
	now, e := ReadTree(host)
	if err = errors.Join(err, e); err != nil {
		return []string{err.Error()}
	}
	l.Cuts++
	l.CutsTorn += torn
	if done {
		l.Done++
		l.Undone += min(1, len(Differences(now.Only(theirs), s.After.Only(theirs))))
	}
	return nil
}
