package runtimes

import (
	"strings"
	"unicode"
)

// Problem is something that was asked for and is not so, told to a person: what, where, and what to do. A Problem is an
// answer, not a failure: the rest of the intent goes on.
type Problem struct {
	// Registry is the prefix that the problem is about; empty when it is about the runtime, or about a document as a whole.
	Registry string `json:"registry,omitempty"`
	Reason   Reason `json:"reason"`
	// Message is one sentence without a full stop: what is so and what to do about it.
	Message string `json:"message"`
	// From is the claim behind it, such as "MirrorConfig/cluster registries[0]", or a file of the host.
	From string `json:"from,omitempty"`
}

// Reason names one kind of problem, in CamelCase as in a Kubernetes condition. Each has a page under docs/reference.
type Reason string

// What a runtime cannot say at all.
const (
	PathPrefix      Reason = "PathPrefix"      // containerd and Docker know hosts, not paths
	CatchAll        Reason = "CatchAll"        // "*" does not reach a registry
	MirrorAddress   Reason = "MirrorAddress"   // an address that the parser of this version cannot read
	HostsEntry      Reason = "HostsEntry"      // a Service without an address that /etc/hosts could name
	Inexpressible   Reason = "Inexpressible"   // an option, or a mix of options, that the runtime has no words for
	RuntimeMismatch Reason = "RuntimeMismatch" // the runtime's own parser reads our files otherwise than they were meant
)

// What somebody else has decided already.
const (
	Conflict       Reason = "Conflict"       // the owner of the host has an entry of his own, and onExisting keeps it
	DuplicateClaim Reason = "DuplicateClaim" // two documents claim one prefix or one host name; the first by name has it
	ForeignEdit    Reason = "ForeignEdit"    // somebody changed a file of ours
	ForeignOwner   Reason = "ForeignOwner"   // somebody keeps overwriting a file of ours, and has it for now
	Unwritable     Reason = "Unwritable"     // the host does not let a file be written, or given back
)

// What was asked for and is wrong or missing.
const (
	Invalid             Reason = "Invalid"             // a document, or one entry of it, is wrong
	UnresolvedReference Reason = "UnresolvedReference" // a Secret or ConfigMap that is not there
	ClearText           Reason = "ClearText"           // a plain HTTP mirror may be sent pull secrets
	NoEffect            Reason = "NoEffect"            // an entry that is fine and changes nothing
	ExpiredCertificate  Reason = "ExpiredCertificate"  // a certificate whose time is over, or has not come
	ExpiringCertificate Reason = "ExpiringCertificate" // a certificate whose time is nearly over
	ManagedHosts        Reason = "ManagedHosts"        // another program writes /etc/hosts anew as a whole
)

// What detection found wrong with the runtime itself.
const (
	RuntimeNotFound        Reason = "RuntimeNotFound"        // no runtime that we know is on this host
	CRIDisabled            Reason = "CRIDisabled"            // disabled_plugins turns off what a kubelet pulls through
	NoConfigPath           Reason = "NoConfigPath"           // containerd reads no certs.d at all
	TwoDirectoryConfigPath Reason = "TwoDirectoryConfigPath" // containerd 2.1 to 2.4 takes "/a:/b" for one directory
	InlineMirrors          Reason = "InlineMirrors"          // registry.mirrors in config.toml
	UnreadableConfig       Reason = "UnreadableConfig"       // config.toml or an import cannot be read, or not understood
	RestartPending         Reason = "RestartPending"         // config.toml is newer than the running daemon
	ReloadPending          Reason = "ReloadPending"          // the daemon could not be told to read its files anew
)

// What detection found wrong with the files of CRI-O.
const (
	DropInsNotRead Reason = "DropInsNotRead" // CRI-O reads another registries.conf, and not /etc/containers/registries.conf.d
	BrokenDropIn   Reason = "BrokenDropIn"   // a file with which CRI-O reloads nothing, and does not start
	FailingEntry   Reason = "FailingEntry"   // an entry of the owner's that loads, and with which every pull fails
)

// Doc returns the page that explains the reason: docs/reference/path-prefix.md for PathPrefix, cri-disabled.md for CRIDisabled.
func (r Reason) Doc() string {
	var b strings.Builder
	letters := []rune(r)
	for i, c := range letters {
		ofAbbreviation := i > 0 && unicode.IsUpper(letters[i-1]) && (i+1 == len(letters) || unicode.IsUpper(letters[i+1]))
		if i > 0 && unicode.IsUpper(c) && !ofAbbreviation {
			b.WriteByte('-')
		}
		b.WriteRune(unicode.ToLower(c))
	}
	return "docs/reference/" + b.String() + ".md"
}

// Effect says what a problem means for the entry it is about.
type Effect int

// The effects, in the order of how much they ask of a reader.
const (
	Noted          Effect = iota // applied all the same; worth knowing
	InConflict                   // not applied: somebody else's entry stands
	NotExpressible               // not applied, or not wholly: the runtime has no words for it
	NotRead                      // applied, but the runtime does not read it
	NotValid                     // not applied: it is wrong; what the node had stays
)

// Effect of a reason.
func (r Reason) Effect() Effect {
	switch r {
	case Conflict, DuplicateClaim, ForeignEdit, ForeignOwner, Unwritable:
		return InConflict
	case PathPrefix, CatchAll, MirrorAddress, HostsEntry, Inexpressible:
		return NotExpressible
	case CRIDisabled, NoConfigPath, TwoDirectoryConfigPath, InlineMirrors, RestartPending, ReloadPending, RuntimeNotFound, DropInsNotRead, BrokenDropIn:
		return NotRead
	case Invalid, UnresolvedReference, RuntimeMismatch:
		return NotValid
	default:
		return Noted
	}
}

// String renders a problem as one line: its subject, the message, and the page that explains it.
func (p Problem) String() string {
	subject := p.Registry
	if subject == "" {
		subject = p.From
	}
	if subject != "" {
		subject += ": "
	}
	return subject + p.Message + " (" + p.Reason.Doc() + ")"
}
