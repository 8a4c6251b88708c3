package host

import (
	"io/fs"
	"slices"

	"github.com/mirrorlet/mirrorlet/agent/plan"
	"github.com/mirrorlet/mirrorlet/runtimes"
)

// document is the state as it stands in state.json. While a commit is under way, and after a crash in one, records have a Next.
type document struct {
	Version int `json:"version"`
	// Made are the folders around the state that were not there before us, the outermost first.
	Made       []string          `json:"made,omitempty"`
	Records    []record          `json:"records,omitempty"`
	References map[string][]byte `json:"references,omitempty"`
	// Pending holds as long as nothing of the commit under way has reached the disk; from then on it is PendingNext.
	Pending     []plan.PendingAction `json:"pending,omitempty"`
	PendingNext []plan.PendingAction `json:"pendingNext,omitempty"`
}

// record is a plan.Record whose original stands in a file of its own.
type record struct {
	Path   string    `json:"path"`
	Before original  `json:"before,omitzero"`
	Wrote  plan.Sum  `json:"wrote,omitzero"`
	Next   *plan.Sum `json:"next,omitempty"`
	// Release says that with the write under way the path is its owner's again, whatever stands there.
	Release bool `json:"release,omitempty"`
	Secret  bool `json:"secret,omitempty"`
	// Shared says that Wrote and Next are of our part alone, and that Before has no content: there is nothing of it to put back.
	Shared   bool            `json:"shared,omitempty"`
	Action   runtimes.Action `json:"action,omitempty"`
	Runtime  string          `json:"runtime,omitempty"`
	Registry string          `json:"registry,omitempty"`
	From     string          `json:"from,omitempty"`
}

// original is a plan.Node with a digest in place of the content.
type original struct {
	Kind   plan.Kind   `json:"kind,omitempty"`
	Mode   fs.FileMode `json:"mode,omitempty"`
	UID    int         `json:"uid,omitempty"`
	GID    int         `json:"gid,omitempty"`
	Label  string      `json:"label,omitempty"`
	Target string      `json:"target,omitempty"`
	Digest string      `json:"sha256,omitempty"` // of a file; the name below originals/
}

func originalOf(n plan.Node) original {
	o := original{Kind: n.Kind, Mode: n.Mode, UID: n.UID, GID: n.GID, Label: n.Label, Target: n.Target}
	if n.Kind == plan.Regular {
		o.Digest = n.Sum().Digest
	}
	return o
}

// node is the original with the content that was kept for it.
func (o original) node(content []byte) plan.Node {
	return plan.Node{Kind: o.Kind, Mode: o.Mode, UID: o.UID, GID: o.GID, Label: o.Label, Target: o.Target, Content: content}
}

func (o original) sum() plan.Sum {
	if o.Kind == plan.Regular {
		return plan.Sum{Kind: o.Kind, Mode: o.Mode, Digest: o.Digest}
	}
	return o.node(nil).Sum()
}

// before is what the path was recognised by when we came: none of a shared file was ours.
func (r record) before() plan.Sum {
	if r.Shared {
		return plan.Sum{}
	}
	return r.Before.sum()
}

// target is what the path is when the write under way is done.
func (r record) target() plan.Sum {
	if *r.Next == (plan.Sum{}) {
		return r.before()
	}
	return *r.Next
}

// ahead is the state to write before the steps are made: every path with what it will be. The original of a path that has a record
// is the one that was taken first, whatever has been there since.
func (d document) ahead(steps []step, references map[string][]byte, pending []plan.PendingAction) document {
	d.Records, d.References, d.PendingNext = slices.Clone(d.Records), references, pending
	for i, s := range steps {
		at := d.index(s.Path)
		if at < 0 {
			at = d.place(steps[i+1:])
			d.Records = slices.Insert(d.Records, at, s.record())
		}
		r := &d.Records[at]
		next := s.Wrote()
		if next == r.before() {
			next = plan.Sum{}
		}
		r.Next, r.Release, r.Secret, r.Registry, r.From = &next, s.Release, r.Secret || s.Secret, s.Registry, s.From
		if r.Action, r.Runtime = s.Action, ""; s.Action != runtimes.NoAction {
			r.Runtime = s.Runtime
		}
	}
	return d
}

// record is a new one for the step.
func (s step) record() record {
	r := record{Path: s.Path, Before: originalOf(s.was), Shared: s.Shared}
	if s.Shared {
		r.Before.Digest = ""
	}
	return r
}

// place is where a new record goes, so that records stay in the order of writing: before the first of the paths that are written
// after it and have a record already.
func (d document) place(later []step) int {
	for _, s := range later {
		if at := d.index(s.Path); at >= 0 && s.New.Kind != plan.Absent {
			return at
		}
	}
	return len(d.Records)
}

func (d document) index(path string) int {
	return slices.IndexFunc(d.Records, func(r record) bool { return r.Path == path })
}

// underWay are the records of which the state does not know whether they were written.
func (d document) underWay() []record {
	var all []record
	for _, r := range d.Records {
		if r.Next != nil {
			all = append(all, r)
		}
	}
	return all
}

// settle says what became of the writes under way, from what is on the disk now. A path that is as it was to be was written; a path
// that is as it was before was not. A path that was given back, or never taken, is no longer ours. Where somebody else has written
// since, the record stays with its original, so that nothing is lost. The pending actions of a commit count once any of it was
// written: a restart too many is better than one that is forgotten.
func settle(d document, onDisk map[string]plan.Sum) document {
	if len(d.underWay()) == 0 {
		return d
	}
	records, written := d.Records, false
	d.Records = nil
	for _, r := range records {
		if r.Next != nil {
			written = written || onDisk[r.Path] == r.target()
			r = settleRecord(r, onDisk[r.Path])
		}
		if r.Wrote != (plan.Sum{}) {
			d.Records = append(d.Records, r)
		}
	}
	if written {
		d.Pending = d.PendingNext
	}
	d.PendingNext = nil
	return d
}

// settleRecord returns the record without Next; a record that wrote nothing is to be dropped.
func settleRecord(r record, disk plan.Sum) record {
	before, target, back := r.before(), r.target(), r.Release || *r.Next == plan.Sum{}
	r.Next, r.Release = nil, false
	switch {
	case disk == target && back: // given back
		r.Wrote = plan.Sum{}
	case disk == target: // written
		r.Wrote = target
	case disk == before || disk == r.Wrote && r.Wrote != (plan.Sum{}): // not written; if never before either, there is nothing to remember
	case !back: // foreign, and perhaps ours in between
		r.Wrote = target
	}
	return r
}
