// Package config reads what users write and says what is wanted of a node: documents in, an Intent out, and every message a user
// sees about his config. It is pure: no disk but the one it is handed, no network, no clock.
//
// An error inside one entry whose prefix (or, under hosts, whose names) can be read refuses that entry only: the prefix is held, and
// whatever a node has for it stays. Every other error refuses its document, and then nothing may be changed on a node at all, for
// nobody can know what the document meant to keep.
package config

import (
	"maps"
	"slices"
	"time"

	"github.com/mirrorlet/mirrorlet/runtimes"
)

// Documents are the MirrorConfigs, Secrets and ConfigMaps that were read, validated. The zero Documents are the empty set, which
// wants nothing; they are never changed after reading.
type Documents struct {
	configs []document
	// values are those of the Secrets and ConfigMaps, under keys such as "Secret/harbor-ca/ca.crt".
	values map[string][]byte
	// seen says where an object stands, so that a second one of the same kind and name can name the first.
	seen map[string]place
	// count is the number of documents of any kind, wrong ones included.
	count int
	// errs are all errors, those of the configs among them.
	errs []Error
}

// document is one MirrorConfig, validated.
type document struct {
	name       string
	generation int64
	paused     bool
	selector   map[string]string
	restart    runtimes.Restart
	registries []registryEntry
	hosts      []hostEntry
	errs       []Error
}

// refused says that nothing of the document can be relied upon.
func (d document) refused() bool { return slices.ContainsFunc(d.errs, Error.Refuses) }

// Refused says that an error concerns more than one entry of a document. Nothing on a node may then be changed.
func (d Documents) Refused() bool { return slices.ContainsFunc(d.errs, Error.Refuses) }

// Len is the number of MirrorConfigs, refused ones included.
func (d Documents) Len() int { return len(d.configs) }

// Options are what an intent depends on beside the documents.
type Options struct {
	// Labels are the node's; nil where there is no node object, so that every nodeSelector fails.
	Labels map[string]string
	// LastGood are the References of the last Result that was applied.
	LastGood map[string][]byte
	// Now is the time against which certificates are judged; the zero Time judges none.
	Now time.Time
}

// Result is what the documents mean for one node. It shares nothing with the Documents that a caller could change by accident,
// except the bytes of certificates, which nobody may write to.
type Result struct {
	// Intent must not be applied when Refused.
	Intent runtimes.Intent
	// Refused says that a document cannot be relied upon, so that nothing may be changed on the node.
	Refused bool
	// Elsewhere says which documents are for other nodes, and for which.
	Elsewhere []string
	// Problems are what is right by itself and yet not, or not wholly, so. In the order of the documents.
	Problems []runtimes.Problem
	// Errors are those that concern this node.
	Errors []Error
	// References are the values that the intent uses, to be handed in as the next LastGood. They are secret. While anything is held,
	// nothing of the LastGood before is dropped.
	References map[string][]byte
	// Expiry says when the certificates end that the intent uses.
	Expiry Expiry
	// Turn is when the same documents will mean something else, as a certificate begins or ends, or nears its end; zero: never.
	Turn time.Time
}

// Selectors are the different nodeSelectors of the documents, for those who have no node to ask about: with each of them as the labels,
// Compile says what a node means that has these labels and no other.
func (d Documents) Selectors() []map[string]string {
	var all []map[string]string
	for _, c := range d.configs {
		if !slices.ContainsFunc(all, func(s map[string]string) bool { return maps.Equal(s, c.selector) }) {
			all = append(all, c.selector)
		}
	}
	return all
}
