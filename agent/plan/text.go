package plan

import (
	"bytes"
	"fmt"
	"io"
	"path"
	"strings"
	"text/tabwriter"

	"github.com/mirrorlet/mirrorlet/runtimes"
	"github.com/rogpeppe/go-internal/diff"
)

// Verb is what a change does to its path, as a person reads it.
func (c Change) Verb() string {
	switch {
	case c.Old.Kind == Absent:
		return "add"
	case c.New.Kind == Absent:
		return "remove"
	case c.Release:
		return "restore"
	default:
		return "change"
	}
}

// Visible are the changes that a person counts: files, and not the folders around them, what only the state needs to know, or the entry
// for the proof of effect, which goes with every change.
func (p Plan) Visible() []Change {
	var out []Change
	for _, c := range p.Changes {
		if !c.Silent() && !runtimes.IsProof(c.Registry) && c.Old.Kind != Directory && c.New.Kind != Directory {
			out = append(out, c)
		}
	}
	return out
}

// IsEmpty says that nothing is to be done.
func (p Plan) IsEmpty() bool { return len(p.Changes) == 0 }

// TextOptions says how a plan is printed.
type TextOptions struct {
	// Diff shows the content of each change; secret content only as a digest.
	Diff bool
	// Done says that the changes have been made.
	Done bool
}

// WriteText prints the plan for a person: the runtimes, the changes, the problems, and a line that counts.
func (p Plan) WriteText(w io.Writer, o TextOptions) error {
	var b strings.Builder
	for _, f := range p.Found {
		writeFacts(&b, f.Facts)
	}
	p.writeChanges(&b, o)
	for _, problem := range p.Problems {
		fmt.Fprintln(&b, ProblemLine(problem))
	}
	fmt.Fprintln(&b, p.summary(o.Done))
	_, err := io.WriteString(w, b.String())
	return err
}

func writeFacts(b *strings.Builder, f runtimes.Facts) {
	fmt.Fprintf(b, "%s, %s %s, ", f.Title(), path.Base(f.Target), f.Target)
	if f.Reads() {
		fmt.Fprintln(b, "no restart needed")
	} else {
		fmt.Fprintln(b, "which it does not read (see below)")
	}
	if len(f.Notes) > 0 {
		fmt.Fprintf(b, "  %s\n", strings.Join(f.Notes, ", "))
	}
}

var marks = map[string]string{"add": "+", "change": "~", "restore": "~", "remove": "-"}

func (p Plan) writeChanges(b *strings.Builder, o TextOptions) {
	visible := p.Visible()
	if o.Diff {
		for _, c := range visible {
			fmt.Fprintf(b, "%s %s  from %s\n%s", marks[c.Verb()], p.short(c.Path), c.From, c.UnifiedDiff())
		}
		return
	}
	t := tabwriter.NewWriter(b, 0, 0, 8, ' ', 0)
	for _, c := range visible {
		fmt.Fprintf(t, "%s %s\tfrom %s\n", marks[c.Verb()], p.short(c.Path), c.From)
	}
	t.Flush() // to a strings.Builder, which does not fail
}

// short is a path as the lines above it let it be told: certs.d/gcr.io/hosts.toml.
func (p Plan) short(file string) string {
	for _, f := range p.Found {
		if rest, below := strings.CutPrefix(file, path.Dir(f.Facts.Target)+"/"); below {
			return rest
		}
	}
	return file
}

// ProblemLine is a problem as one line, with a mark for its effect: "=" for what somebody else has decided, "!" for what is not
// applied, "i" for what is.
func ProblemLine(p runtimes.Problem) string {
	if p.Reason == runtimes.Conflict { // it names its remedy, and is nobody's mistake: no page need be read
		return "= " + p.Registry + ": " + p.Message
	}
	switch p.Reason.Effect() {
	case runtimes.InConflict:
		return "= " + p.String()
	case runtimes.Noted:
		return "i " + p.String()
	default:
		return "! " + p.String()
	}
}

// verbs are those of changes, as something to do and as done; the first two are always counted.
var verbs = []struct{ verb, todo, done string }{
	{"add", "to add", "added"}, {"change", "to change", "changed"}, {"remove", "to remove", "removed"}, {"restore", "to restore", "restored"},
}

// Outcome counts what was done, once the changes are made, and what was not.
func (p Plan) Outcome() string { return p.summary(true) }

func (p Plan) summary(done bool) string {
	counts := map[string]int{}
	for _, c := range p.Visible() {
		counts[c.Verb()]++
	}
	effects := map[runtimes.Effect]int{}
	for _, problem := range p.Problems {
		effects[problem.Reason.Effect()]++
	}
	var parts []string
	for i, v := range verbs {
		word := v.todo
		if done {
			word = v.done
		}
		if i < 2 || counts[v.verb] > 0 {
			parts = append(parts, fmt.Sprintf("%d %s", counts[v.verb], word))
		}
	}
	for _, e := range []struct {
		effect   runtimes.Effect
		one, all string
	}{
		{runtimes.NotValid, "wrong", "wrong"},
		{runtimes.NotRead, "not read", "not read"},
		{runtimes.NotExpressible, "not expressible", "not expressible"},
		{runtimes.InConflict, "conflict", "conflicts"},
	} {
		switch n := effects[e.effect]; {
		case n == 1:
			parts = append(parts, "1 "+e.one)
		case n > 1:
			parts = append(parts, fmt.Sprintf("%d %s", n, e.all))
		}
	}
	return strings.Join(parts, ", ")
}

// UnifiedDiff shows a change as patch(1) would read it. Secret content is shown as its digest only.
func (c Change) UnifiedDiff() string {
	old, next := "/dev/null", "/dev/null"
	if c.Old.Kind != Absent {
		old = c.Path
	}
	if c.New.Kind != Absent {
		next = c.Path
	}
	return string(diff.Diff(old, c.shown(c.Old), next, c.shown(c.New)))
}

func (c Change) shown(n Node) []byte {
	switch {
	case n.Kind == Symlink:
		return []byte("symbolic link to " + n.Target + "\n")
	case n.Kind == Regular && (c.Secret || private(n)):
		return fmt.Appendf(nil, "secret, %d bytes, sha256:%s\n", len(n.Content), digest(n.Content))
	default:
		return n.Content
	}
}

// private says that a file is not for everybody to see: its owner keeps others from reading it, or it holds a login. What is replaced
// may be the owner's own, or ours of when it had a login.
func private(n Node) bool {
	return n.Mode&0o004 == 0 || bytes.Contains(bytes.ToLower(n.Content), []byte("authorization"))
}
