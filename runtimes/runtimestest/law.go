// Package runtimestest holds what every runtime must obey: the law, which says that the runtime's own parser makes of the rendered
// files what the intent means, and the other properties of Render.
package runtimestest

import (
	"bytes"
	"context"
	"fmt"
	"io/fs"
	"math/rand/v2"
	"os"
	"path"
	"path/filepath"
	"reflect"
	"slices"
	"strings"
	"testing"

	"github.com/mirrorlet/mirrorlet/runtimes"
)

// Subject is one runtime under test.
type Subject struct {
	Runtime runtimes.Runtime
	// Facts are those of a daemon that reads what is written.
	Facts runtimes.Facts
	// Resolve takes the place of the runtime's own, to judge by another generation of its parser; nil for the own.
	Resolve func(ctx context.Context, facts runtimes.Facts, root string, ref runtimes.Ref) ([]runtimes.Endpoint, error)
	// Blank takes out of an endpoint what this parser does not tell, on both sides; nil for nothing.
	Blank func(*runtimes.Endpoint)
	// Foreign is what the owner of a host may have beside folders of certs.d below the target, from a source of chance; nil for nothing.
	Foreign func(chance *rand.Rand, cert, key []byte) []runtimes.File
	// PortsToo says that to this parser a host without a port claims its ports as well.
	PortsToo bool
}

// Run checks the law and the other properties for n generated intents, on generated hosts. The seed of a failing one is in the
// message; Run with n = 1 and that first seed repeats it.
func (s Subject) Run(t *testing.T, first uint64, n int) {
	t.Helper()
	s.empty(t)
	root := t.TempDir()
	problems := 0
	for seed := first; seed < first+uint64(n) && !t.Failed(); seed++ {
		problems += s.one(t, root, seed)
	}
	if problems == 0 && n >= 1000 {
		t.Error("no generated intent met a Problem: the generator has gone blunt")
	}
}

func (s Subject) empty(t *testing.T) {
	t.Helper()
	if files, problems := s.Runtime.Render(s.Facts, os.DirFS(t.TempDir()), runtimes.Intent{}); len(files)+len(problems) > 0 {
		t.Errorf("an empty intent gives %d files and %d problems", len(files), len(problems))
	}
}

// one checks one seed and returns how many references a Problem excused.
func (s Subject) one(t *testing.T, root string, seed uint64) int {
	t.Helper()
	g := newGenerator(seed)
	for _, top := range []string{"etc", "root"} {
		if err := os.RemoveAll(filepath.Join(root, top)); err != nil {
			t.Fatal(err)
		}
	}
	intent := g.intent()
	writeAll(t, root, g.foreign(s.Facts.Target))
	if s.Foreign != nil {
		p := pick(g, certificates())
		writeAll(t, root, s.Foreign(g.Rand, p.cert, p.key))
	}
	refs := g.refs(intent)
	before := s.unclaimed(root, intent, refs)
	files, problems := s.Runtime.Render(s.Facts, os.DirFS(root), intent)
	if err := s.properties(os.DirFS(root), intent, files, problems); err != nil {
		t.Fatalf("seed %d: %v", seed, err)
	}
	writeAll(t, root, files)
	if after := s.unclaimed(root, intent, refs); before != after {
		t.Fatalf("seed %d: references that no entry claims are asked elsewhere than before\nbefore: %s\n after: %s", seed, before, after)
	}
	excused := 0
	for _, ref := range refs {
		if _, claimed := intent.Match(ref); !claimed {
			continue
		}
		err := s.law(root, intent, ref)
		if err != nil && !covered(problems, intent, ref) {
			t.Fatalf("seed %d: %v\nproblems: %v", seed, err, problems)
		}
		if err != nil {
			excused++
		}
	}
	return excused
}

// unclaimed is what the parser makes, for a comparison, of the references of which the intent says nothing: the owner's word stands.
func (s Subject) unclaimed(root string, intent runtimes.Intent, refs []runtimes.Ref) string {
	var b strings.Builder
	for _, ref := range refs {
		if _, claimed := intent.Match(ref); !claimed && !s.claimedByHost(intent, ref) {
			endpoints, err := s.resolve(root, ref)
			for i := range endpoints {
				if endpoints[i].OfHost { // another entry may lead to the host, and have it trusted
					endpoints[i].CA, endpoints[i].Trust, endpoints[i].Identity = "", nil, ""
				}
			}
			fmt.Fprintln(&b, ref, endpoints, err)
		}
	}
	return b.String()
}

// claimedByHost says that this parser takes the reference for one of an entry's that names its host without the port.
func (s Subject) claimedByHost(intent runtimes.Intent, ref runtimes.Ref) bool {
	return s.PortsToo && slices.ContainsFunc(intent.Registries, func(r runtimes.Registry) bool { return strings.HasPrefix(ref.Registry, r.Prefix+":") })
}

func (s Subject) resolve(root string, ref runtimes.Ref) ([]runtimes.Endpoint, error) {
	if s.Resolve != nil {
		return s.Resolve(context.Background(), s.Facts, root, ref)
	}
	return s.Runtime.Resolve(context.Background(), s.Facts, root, ref)
}

// law compares, for one reference, what the parser makes of the tree with what the intent means.
func (s Subject) law(root string, intent runtimes.Intent, ref runtimes.Ref) error {
	got, err := s.resolve(root, ref)
	if err != nil {
		return fmt.Errorf("%s: %w", ref, err)
	}
	if s.Blank != nil {
		for i := range got {
			s.Blank(&got[i])
		}
	}
	want := intent.Endpoints(ref)
	if s.Blank != nil {
		for i := range want {
			s.Blank(&want[i])
		}
	}
	for i := range min(len(got), len(want)) {
		if got[i].DialTimeout != want[i].DialTimeout {
			return fmt.Errorf("%s: endpoint %d: connect within %v, want %v", ref, i+1, got[i].DialTimeout, want[i].DialTimeout)
		}
	}
	return runtimes.Obeys(ref, got, want)
}

// covered says that a Problem speaks of the reference's entry, of its registry as a whole, or of a part of that which claims it.
func covered(problems []runtimes.Problem, intent runtimes.Intent, ref runtimes.Ref) bool {
	r, _ := intent.Match(ref)
	return slices.ContainsFunc(problems, func(p runtimes.Problem) bool {
		return p.Registry != "" && (p.Registry == r.Prefix || ref.Matches(p.Registry)) && p.Reason.Effect() != runtimes.Noted
	})
}

// properties are those of Render that need no parser.
func (s Subject) properties(host fs.FS, intent runtimes.Intent, files []runtimes.File, problems []runtimes.Problem) error {
	if again, _ := s.Runtime.Render(s.Facts, host, intent); !reflect.DeepEqual(files, again) {
		return fmt.Errorf("the same input gives other files")
	}
	for i, f := range files {
		if !path.IsAbs(f.Path) || path.Clean(f.Path) != f.Path {
			return fmt.Errorf("%s is not a clean absolute path", f.Path)
		}
		if f.Secret != (f.Mode.Perm() == 0o600) {
			return fmt.Errorf("%s: secret is %v, and its mode %v", f.Path, f.Secret, f.Mode)
		}
		if secret := []byte(Secret); !f.Secret && bytes.Contains(f.Content, secret) {
			return fmt.Errorf("%s holds a secret and is not marked so", f.Path)
		}
		for _, later := range files[i+1:] {
			if later.Path == f.Path {
				return fmt.Errorf("%s is there twice", f.Path)
			}
			if path.Dir(later.Path) == path.Dir(f.Path) && bytes.Contains(f.Content, []byte(path.Base(later.Path))) {
				return fmt.Errorf("%s mentions %s, which is written after it", f.Path, later.Path)
			}
		}
	}
	return s.alone(host, intent, files, problems)
}

// alone checks that a registry's files are the same without the others: one that is bad stops nobody else. "*" is left out, as it
// depends on the others by its nature, and so is a registry of which a Problem says why it is not as it would be.
func (s Subject) alone(host fs.FS, intent runtimes.Intent, files []runtimes.File, problems []runtimes.Problem) error {
	for _, r := range intent.Registries {
		excused := slices.ContainsFunc(problems, func(p runtimes.Problem) bool { return p.Registry == r.Prefix && p.Reason.Effect() != runtimes.Noted })
		if r.Prefix == "*" || excused {
			continue
		}
		own, _ := s.Runtime.Render(s.Facts, host, runtimes.Intent{Registries: []runtimes.Registry{r}})
		among := slices.DeleteFunc(slices.Clone(files), func(f runtimes.File) bool { return f.Registry != r.Prefix })
		if !slices.EqualFunc(own, among, func(a, b runtimes.File) bool { return a.Path == b.Path && bytes.Equal(a.Content, b.Content) }) {
			return fmt.Errorf("%s: its files depend on other registries", r.Prefix)
		}
	}
	return nil
}

func writeAll(t *testing.T, root string, files []runtimes.File) {
	t.Helper()
	for _, f := range files {
		file := filepath.Join(root, f.Path)
		if err := os.MkdirAll(filepath.Dir(file), 0o755); err != nil {
			t.Fatal(err)
		}
		if f.Mode.IsDir() {
			if err := os.MkdirAll(file, 0o755); err != nil {
				t.Fatal(err)
			}
			continue
		}
		if err := os.WriteFile(file, f.Content, f.Mode.Perm()); err != nil {
			t.Fatal(err)
		}
	}
}
