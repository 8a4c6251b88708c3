package faults

import (
	"fmt"
	"os"
	"path/filepath"
	"sync"
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

// Try tries a fault at every stride-th call of a story, in several workers. Each has a folder of its own below scratch.
func (p Program) Try(s Story, f Fault, calls []Call, stride int, reads bool, scratch string) (Row, error) {
	row := Row{Story: s.Name, Fault: f.Name}
	points := f.points(calls)
	next, found := make(chan int), make(chan []string, len(points))
	var workers sync.WaitGroup
	for range Workers {
		root, err := os.MkdirTemp(scratch, "host-")
		if err != nil {
			return row, err
		}
		workers.Go(func() {
			for n := range next {
				found <- at(calls[n-1], p.standFresh(s, f, n, reads, root))
			}
		})
	}
	for i := 0; i < len(points); i += stride {
		row.Points++
		next <- points[i]
	}
	close(next)
	workers.Wait()
	close(found)
	for wrong := range found {
		row.Wrong = append(row.Wrong, wrong...)
	}
	return row, nil
}

// Workers is how many runs go on side by side: as many as small machines have processors.
const Workers = 2

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
func at(c Call, wrong []string) []string {
	out := make([]string, len(wrong))
	for i, w := range wrong {
		out[i] = fmt.Sprintf("%s: %s", c, w)
	}
	return out
}
