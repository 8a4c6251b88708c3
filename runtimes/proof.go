package runtimes

import "strings"

// ProofDomain holds the registry names by which a runtime proves what it has loaded. Names below invalid never resolve (RFC 6761, 6.4),
// so a runtime that has not loaded the entry of such a name gets nowhere.
const ProofDomain = "proof.mirrorlet.invalid"

// ProofName is the registry whose entry stands in the files of one revision and of no other. A revision is one label of a host name:
// up to 63 lower-case letters and digits.
func ProofName(revision string) string { return revision + "." + ProofDomain }

// IsProof says that a prefix is a name for proofs, of whatever revision.
func IsProof(prefix string) bool { return strings.HasSuffix(prefix, "."+ProofDomain) }

// Proof is the wish for that name: it leads to a registry on loopback at address, an IP and a port, and nowhere else. It replaces what is
// there, because an entry of the owner's for all registries would otherwise be kept in its place.
func Proof(revision, address string) Registry {
	const from = "the proof that the runtime reads this folder"
	return Registry{
		Prefix: ProofName(revision), Mirrors: []Mirror{{Scheme: "http", Host: address, From: from}},
		Fallback: Never, OnExisting: Replace, From: from,
	}
}
