package crio

import (
	"strings"
	"time"

	"github.com/mirrorlet/mirrorlet/runtimes"
	"github.com/mirrorlet/mirrorlet/runtimes/owners"
)

// possible says whether the wish can be written, and tells why not.
func (g *rendering) possible() bool {
	for _, check := range []func(){g.name, g.options, g.order, g.unverified, g.identities, g.conflict} {
		if check(); len(g.problems) > 0 {
			return false
		}
	}
	g.partly()
	return true
}

// name looks at prefix and hosts: what cannot be a name there.
func (g *rendering) name() {
	r := g.registry
	switch {
	case r.Prefix == "*":
		g.problem(runtimes.CatchAll, "CRI-O has no entry for all registries; not applied, give each registry an entry")
	case len(fileName(r.Prefix)) > maxName:
		g.problem(runtimes.Unwritable, "its file would have a name of %d bytes, and a file system holds %d; not applied, give the registry a shorter name", len(fileName(r.Prefix)), maxName)
	case strings.Contains(r.Prefix, "["):
		g.problem(runtimes.MirrorAddress, "CRI-O cannot read images of a registry at an IPv6 address; not applied, give that host a name")
	}
	for _, m := range r.Mirrors {
		if strings.Contains(m.Host, "[") {
			g.problem(runtimes.MirrorAddress, "CRI-O cannot read the mirror %s, at an IPv6 address, and would fail every pull; not applied, give that host a name", m.Location())
		}
	}
}

// options looks for what registries.conf has no words for.
func (g *rendering) options() {
	for _, m := range g.registry.Mirrors {
		path, asPath := repositoryPath(m)
		switch {
		case !asPath:
			g.problem(runtimes.Inexpressible, "CRI-O asks every mirror below /v2 and has no word for apiRoot, which %s has; not applied", m.Location())
		case m.Authorization != "":
			g.problem(runtimes.Inexpressible, "CRI-O takes credentials from the file global_auth_file only, and %s has auth; not applied, put them there and remove auth", m.Location())
		case len(m.Headers) > 0:
			g.problem(runtimes.Inexpressible, "CRI-O sends no headers of ours, and %s has some; not applied", m.Location())
		case path == "" && strings.Contains(g.registry.Prefix, "/"):
			g.problem(runtimes.Inexpressible, "an image named just %s has no name at %s, and CRI-O would fail its pull; not applied, give the mirror a path", g.registry.Prefix, m.Location())
		}
	}
}

// order finds a mirror in the registry's place that must not be asked for tags: a location has no pull-from-mirror.
func (g *rendering) order() {
	r := g.registry
	if r.Fallback == runtimes.Never && r.Mirrors[len(r.Mirrors)-1].DigestOnly {
		g.problem(runtimes.Inexpressible, "with fallback Never CRI-O asks the last mirror, %s, for tags too; not applied, put a mirror that resolves tags last", r.Mirrors[len(r.Mirrors)-1].Location())
	}
}

// unverified finds TLS that is to be verified, where CRI-O does not: at all the places where it asks for the images of a registry on
// loopback. Source: pullImageImplementation and isSecureIndex in internal/storage/image.go of cri-o v1.34.0.
func (g *rendering) unverified() {
	r := g.registry
	if !runtimes.IsLoopback(registryHost(r.Prefix)) {
		return
	}
	if r.Fallback != runtimes.Never && !r.Upstream.SkipVerify && len(r.Upstream.CA)+len(r.Upstream.ClientCert) > 0 {
		g.problem(runtimes.Inexpressible, "CRI-O never verifies a registry on loopback; not applied, remove upstream, or give the registry another name")
	}
	for _, m := range r.Mirrors {
		if m.Scheme == "https" && !m.TLS.SkipVerify {
			g.problem(runtimes.Inexpressible, "CRI-O verifies no mirror of a registry on loopback; not applied, set skipVerify for %s, or give the registry another name", m.Location())
		}
	}
}

// identities finds two client certificates for one host, of which CRI-O would show either. The owner's goes before ours, and the entry
// whose prefix is the first before the others.
func (g *rendering) identities() {
	taken := map[string]string{}
	for _, r := range g.intent.Registries {
		if r.Prefix == g.registry.Prefix {
			break
		}
		if r.Prefix == "*" {
			continue // never written
		}
		for _, c := range clients(r) {
			if taken[c.host] == "" {
				taken[c.host] = c.identity
			}
		}
	}
	for _, c := range clients(g.registry) {
		dir := certFolder(g.host, c.host)
		switch theirs := identity(g.host, dir); {
		case theirs != "" && theirs != c.identity:
			g.problem(runtimes.Conflict, "%s holds a client certificate that was there before, and CRI-O shows one per host; not applied, remove that or clientCert", dir)
		case taken[c.host] != "" && taken[c.host] != c.identity:
			g.problem(runtimes.Inexpressible, "CRI-O shows one client certificate per host, and for %s another one is given as well; not applied, give the same one everywhere", c.host)
		default:
			taken[c.host] = c.identity
		}
	}
}

// client is the client certificate that an entry wants to be shown to a host.
type client struct{ host, identity string }

func clients(r runtimes.Registry) []client {
	var out []client
	add := func(host string, t runtimes.TLS) {
		if id := runtimes.IdentityDigest(t.ClientCert, t.ClientKey); id != "" {
			out = append(out, client{host, id})
		}
	}
	for _, m := range r.Mirrors {
		add(mirrorHost(m), m.TLS)
	}
	if r.Fallback != runtimes.Never {
		add(registryHost(r.Prefix), r.Upstream)
	}
	return out
}

// conflict finds an entry of the owner's that stands in the way. One that says nothing does not, unless it counts more than ours.
func (g *rendering) conflict() {
	r := g.registry
	for _, m := range r.Mirrors {
		if e, found := g.conf.find(mirror(m).location); found && e.Blocked {
			g.problem(runtimes.Conflict, "%s blocks %s, so CRI-O does not ask the mirror %s; not applied, and blocked stays", e.where(), e.Prefix, m.Location())
			return
		}
	}
	e, found := g.conf.find(r.Prefix)
	if !found {
		return
	}
	of := ""
	if owner := owners.Of(g.host, e.file); owner != "" {
		of = " of " + owner
	}
	if e.Prefix != r.Prefix {
		of += " for " + e.Prefix + ", which CRI-O takes for this registry,"
	}
	switch {
	case e.Blocked:
		g.problem(runtimes.Conflict, "the entry in %s%s blocks it, and that stays; not applied, remove blocked there if it is to be pulled", e.where(), of)
	case e.wins(r.Prefix) && (e.says() || g.needsDropIn()):
		g.problem(runtimes.Conflict, "the entry in %s%s counts more than ours would, and is kept; remove it there to have ours", e.where(), of)
	case !e.says():
	case r.OnExisting == runtimes.Prepend:
		g.problem(runtimes.Conflict, "the entry in %s%s was there before and is kept; this version cannot prepend to it yet, onExisting: Replace takes it over", e.where(), of)
	case r.OnExisting != runtimes.Replace:
		g.problem(runtimes.Conflict, "the entry in %s%s was there before and is kept; to take it over see onExisting", e.where(), of)
	}
}

// wins says that the owner's entry would count more than ours for the prefix: one for the very prefix in a file that is read after ours, or
// a pattern as long as the prefix.
func (e entry) wins(prefix string) bool {
	return e.Prefix == prefix && e.late || e.Prefix != prefix && len(e.Prefix) >= len(prefix)
}

// partly names the parts of what the prefix claims for which the owner has entries of his own, that stand.
func (g *rendering) partly() {
	for _, e := range g.conf.below(g.registry.Prefix) {
		if g.claims(e.Prefix) {
			continue
		}
		g.problem(runtimes.Conflict, "the entry in %s was there before and is kept, so that of %s does not count for these images; give them an entry of their own", e.where(), g.registry.Prefix)
		g.problems[len(g.problems)-1].Registry = e.Prefix
	}
}

// claims says that a prefix has an entry of its own in the intent.
func (g *rendering) claims(prefix string) bool {
	for _, r := range g.intent.Registries {
		if r.Prefix == prefix {
			return true
		}
	}
	for _, held := range g.intent.Held {
		if held == prefix {
			return true
		}
	}
	return false
}

// usualDialTimeout is what a mirror has whose document names none (agent/config).
const usualDialTimeout = time.Second

// notes tell where CRI-O does less with the entry than it says.
func (g *rendering) notes() {
	r := g.registry
	for _, m := range r.Mirrors {
		if m.DialTimeout != 0 && m.DialTimeout != usualDialTimeout {
			g.problem(runtimes.NoEffect, "CRI-O has no time-out of its own for a mirror, so dialTimeout %s of %s does nothing there", m.DialTimeout, m.Location())
		}
		if m.DigestOnly {
			g.problem(runtimes.NoEffect, "CRI-O asks %s for images by digest only, and pulls by tag go past it", m.Location())
		}
	}
}
