package faults

import (
	"fmt"
	"os"
	"path/filepath"
)

// Row says how one story stood one fault.
type Row struct {
	Story, Fault string
	// Points is at how many calls it was tried, each in a run of its own; Wrong what did not come out as promised, and where.
	Points int
	Wrong  []string
}

// Calls lists the calls of a story when nothing fails.
func (p Program) Calls(s Story, root string, reads bool) ([]Call, error) {
	var calls []Call
	if err := s.Before.Write(root); err != nil {
		return nil, err
	}
	out, err := Run(Command{Path: string(p), Args: s.args(root), Tree: root, Reads: reads}, func(c Call) Action {
		calls = append(calls, c)
		return Action{}
	})
	if err == nil && out.Exit != 0 {
		err = fmt.Errorf("%s ends with %d: %s", s.Name, out.Exit, out.Stderr)
	}
	return calls, err
}

// Stand tries a fault at one call of a story, and says what is wrong afterwards. The two folders must be empty.
func (p Program) Stand(s Story, f Fault, n int, reads bool, root, spare string) []string {
	hits := 0
	if err := s.Before.Write(root); err != nil {
		return []string{err.Error()}
	}
	out, err := Run(Command{Path: string(p), Args: s.args(root), Tree: root, Reads: reads}, f.at(n, &hits))
	switch {
	case err != nil:
		return []string{err.Error()}
	case hits != 1 || f.Kill != (out.Exit == -1):
		return []string{fmt.Sprintf("the fault has not happened: %d hits, exit %d", hits, out.Exit)}
	}
	var wrong []string
	if !f.Kill {
		now, err := ReadTree(root)
		if err != nil {
			return []string{err.Error()}
		}
		wrong = s.Told(out, f.reason(), reads, now)
	}
	return append(wrong, p.Judge(s, root, spare)...)
}

// Try tries a fault at every stride-th call of a story, in several workers. The scratch folder is on the file system to try it on.
func (p Program) Try(s Story, f Fault, calls []Call, stride int, reads bool, scratch string) (Row, error) {
	var points []int
	for i, n := range f.points(calls) {
		if i%stride == 0 {
			points = append(points, n)
		}
	}
	wrong, err := each(len(points), scratch, func(i int, folder string) []string {
		return at(calls[points[i]-1], p.standFresh(s, f, points[i], reads, folder))
	})
	return Row{Story: s.Name, Fault: f.Name, Points: len(points), Wrong: wrong}, err
}

// standFresh is Stand on hosts below a folder that are removed afterwards.
func (p Program) standFresh(s Story, f Fault, n int, reads bool, folder string) []string {
	root, spare := filepath.Join(folder, "hit"), filepath.Join(folder, "spare")
	for _, dir := range []string{root, spare} {
		if err := os.Mkdir(dir, 0o755); err != nil {
			return []string{err.Error()}
		}
	}
	wrong := p.Stand(s, f, n, reads, root, spare)
	if err := empty(folder); err != nil {
		wrong = append(wrong, err.Error())
	}
	return wrong
}

// at puts the place before each thing that is wrong.
func at(where fmt.Stringer, wrong []string) []string {
	out := make([]string, len(wrong))
	for i, w := range wrong {
		out[i] = fmt.Sprintf("%s: %s", where, w)
	}
	return out
}
