package agent

import (
	"context"
	"strings"

	"github.com/mirrorlet/mirrorlet/agent/plan"
	"github.com/mirrorlet/mirrorlet/runtimes"
	"github.com/mirrorlet/mirrorlet/runtimes/owners"
)

// Explanation says where one runtime asks for one image, in order, and why not elsewhere. Its JSON is stable.
type Explanation struct {
	Image     string              `json:"image"`
	Runtime   string              `json:"runtime"`
	Endpoints []ExplainedEndpoint `json:"endpoints"`
	Problems  []runtimes.Problem  `json:"problems"`

	// Title is the runtime with its version.
	Title string `json:"-"`
}

// ExplainedEndpoint is one line of an explanation.
type ExplainedEndpoint struct {
	URL          string        `json:"url"`
	Kind         runtimes.Kind `json:"kind"`
	ResolvesTags bool          `json:"resolvesTags"`
	CA           string        `json:"ca"`
	PlainHTTP    bool          `json:"plainHTTP"`
	SkipVerify   bool          `json:"skipVerify"`
	DialTimeout  string        `json:"dialTimeout"`
	From         string        `json:"from"`
}

// Explain asks the parser of each runtime on the host where it will ask for the image. It reads the tree as it is, not as the
// documents want it: what is not applied yet does not show.
func (a *Agent) Explain(ctx context.Context, ref runtimes.Ref) ([]Explanation, error) {
	a.look = a.Host.Look(a.Now)
	state, err := a.Host.LoadState()
	if err != nil {
		return nil, err
	}
	found, err := a.detect(state)
	if err != nil {
		return nil, err
	}
	var out []Explanation
	for _, f := range found {
		e, err := explain(ctx, f, a.Host.Root(), ref)
		if err != nil {
			return out, err
		}
		for i := range e.Endpoints {
			e.Endpoints[i].From = a.claimed(state, e.Endpoints[i].From)
		}
		out = append(out, e)
	}
	return out, nil
}

func explain(ctx context.Context, f plan.Found, root string, ref runtimes.Ref) (Explanation, error) {
	e := Explanation{Image: ref.String(), Runtime: f.Facts.Runtime, Title: f.Facts.Title(), Problems: []runtimes.Problem{}, Endpoints: []ExplainedEndpoint{}}
	e.Problems = append(e.Problems, f.Problems...)
	endpoints, err := f.Runtime.Resolve(ctx, f.Facts, root, ref)
	for _, p := range endpoints {
		shown := ExplainedEndpoint{
			URL: p.URL, Kind: p.Kind, ResolvesTags: p.ResolvesTags, CA: p.CA, PlainHTTP: p.PlainHTTP, SkipVerify: p.SkipVerify, From: p.From,
		}
		if p.DialTimeout > 0 {
			shown.DialTimeout = p.DialTimeout.String()
		}
		e.Endpoints = append(e.Endpoints, shown)
	}
	return e, err
}

// claimed adds to file:line the claim for whose sake we wrote the file, or who has overwritten it since.
func (a *Agent) claimed(state plan.State, from string) string {
	file, _, _ := strings.Cut(from, ":")
	r, known := state.Record(file)
	if !known {
		return from
	}
	if now, err := a.look.Node(file); err == nil && now.Sum() == r.Wrote {
		return from + ", from " + r.From
	}
	if owner := owners.Of(a.look, file); owner != "" {
		return from + ", overwritten by " + owner
	}
	return from + ", overwritten by somebody else"
}

// Terms are what a person wants to know of an endpoint beside its address.
func (e ExplainedEndpoint) Terms() string {
	var terms []string
	add := func(yes bool, term string) {
		if yes {
			terms = append(terms, term)
		}
	}
	add(!e.ResolvesTags, "by digest only")
	add(e.PlainHTTP, "plain HTTP")
	add(e.SkipVerify, "not verified")
	add(e.CA != "", "CA "+e.CA)
	add(e.DialTimeout != "", "connect within "+e.DialTimeout)
	return strings.Join(terms, ", ")
}
