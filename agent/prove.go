package agent

import (
	"context"
	"io/fs"
	"path"
	"slices"
	"strings"

	"github.com/mirrorlet/mirrorlet/agent/plan"
	"github.com/mirrorlet/mirrorlet/runtimes"
)

// prove asks each runtime's own parser what it will make of the files that are about to change, on a staged copy of its tree, and
// returns a Problem for each registry that it would ask otherwise than is meant. Nothing is written where the runtime reads.
func (a *Agent) prove(ctx context.Context, in plan.Input, p plan.Plan) ([]runtimes.Problem, error) {
	changed := map[string]bool{}
	for _, c := range p.Changes {
		changed[c.Registry] = changed[c.Registry] || !c.Release
	}
	var misread []runtimes.Problem
	for _, f := range in.Found {
		root, done, err := a.Host.Stage(staged(in, f.Facts, p.Changes))
		if err != nil {
			return nil, err
		}
		for _, r := range in.Intent.Registries {
			if changed[r.Prefix] && !p.Covers(r.Prefix) {
				misread = append(misread, disobeys(ctx, f, root, in.Intent, r)...)
			}
		}
		done()
	}
	return misread, nil
}

// disobeys compares what the runtime makes of the staged tree with what the intent means, for a sample of the registry's images.
func disobeys(ctx context.Context, f plan.Found, root string, intent runtimes.Intent, r runtimes.Registry) []runtimes.Problem {
	name := r.Prefix
	if name == "*" {
		name = "registry.invalid"
	}
	ref, err := runtimes.ParseRef(name + "/mirrorlet/sample:latest")
	if err == nil {
		facts := f.Facts
		facts.Roots = []string{facts.Target} // also where the daemon does not read it yet: the files must be right
		var got []runtimes.Endpoint
		if got, err = f.Runtime.Resolve(ctx, facts, root, ref); err == nil {
			err = runtimes.Obeys(ref, got, intent.Endpoints(ref))
		}
	}
	if err == nil {
		return nil
	}
	message := strings.ReplaceAll(err.Error(), root, "") + "; not applied" // the path that it will have, not the copy's
	return []runtimes.Problem{{Registry: r.Prefix, Reason: runtimes.RuntimeMismatch, From: r.From, Message: message}}
}

// staged is the runtime's tree as it will be, as far as the changed folders need it: what changes, what stands beside it, what the runtime's
// other roots hold, which files may mention, and what it names itself.
func staged(in plan.Input, facts runtimes.Facts, changes []plan.Change) map[string]plan.Node {
	tree := map[string]plan.Node{}
	folders, gone := map[string]bool{}, map[string]bool{}
	for _, c := range changes {
		switch {
		case !concerns(facts, c.Path):
		case c.New.Kind == plan.Absent:
			gone[c.Path] = true
		default:
			tree[c.Path], folders[path.Dir(c.Path)] = c.New, true
		}
	}
	delete(folders, facts.Target)
	for _, root := range facts.Roots {
		if root != facts.Target {
			folders[root] = true
		}
	}
	for _, p := range facts.Stage {
		folders[p] = true
	}
	for dir := range folders {
		_ = fs.WalkDir(in.Host, dir[1:], func(name string, e fs.DirEntry, err error) error {
			if p := "/" + name; err == nil && !e.IsDir() && !gone[p] && tree[p].Kind == plan.Absent {
				data, _ := fs.ReadFile(in.Host, name) // what cannot be read here cannot be by the parser, which will say so
				tree[p] = plan.Node{Kind: plan.Regular, Content: data}
			}
			return nil
		})
	}
	return tree
}

// concerns says that the runtime may read a path.
func concerns(facts runtimes.Facts, file string) bool {
	return slices.ContainsFunc(append(slices.Clone(facts.Stage), facts.Target), func(p string) bool { return file == p || strings.HasPrefix(file, p+"/") })
}
