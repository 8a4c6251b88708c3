// Package plan turns what is wanted and what is there into a list of changes. Dry run, apply, rollback, drift and leaving are
// readings of that one list. It is pure: no disk, no network, no clock.
package plan

import (
	"bytes"
	"crypto/sha256"
	"encoding/hex"
	"io/fs"
	"slices"

	"github.com/mirrorlet/mirrorlet/runtimes"
)

// Kind is what stands at a path.
type Kind string

// The kinds of nodes.
const (
	Absent    Kind = ""
	Regular   Kind = "file"
	Symlink   Kind = "symlink"
	Directory Kind = "directory"
	Other     Kind = "other" // a device, a socket: never ours, never touched
)

// Node is what stands at one path, with all that is needed to put it back. The zero Node is nothing.
type Node struct {
	Kind     Kind
	Mode     fs.FileMode // permission bits, with setuid, setgid and sticky
	UID, GID int
	Label    string // SELinux, as in security.selinux; or ""
	Target   string // of a symlink
	Content  []byte // of a regular file
}

// Sum is a node without its content: enough to recognise it.
type Sum struct {
	Kind   Kind        `json:"kind,omitempty"`
	Mode   fs.FileMode `json:"mode,omitempty"`
	Digest string      `json:"sha256,omitempty"` // of the content, or of a symlink's target
}

// Sum returns what the node is recognised by. Owner and label do not count: an owner may well change those.
func (n Node) Sum() Sum {
	switch n.Kind {
	case Regular:
		return Sum{Kind: n.Kind, Mode: n.Mode, Digest: digest(n.Content)}
	case Symlink:
		return Sum{Kind: n.Kind, Digest: digest([]byte(n.Target))}
	case Absent:
		return Sum{}
	default:
		return Sum{Kind: n.Kind}
	}
}

// Same says that two nodes have the same Sum, without computing it.
func (n Node) Same(m Node) bool {
	if n.Kind != m.Kind {
		return false
	}
	return n.Kind != Regular && n.Target == m.Target || n.Kind == Regular && n.Mode == m.Mode && bytes.Equal(n.Content, m.Content)
}

func digest(b []byte) string {
	s := sha256.Sum256(b)
	return hex.EncodeToString(s[:])
}

// Change is the way of one path from what it is to what it should be. Lists of them are in the order in which they are safe to make:
// a folder before what is in it, a CA before the file that mentions it, and what goes away last, in reverse, and where it has a successor
// after a pause.
type Change struct {
	Path     string // absolute, as the host sees it
	Old, New Node
	Secret   bool // the content is nobody's to see
	// Shared says that of this file only our part is ours; the rest is its owner's, and others edit it at any time.
	Shared bool
	// Action is what Runtime needs when the change is made.
	Action   runtimes.Action
	Runtime  string
	Registry string // the prefix for whose sake, or runtimes.HostsFile; or ""
	From     string // the claim behind it
	// Release says that the path is its owner's again: its record goes when the change is made.
	Release bool
	// Pause says that whoever is reading what the changes before have replaced must be given time to finish before this one is made.
	Pause bool
}

// Silent says that the path stays as it is: only the state changes.
func (c Change) Silent() bool { return c.Old.Same(c.New) }

// Wrote is what the change is recognised by when it is made: of a shared file our part alone.
func (c Change) Wrote() Sum {
	if c.Shared {
		return c.New.Part()
	}
	return c.New.Sum()
}

// Record is what the state knows of one path of ours: whose it was, what we wrote, what we are about to write.
type Record struct {
	Path   string
	Before Node // the owner's, whole; its content is kept as long as the record is, but not that of a shared file
	Wrote  Sum  // what we wrote last; zero while the first write is under way
	Next   *Sum // what we are about to write, until that is done; a zero Sum means to put Before back
	Secret bool
	// Shared says that Wrote and Next are those of our part of the file alone, and that what goes back on leaving is not Before but what
	// is there then, without our part.
	Shared bool
	// Action is what Runtime needs when the file goes back.
	Action   runtimes.Action
	Runtime  string
	Registry string
	From     string
}

// State is what a host remembers of us, in the order of writing. The zero State is a host that we never touched.
type State struct {
	Records []Record
	// References are the last good values of the Secrets and ConfigMaps that the intent uses. They are secret.
	References map[string][]byte
	// Pending are the actions that a commit asked for and that are not known to have happened.
	Pending []PendingAction
}

// Record returns what the state knows of a path.
func (s State) Record(path string) (Record, bool) {
	i := slices.IndexFunc(s.Records, func(r Record) bool { return r.Path == path })
	if i < 0 {
		return Record{}, false
	}
	return s.Records[i], true
}

// Reverse returns the changes that undo the given ones, in the order that undoes them safely.
func Reverse(changes []Change) []Change {
	out := slices.Clone(changes)
	slices.Reverse(out)
	for i := range out {
		out[i].Old, out[i].New = out[i].New, out[i].Old
	}
	return out
}
