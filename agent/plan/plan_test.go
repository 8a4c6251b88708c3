package plan

import (
	"fmt"
	"io/fs"
	"maps"
	"math/rand/v2"
	"path"
	"reflect"
	"slices"
	"strings"
	"testing"
	"testing/fstest"

	"github.com/mirrorlet/mirrorlet/runtimes"
)

// machine is a host in memory, which makes changes as package host makes them on a disk.
type machine struct {
	nodes map[string]Node
	state State
}

func (m *machine) fs() fs.FS {
	out := fstest.MapFS{}
	for p, n := range m.nodes {
		mode := n.Mode
		if n.Kind == Directory {
			mode |= fs.ModeDir
		}
		out[strings.TrimPrefix(p, "/")] = &fstest.MapFile{Data: n.Content, Mode: mode}
	}
	return out
}

func (m *machine) node(p string) (Node, error) { return m.nodes[p], nil }

func (m *machine) input(held ...string) Input {
	return Input{State: m.state, Host: m.fs(), Node: m.node, Intent: runtimes.Intent{Held: held}}
}

// make makes the changes one by one and checks that none of them could not be made on a disk.
func (m *machine) make(t *testing.T, changes []Change) {
	t.Helper()
	for _, c := range changes {
		if !m.nodes[c.Path].Same(c.Old) {
			t.Fatalf("%s: is %v, the change starts from %v", c.Path, m.nodes[c.Path], c.Old)
		}
		if dir := path.Dir(c.Path); c.New.Kind != Absent && dir != "/" && m.nodes[dir].Kind != Directory {
			t.Fatalf("%s: its folder is not there", c.Path)
		}
		m.record(c)
		switch {
		case c.Old.Kind == Directory && c.New.Kind == Absent && m.inside(c.Path):
		case c.New.Kind == Absent:
			delete(m.nodes, c.Path)
		default:
			m.nodes[c.Path] = c.New
		}
	}
}

func (m *machine) inside(dir string) bool {
	for p := range m.nodes {
		if strings.HasPrefix(p, dir+"/") {
			return true
		}
	}
	return false
}

func (m *machine) record(c Change) {
	i := slices.IndexFunc(m.state.Records, func(r Record) bool { return r.Path == c.Path })
	switch {
	case c.Release && i >= 0:
		m.state.Records = slices.Delete(m.state.Records, i, i+1)
	case c.Release:
	case i >= 0:
		m.state.Records[i].Wrote = c.New.Sum()
	default:
		m.state.Records = append(m.state.Records, Record{Path: c.Path, Before: c.Old, Wrote: c.New.Sum(), Registry: c.Registry, From: c.From, Secret: c.Secret})
	}
}

func planned(t *testing.T, in Input, files []runtimes.File) ([]Change, []runtimes.Problem) {
	t.Helper()
	changes, problems, err := Diff(in, files)
	if err != nil {
		t.Fatal(err)
	}
	return changes, problems
}

func leave(t *testing.T, m *machine) (Plan, map[string]Node) {
	t.Helper()
	p, err := Leave(m.state, m.node)
	if err != nil {
		t.Fatal(err)
	}
	m.make(t, p.Changes)
	return p, m.nodes
}

func wish(name, content string) runtimes.File {
	return runtimes.File{Path: name, Content: []byte(content), Mode: 0o644, Registry: path.Base(path.Dir(name)), From: "MirrorConfig/test"}
}

func regular(content string) Node { return Node{Kind: Regular, Mode: 0o644, Content: []byte(content)} }

func paths(changes []Change) string {
	var out []string
	for _, c := range changes {
		out = append(out, c.Verb()+" "+c.Path)
	}
	return strings.Join(out, "\n")
}

func TestFoldersComeFirstAndWhatGoesAwayComesLastInReverse(t *testing.T) {
	m := &machine{nodes: map[string]Node{"/etc": {Kind: Directory, Mode: 0o755}}}
	changes, _ := planned(t, m.input(), []runtimes.File{wish("/etc/d/a/ca.pem", "ca"), wish("/etc/d/a/hosts.toml", "uses ca.pem")})
	want := "add /etc/d\nadd /etc/d/a\nadd /etc/d/a/ca.pem\nadd /etc/d/a/hosts.toml"
	if got := paths(changes); got != want {
		t.Errorf("got:\n%s\nwant:\n%s", got, want)
	}
	m.make(t, changes)
	changes, _ = planned(t, m.input(), []runtimes.File{wish("/etc/d/b/hosts.toml", "b")})
	want = "add /etc/d/b\nadd /etc/d/b/hosts.toml\nremove /etc/d/a/hosts.toml\nremove /etc/d/a/ca.pem\nremove /etc/d/a"
	if got := paths(changes); got != want {
		t.Errorf("got:\n%s\nwant:\n%s", got, want)
	}
}

func TestReverseUndoesChangesInAnOrderThatIsSafe(t *testing.T) {
	m := &machine{nodes: map[string]Node{"/etc": {Kind: Directory, Mode: 0o755}, "/etc/x": regular("theirs")}}
	before := maps.Clone(m.nodes)
	changes, _ := planned(t, m.input(), []runtimes.File{wish("/etc/x", "ours"), wish("/etc/d/y", "y")})
	m.make(t, changes)
	m.make(t, Reverse(changes))
	if !reflect.DeepEqual(m.nodes, before) {
		t.Errorf("got %v, want %v", m.nodes, before)
	}
}

func TestAHeldRegistryStaysAsItIs(t *testing.T) {
	m := &machine{nodes: map[string]Node{"/etc": {Kind: Directory, Mode: 0o755}}}
	changes, _ := planned(t, m.input(), []runtimes.File{wish("/etc/a/hosts.toml", "a"), wish("/etc/b/hosts.toml", "b")})
	m.make(t, changes)
	changes, _ = planned(t, m.input("a"), nil)
	if got, want := paths(changes), "remove /etc/b/hosts.toml\nremove /etc/b"; got != want {
		t.Errorf("got:\n%s\nwant:\n%s", got, want)
	}
}

func TestAFileOfOursThatSomebodyChangedIsPutBackWhileWeStay(t *testing.T) {
	m := &machine{nodes: map[string]Node{"/etc": {Kind: Directory, Mode: 0o755}}}
	files := []runtimes.File{wish("/etc/hosts.toml", "ours")}
	changes, _ := planned(t, m.input(), files)
	m.make(t, changes)
	m.nodes["/etc/hosts.toml"] = regular("edited")
	changes, problems := planned(t, m.input(), files)
	if len(changes) != 1 || string(changes[0].New.Content) != "ours" || len(problems) != 1 || problems[0].Reason != runtimes.ForeignEdit {
		t.Errorf("changes %v, problems %v", changes, problems)
	}
}

func TestOnLeavingForeignBytesStayAndTheOriginalGoesBeside(t *testing.T) {
	m := &machine{nodes: map[string]Node{"/etc": {Kind: Directory, Mode: 0o755}, "/etc/hosts.toml": regular("original")}}
	changes, _ := planned(t, m.input(), []runtimes.File{wish("/etc/hosts.toml", "ours"), wish("/etc/new.toml", "ours")})
	m.make(t, changes)
	m.nodes["/etc/hosts.toml"], m.nodes["/etc/new.toml"] = regular("edited"), regular("edited too")
	p, nodes := leave(t, m)
	if string(nodes["/etc/hosts.toml"].Content) != "edited" || string(nodes["/etc/hosts.toml.mirrorlet-original"].Content) != "original" || string(nodes["/etc/new.toml"].Content) != "edited too" {
		t.Errorf("left behind: %v", nodes)
	}
	if len(p.Problems) != 2 || len(m.state.Records) != 0 {
		t.Errorf("problems %v, records %v", p.Problems, m.state.Records)
	}
}

func TestAFolderThatSomebodyElseUsesStays(t *testing.T) {
	m := &machine{nodes: map[string]Node{"/etc": {Kind: Directory, Mode: 0o755}}}
	changes, _ := planned(t, m.input(), []runtimes.File{wish("/etc/d/hosts.toml", "ours")})
	m.make(t, changes)
	m.nodes["/etc/d/theirs"] = regular("theirs")
	if _, nodes := leave(t, m); string(nodes["/etc/d/theirs"].Content) != "theirs" || nodes["/etc/d/hosts.toml"].Kind != Absent {
		t.Errorf("left behind: %v", nodes)
	}
}

func TestWhatIsInTheWayIsNamed(t *testing.T) {
	m := &machine{nodes: map[string]Node{"/etc": {Kind: Directory, Mode: 0o755}, "/etc/d": regular("a file"), "/etc/hosts.toml": {Kind: Directory}}}
	for _, f := range []string{"/etc/d/hosts.toml", "/etc/hosts.toml"} {
		if _, _, err := Diff(m.input(), []runtimes.File{wish(f, "")}); err == nil || !strings.Contains(err.Error(), "in the way") {
			t.Errorf("%s: %v", f, err)
		}
	}
}

// The host without us is the same before and after any number of changes, planning again plans nothing, and leaving restores all.
func TestAnyWayThroughPlansEndsWhereItBegan(t *testing.T) {
	for seed := uint64(1); seed <= 2000 && !t.Failed(); seed++ {
		r := rand.New(rand.NewPCG(seed, 2))
		m := &machine{nodes: map[string]Node{"/etc": {Kind: Directory, Mode: 0o755}}}
		for range r.IntN(6) {
			name := randomPath(r)
			if m.nodes[path.Dir(name)].Kind == Absent {
				m.nodes[path.Dir(name)] = Node{Kind: Directory, Mode: 0o700}
			}
			m.nodes[name] = Node{Kind: Regular, Mode: 0o600, UID: 7, Content: fmt.Appendf(nil, "owner %d", r.IntN(9))}
		}
		before := maps.Clone(m.nodes)
		for range 4 {
			files := randomFiles(r)
			changes, _ := planned(t, m.input(), files)
			m.make(t, changes)
			if again, _ := planned(t, m.input(), files); len(again) > 0 {
				t.Errorf("seed %d: after apply still to do:\n%s", seed, paths(again))
			}
			if err := seesOnly(before, Without(m.fs(), m.state)); err != nil {
				t.Errorf("seed %d: without us: %v", seed, err)
			}
		}
		if _, nodes := leave(t, m); !reflect.DeepEqual(nodes, before) {
			t.Errorf("seed %d: left %v\nwant %v", seed, nodes, before)
		}
	}
}

func randomPath(r *rand.Rand) string { return fmt.Sprintf("/etc/d%d/f%d", r.IntN(3), r.IntN(3)) }

func randomFiles(r *rand.Rand) []runtimes.File {
	var out []runtimes.File
	for range r.IntN(6) {
		name := randomPath(r)
		if !slices.ContainsFunc(out, func(f runtimes.File) bool { return f.Path == name }) {
			out = append(out, wish(name, fmt.Sprintf("ours %d", r.IntN(3))))
		}
	}
	return out
}

// seesOnly says how a file system differs from the nodes.
func seesOnly(want map[string]Node, view fs.FS) error {
	got := map[string]string{}
	err := fs.WalkDir(view, ".", func(p string, e fs.DirEntry, err error) error {
		if err != nil || e.IsDir() {
			got["/"+p] = "folder"
			return err
		}
		data, err := fs.ReadFile(view, p)
		got["/"+p] = string(data)
		return err
	})
	delete(got, "/.")
	expected := map[string]string{}
	for p, n := range want {
		if expected[p] = string(n.Content); n.Kind == Directory {
			expected[p] = "folder"
		}
	}
	if err == nil && !maps.Equal(got, expected) {
		err = fmt.Errorf("got %v, want %v", got, expected)
	}
	return err
}
