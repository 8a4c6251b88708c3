package faults

import (
	"fmt"
	"io/fs"
	"reflect"
	"slices"
	"strings"
	"syscall"

	"github.com/mirrorlet/mirrorlet/agent/plan"
)

// Judge says what is wrong after a story has met a fault, and the fault is gone. It plays on: a host that was hit is left at once, and
// one that was hit is repaired by the same command, and then left. All of it must come to what the story promises:
//
//   - each path is as before or as after the story, in bytes, mode, owner and target of a link;
//   - what was the owner's is at its place, or kept;
//   - the state can be read, by the program's own reader;
//   - the next run comes to exactly what was wanted, and leaves nothing unfinished;
//   - leaving, from either, gives back exactly what was there before the program came.
//
// Two roots are needed: the host that was hit, and an empty folder for the second one.
func (p Program) Judge(s Story, root, spare string) []string {
	now, state, err := look(root)
	if err != nil {
		return []string{fmt.Sprintf("the state cannot be read: %v", err)}
	}
	wrong := append(s.between(now), s.lost(now, state)...)
	leave := Story{Name: "leave", Verb: "uninstall"}
	if err := now.Write(spare); err != nil {
		return append(wrong, fmt.Sprintf("copy the host: %v", err))
	}
	wrong = append(wrong, p.leads(spare, leave, s.Pristine, plan.State{}, "leaving at once")...)
	wrong = append(wrong, p.leads(root, s, s.After, s.State, "the next run")...)
	return append(wrong, p.leads(root, leave, s.Pristine, plan.State{}, "leaving after the next run")...)
}

// between says which paths are neither as before nor as after the story.
func (s Story) between(now Tree) []string {
	var wrong []string
	for _, path := range paths(now, s.Before, s.After) {
		if n := now[path]; theirs(path) && n != s.Before[path] && n != s.After[path] {
			wrong = append(wrong, fmt.Sprintf("%s is neither as before nor as after: %v", path, n))
		}
	}
	return wrong
}

// lost says what of the owner's is neither at its place nor remembered as it was.
func (s Story) lost(now Tree, state plan.State) []string {
	var wrong []string
	for path, n := range s.Pristine {
		r, ok := state.Record(path)
		if ok && r.Shared {
			n, now[path] = without(n), without(now[path])
		}
		if now[path] != n && (!ok || keptAs(r.Before) != n) {
			wrong = append(wrong, fmt.Sprintf("%s of the owner is lost", path))
		}
	}
	return wrong
}

// without is a shared file without the program's part: the rest is its owner's, and stays in its place.
func without(n Node) Node {
	if rest, err := plan.HostsFile([]byte(n.Content), nil); err == nil {
		n.Content = string(rest)
	}
	return n
}

// keptAs is a node that is remembered, as one of a tree.
func keptAs(n plan.Node) Node {
	switch n.Kind {
	case plan.Regular:
		return Node{Mode: n.Mode, UID: n.UID, GID: n.GID, Content: string(n.Content)}
	case plan.Symlink:
		return Node{Mode: fs.ModeSymlink | 0o777, UID: n.UID, GID: n.GID, Content: n.Target}
	default:
		return Node{Mode: n.Mode | fs.ModeDir, UID: n.UID, GID: n.GID}
	}
}

// leads runs the program and says how what comes of it differs from what should.
func (p Program) leads(root string, s Story, want Tree, state plan.State, what string) []string {
	if _, err := p.run(root, s); err != nil {
		return []string{fmt.Sprintf("%s fails: %v", what, err)}
	}
	now, remembered, err := look(root)
	if err != nil {
		return []string{fmt.Sprintf("%s: %v", what, err)}
	}
	var wrong []string
	visible := func(path string) bool { return theirs(path) || unfinished(path) || len(state.Records) == 0 }
	for _, d := range Differences(now.Only(visible), want.Only(visible)) {
		wrong = append(wrong, what+": "+d)
	}
	if !reflect.DeepEqual(ordered(remembered), ordered(state)) {
		wrong = append(wrong, fmt.Sprintf("%s: what is remembered differs from what is after a run without a fault", what))
	}
	return wrong
}

// ordered is a state whose records are sorted: an interrupted run and the next one write in another order than one run.
func ordered(s plan.State) plan.State {
	s.Records = slices.SortedFunc(slices.Values(s.Records), func(a, b plan.Record) int { return strings.Compare(a.Path, b.Path) })
	return s
}

// Told says what is wrong with how a run ended that met an error: it must be told, with its reason, and if the program says nothing all must be as
// after the story. Where the error is met by somebody who only reads, such as the runtime's parser, one registry may be held and the
// others written, and the reason may be in other words.
func (s Story) Told(out Outcome, fault syscall.Errno, reads bool, now Tree) []string {
	switch {
	case reads && (out.Exit == 0 || out.Exit == 1 && strings.HasPrefix(out.Stderr, "mirrorlet: ")):
		return nil
	case out.Exit == 0:
		return Differences(now.Only(theirs), s.After.Only(theirs))
	case out.Exit != 1:
		return []string{fmt.Sprintf("it exits with %d", out.Exit)}
	case !strings.HasPrefix(out.Stderr, "mirrorlet: ") || !strings.Contains(out.Stderr, fault.Error()):
		return []string{fmt.Sprintf("it does not say why: %q", out.Stderr)}
	default:
		return nil
	}
}
