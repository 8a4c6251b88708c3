package runtimes

import (
	"maps"
	"slices"
	"time"
)

// Intent is what is wanted of one node: merged, validated, every reference resolved. The zero Intent wants nothing, and so takes
// away whatever Mirrorlet wrote before.
type Intent struct {
	// Registries are sorted by prefix; no two have the same.
	Registries []Registry
	// Hosts are sorted by their first name; no name occurs twice.
	Hosts []HostEntry
	// Restart says whether a runtime may be restarted for the intent's sake.
	Restart Restart
	// Held are the prefixes whose wish is wrong or could not be resolved: whatever a node has for them stays as it is. With HostsFile among
	// them, so does that file.
	Held []string
	// HeldHosts are host names of which the same is true; sorted.
	HeldHosts []string
}

// Registry is the wish for all references that a prefix claims and no longer prefix does.
type Registry struct {
	Prefix     string // host[:port][/path], normalised as a reference is; or "*"
	Upstream   TLS    // how the registry itself is verified
	Mirrors    []Mirror
	Fallback   Fallback
	OnExisting OnExisting
	From       string // the claim, such as "MirrorConfig/cluster registries[0]"
}

// Mirror is one place that is asked instead of the registry.
type Mirror struct {
	Scheme string // "https" or "http"; http has no TLS
	Host   string // host[:port], lower case, IPv6 in brackets
	// Path is the repository prefix that takes the place of the registry's prefix, without slashes at its ends; or "".
	Path string
	// APIRoot is a path such as "/artifactory/api/docker/hub/v2", asked verbatim in place of /v2/Path; or "".
	APIRoot string
	TLS     TLS
	// Authorization is the whole value of that header, a secret; or "".
	Authorization string
	Headers       map[string]string
	// DigestOnly mirrors do not decide what a tag means.
	DigestOnly bool
	// DialTimeout bounds the connect; zero leaves it to the runtime.
	DialTimeout time.Duration
	From        string // the claim, such as "MirrorConfig/cluster registries[0].mirrors[1]"
}

// TLS is how a server is verified, and what it is shown. The zero TLS is the system's pool and nothing shown.
type TLS struct {
	CA         []byte // PEM, certificates trusted beside the system's pool; or nil
	ClientCert []byte // PEM; or nil
	ClientKey  []byte // PEM, a secret; or nil
	SkipVerify bool
}

// IsZero says that nothing is asked for.
func (t TLS) IsZero() bool {
	return len(t.CA) == 0 && len(t.ClientCert) == 0 && len(t.ClientKey) == 0 && !t.SkipVerify
}

// HostsFile is where the Hosts of an intent go. It stands for all of them where the prefix of a registry stands for that registry: in Held
// and in a Problem. No prefix begins with a slash.
const HostsFile = "/etc/hosts"

// HostEntry maps names to addresses in HostsFile.
type HostEntry struct {
	Names     []string // lower case
	Addresses []string // canonical, at most one of each family
	From      string
}

// Fallback says whether the registry itself is asked when every mirror failed. The zero value is Always.
type Fallback string

// The fallbacks.
const (
	Always Fallback = "Always"
	Never  Fallback = "Never"
)

// OnExisting says what becomes of an entry that the owner of the host has made for the same registry. The zero value is Keep.
type OnExisting string

// What can become of the owner's entry.
const (
	Keep    OnExisting = "Keep"    // write nothing, report a Conflict
	Prepend OnExisting = "Prepend" // ours first, then theirs
	Replace OnExisting = "Replace" // ours only; theirs comes back on leaving
)

// Restart says whether a runtime may be restarted. The zero value is WhenRequired.
type Restart string

// The restart policies.
const (
	WhenRequired Restart = "WhenRequired"
	NeverRestart Restart = "Never"
)

// Match returns the registry whose prefix claims the reference: the longest one, "*" last.
func (i Intent) Match(ref Ref) (Registry, bool) {
	best, found := Registry{}, false
	for _, r := range i.Registries {
		if ref.Matches(r.Prefix) && (!found || best.Prefix == "*" || r.Prefix != "*" && len(r.Prefix) > len(best.Prefix)) {
			best, found = r, true
		}
	}
	return best, found
}

// Endpoints returns where the reference is to be asked for, in order. It is the meaning of an intent: what a runtime makes of our
// files must equal it, or a Problem says why not. URLs carry no ?ns=, which is a runtime's own.
func (i Intent) Endpoints(ref Ref) []Endpoint {
	registry, found := i.Match(ref)
	if !found {
		return []Endpoint{Upstream(ref, TLS{}, "")}
	}
	var out []Endpoint
	for _, m := range registry.Mirrors {
		if repository := m.repository(ref, registry.Prefix); repository != "" {
			out = append(out, m.endpoint(ref, repository))
		}
	}
	if registry.Fallback != Never {
		out = append(out, Upstream(ref, registry.Upstream, registry.From))
	}
	return out
}

// Upstream is the registry itself as an endpoint.
func Upstream(ref Ref, tls TLS, from string) Endpoint {
	return Endpoint{
		URL: ManifestURL("https://"+UpstreamHost(ref.Registry)+"/v2", ref, true), Kind: KindUpstream, ResolvesTags: true,
		SkipVerify: tls.SkipVerify, Trust: Digests(tls.CA), Identity: IdentityDigest(tls.ClientCert, tls.ClientKey), From: from,
	}
}

// UpstreamHost is the host that serves a registry: its own name, but registry-1.docker.io for docker.io.
func UpstreamHost(registry string) string {
	if registry == "docker.io" {
		return "registry-1.docker.io"
	}
	return registry
}

// Base is the mirror's scheme and host.
func (m Mirror) Base() string { return m.Scheme + "://" + m.Host }

// Location is the mirror as a person writes it: https://h/P, or the whole URL of the API root.
func (m Mirror) Location() string {
	if m.APIRoot == "" && m.Path != "" {
		return m.Base() + "/" + m.Path
	}
	return m.Base() + m.APIRoot
}

// Root is the API root under which repositories are asked for: https://h/v2/P, or the apiRoot verbatim.
func (m Mirror) Root() string {
	switch {
	case m.APIRoot != "":
		return m.Base() + m.APIRoot
	case m.Path != "":
		return m.Base() + "/v2/" + m.Path
	default:
		return m.Base() + "/v2"
	}
}

// AllHeaders are the headers with the authorization among them; nil for none.
func (m Mirror) AllHeaders() map[string]string {
	if m.Authorization == "" {
		return m.Headers
	}
	all := maps.Clone(m.Headers)
	if all == nil {
		all = map[string]string{}
	}
	all["Authorization"] = m.Authorization
	return all
}

// repository is the name under Root; empty when the prefix was the whole name and the mirror puts nothing in its place.
func (m Mirror) repository(ref Ref, prefix string) string {
	rest := ref.rest(prefix)
	switch {
	case rest == "":
		return m.Path
	case m.Path == "" || m.APIRoot != "":
		return rest
	default:
		return m.Path + "/" + rest
	}
}

func (m Mirror) endpoint(ref Ref, repository string) Endpoint {
	root := m.Base() + "/v2"
	if m.APIRoot != "" {
		root = m.Base() + m.APIRoot
	}
	return Endpoint{
		URL: manifestURL(root, repository, ref, !m.DigestOnly), Kind: KindMirror, ResolvesTags: !m.DigestOnly,
		PlainHTTP: m.Scheme == "http", SkipVerify: m.TLS.SkipVerify, DialTimeout: m.DialTimeout,
		Trust: Digests(m.TLS.CA), Identity: IdentityDigest(m.TLS.ClientCert, m.TLS.ClientKey), Header: HeaderDigest(m.AllHeaders()),
		From: m.From,
	}
}

// Wanted is the number of registries that are wished for, those among them whose wish is held.
func (i Intent) Wanted() int {
	n := len(i.Registries) + len(i.Held)
	if slices.Contains(i.Held, HostsFile) {
		n--
	}
	return n
}

// Hold returns the intent without the registries that the problems are about: what a node has for them stays as it is.
func (i Intent) Hold(problems []Problem) Intent {
	about := func(prefix string) bool {
		return slices.ContainsFunc(problems, func(p Problem) bool { return p.Registry == prefix })
	}
	rest := i
	rest.Registries = nil
	for _, r := range i.Registries {
		if about(r.Prefix) {
			rest.Held = append(slices.Clip(rest.Held), r.Prefix)
		} else {
			rest.Registries = append(rest.Registries, r)
		}
	}
	return rest
}
