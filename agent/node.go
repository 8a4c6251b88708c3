package agent

import (
	"errors"
	"maps"

	"github.com/mirrorlet/mirrorlet/agent/config"
)

// Source is where documents come from: a folder, or the API server.
type Source interface {
	// Read returns the documents as they are now, and what is wrong in them. The error says that they are not known: then nothing may be
	// changed. What cannot be read is never the empty set.
	Read() (config.Documents, []config.Error, error)
	// Unchanged says that Read would return what it returned last.
	Unchanged() bool
}

// Node is what is said about the machine as a node of a cluster.
type Node struct {
	// Name is empty outside of a cluster.
	Name string
	// Labels are for nodeSelector.
	Labels map[string]string
	// Enrolled says that the machine is to be configured; otherwise everything is given back, once.
	Enrolled bool
	// Paused says who wants nothing to be changed, such as "the annotation mirrorlet.dev/paused of Node a"; empty: nobody.
	Paused string
}

func (n Node) equal(m Node) bool {
	return n.Name == m.Name && n.Enrolled == m.Enrolled && n.Paused == m.Paused && maps.Equal(n.Labels, m.Labels)
}

// ErrUnknown is in every error of a Source or a Node that says: nobody could be asked yet, or the answer was none. What the machine has stays.
var ErrUnknown = errors.New("not known")

// Machine is the Node of a machine outside of any cluster: its owner has enrolled it by starting us.
func Machine(labels map[string]string) func() (Node, error) {
	return func() (Node, error) { return Node{Labels: labels, Enrolled: true}, nil }
}
