package agent

import (
	"context"
	"crypto/sha256"
	"fmt"
	"slices"

	"github.com/mirrorlet/mirrorlet/agent/plan"
	"github.com/mirrorlet/mirrorlet/runtimes"
)

// build plans, and plans again without the registries that cannot be as they are meant: whose files somebody else has taken, or their
// runtime would read otherwise. One such registry stops no other.
func (a *Agent) build(ctx context.Context, intent runtimes.Intent, state plan.State) (plan.Plan, error) {
	a.look = a.Host.Look(a.Now)
	found, err := a.detect(state)
	if err != nil {
		return plan.Plan{}, err
	}
	intent = a.keepProof(intent, state)
	in := plan.Input{Intent: intent, State: state, Host: a.look, Node: a.look.Node, Found: found}
	if a.Prover != nil {
		in.Proof = a.Prover.Address()
	}
	p, held, err := a.yield(in)
	if err != nil || p.IsEmpty() {
		return p, err
	}
	in.Intent = hold(intent, held)
	misread, err := a.prove(ctx, in, p)
	if err != nil || len(misread) == 0 {
		return p, err
	}
	return a.without(in, intent, append(held, misread...))
}

// keepProof holds the entry for proofs of an agent at work, for a verb that has no use for it.
func (a *Agent) keepProof(intent runtimes.Intent, state plan.State) runtimes.Intent {
	for _, r := range state.Records {
		if a.Prover == nil && runtimes.IsProof(r.Registry) && !slices.Contains(intent.Held, r.Registry) {
			intent.Held = append(slices.Clip(intent.Held), r.Registry)
		}
	}
	return intent
}

// yield plans without the registries that are left to somebody else, or that just now could not be written, and returns why.
func (a *Agent) yield(in plan.Input) (plan.Plan, []runtimes.Problem, error) {
	intent, wish, now := in.Intent, wishes(in.Intent), a.Uptime()
	for {
		held := append(a.rivals.held(wish, in.Host, now), a.unwritable(wish)...)
		p, err := a.without(in, intent, held)
		switch {
		case a.aside(err, wish): // and once more, without it
		case err != nil || !a.rivals.contested(p.Changes, wish, now):
			return p, held, err
		}
	}
}

// without plans without the registries that the problems are about.
func (a *Agent) without(in plan.Input, intent runtimes.Intent, held []runtimes.Problem) (plan.Plan, error) {
	in.Intent = hold(intent, held)
	p, err := plan.Build(in)
	p.Problems = append(p.Problems, held...)
	return p, err
}

// hold is Intent.Hold, also for registries that nobody wants any more.
func hold(intent runtimes.Intent, problems []runtimes.Problem) runtimes.Intent {
	held := intent.Hold(problems)
	for _, p := range problems {
		if p.Registry != "" && !slices.Contains(held.Held, p.Registry) {
			held.Held = append(slices.Clip(held.Held), p.Registry)
		}
	}
	return held
}

// wishes returns what tells one wish for a registry from another; "" for none.
func wishes(intent runtimes.Intent) func(prefix string) string {
	return func(prefix string) string {
		if prefix == runtimes.HostsFile {
			return digest([]any{intent.Hosts, intent.HeldHosts})
		}
		i := slices.IndexFunc(intent.Registries, func(r runtimes.Registry) bool { return r.Prefix == prefix })
		if i < 0 {
			return ""
		}
		return digest(intent.Registries[i])
	}
}

// digest tells values apart without keeping them: they hold secrets.
func digest(v any) string { return fmt.Sprintf("%x", sha256.Sum256(fmt.Appendf(nil, "%#v", v))) }
