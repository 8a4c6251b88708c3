package config

import (
	"fmt"
	"maps"
	"slices"
	"strings"

	"github.com/mirrorlet/mirrorlet/runtimes"
)

// Compile says what the documents mean for one node. It depends on its arguments only, and what it returns is in one order.
func (d Documents) Compile(o Options) Result {
	c := compiler{
		Options:    o,
		lookup:     lookup{values: d.values, lastGood: o.LastGood, used: map[string][]byte{}, judge: judge{now: o.Now}},
		registries: map[string]string{},
		names:      map[string]string{},
	}
	c.result.Refused = d.Refused()
	c.intent.Restart = runtimes.WhenRequired
	for _, e := range d.errs {
		if !d.elsewhere(e, o.Labels) {
			c.result.Errors = append(c.result.Errors, e)
		}
	}
	for _, doc := range d.configs {
		switch {
		case doc.refused():
		case selects(doc.selector, o.Labels):
			c.document(doc)
		default:
			c.result.Elsewhere = append(c.result.Elsewhere, fmt.Sprintf("MirrorConfig/%s is for nodes with %s, and this is none", doc.name, labels(doc.selector)))
		}
	}
	return c.finish()
}

// elsewhere says that an error is in one entry of a document that does not select the node.
func (d Documents) elsewhere(e Error, labels map[string]string) bool {
	return slices.ContainsFunc(d.configs, func(doc document) bool {
		return !doc.refused() && !selects(doc.selector, labels) && slices.Contains(doc.errs, e)
	})
}

// selects says that a node with these labels is meant.
func selects(selector, labels map[string]string) bool {
	for key, value := range selector {
		if has, ok := labels[key]; !ok || has != value {
			return false
		}
	}
	return true
}

// labels writes a selector as kubectl does: zone=a,disk=ssd.
func labels(selector map[string]string) string {
	var all []string
	for _, key := range slices.Sorted(maps.Keys(selector)) {
		all = append(all, key+"="+selector[key])
	}
	return strings.Join(all, ",")
}

// compiler merges documents, in the order in which they claim.
type compiler struct {
	Options
	lookup
	result Result
	intent runtimes.Intent
	// registries and names say who claimed a prefix or a host name first.
	registries, names map[string]string
}

func (c *compiler) document(doc document) {
	if doc.restart == runtimes.NeverRestart {
		c.intent.Restart = runtimes.NeverRestart
	}
	for _, e := range doc.registries {
		if c.claimed(e) {
			c.registry(e)
		}
	}
	for _, h := range doc.hosts {
		c.host(h)
	}
}

// claimed claims the prefix of an entry, unless an earlier document has it. A second entry of the same document is its error, and
// known already.
func (c *compiler) claimed(e registryEntry) bool {
	prefix, from := e.registry.Prefix, e.registry.From
	first, taken := c.registries[prefix]
	if !taken {
		c.registries[prefix] = from
		return true
	}
	if !e.wrong {
		c.problem(prefix, runtimes.DuplicateClaim, from, fmt.Sprintf("%s claims this registry first, so this entry is not used; remove one of them", first))
	}
	return false
}

func (c *compiler) problem(registry string, reason runtimes.Reason, from, message string) {
	c.result.Problems = append(c.result.Problems, runtimes.Problem{Registry: registry, Reason: reason, From: from, Message: message})
}

// registry resolves the references of an entry and adds it to the intent; where too much is missing, or the entry is wrong, its
// prefix is held instead.
func (c *compiler) registry(e registryEntry) {
	r := e.registry
	if e.wrong {
		c.intent.Held = append(c.intent.Held, r.Prefix)
		return
	}
	c.result.Problems = append(c.result.Problems, e.notes...)
	missing := c.upstream(&r, e.upstream)
	r.Mirrors = c.mirrors(r, e.mirrors)
	switch {
	case missing,
		len(r.Mirrors) == 0 && len(e.registry.Mirrors) > 0,
		r.Fallback == runtimes.Never && !resolves(r.Mirrors):
		c.intent.Held = append(c.intent.Held, r.Prefix)
		c.problem(r.Prefix, runtimes.UnresolvedReference, r.From, "too little of this entry is left without what is missing; what the node has for it stays")
	default:
		c.intent.Registries = append(c.intent.Registries, r)
	}
}

// upstream resolves the references of the registry itself, and says whether one is missing.
func (c *compiler) upstream(r *runtimes.Registry, refs references) bool {
	if r.Fallback == runtimes.Never {
		if refs.ca != nil || refs.clientCert != "" || !r.Upstream.IsZero() {
			c.problem(r.Prefix, runtimes.NoEffect, r.From, "with fallback Never the registry itself is not asked, so upstream does nothing; remove it")
		}
		r.Upstream = runtimes.TLS{}
		return false
	}
	return !c.tls(&r.Upstream, refs, r.Prefix, r.From, "the entry")
}

// mirrors resolves the references of all mirrors and leaves out those of which one is missing.
func (c *compiler) mirrors(r runtimes.Registry, refs []references) []runtimes.Mirror {
	var out []runtimes.Mirror
	for i, m := range r.Mirrors {
		ok := c.tls(&m.TLS, refs[i], r.Prefix, m.From, "the mirror")
		if name := refs[i].auth; name != "" {
			var why error
			m.Authorization, why = c.authorization(name, m.Host)
			ok = c.resolved(m.Authorization != "", why, r.Prefix, m.From, "the mirror") && ok
		}
		if ok {
			m.Headers = maps.Clone(m.Headers)
			out = append(out, m)
		}
	}
	return out
}

// tls fills in what references refer to, and says whether all is there. what is left out where it is not.
func (c *compiler) tls(t *runtimes.TLS, refs references, registry, from, what string) bool {
	ok := true
	if refs.ca != nil {
		var why error
		t.CA, why = c.ca(*refs.ca)
		ok = c.resolved(len(t.CA) > 0, why, registry, from, what)
	}
	if refs.clientCert != "" {
		var why error
		t.ClientCert, t.ClientKey, why = c.clientCert(refs.clientCert)
		ok = c.resolved(len(t.ClientCert) > 0, why, registry, from, what) && ok
	}
	if ok {
		c.judged(*t, refs, registry, from)
	}
	return ok
}

// judged notes when what is used ends, and says what a person must know of that.
func (c *compiler) judged(t runtimes.TLS, refs references, registry, from string) {
	ca, client := c.judge.authorities(t.CA), c.judge.client(t.ClientCert)
	note(&c.result.Expiry.CA, ca.ends)
	note(&c.result.Expiry.Client, client.ends)
	for _, p := range []runtimes.Problem{ca.note(c.Now, refs.caPlace()), client.note(c.Now, "Secret/"+refs.clientCert)} {
		if p.Reason != "" {
			c.problem(registry, p.Reason, from, p.Message)
		}
	}
}

// resolved reports a reference that is not there, or not any more, and passes on whether there is a value for it.
func (c *compiler) resolved(found bool, why error, registry, from, what string) bool {
	switch {
	case why == nil:
	case found:
		c.problem(registry, runtimes.UnresolvedReference, from, fmt.Sprintf("%v; the last good value stays in use, put it right", why))
	default:
		c.problem(registry, runtimes.UnresolvedReference, from, fmt.Sprintf("%v, and there was never a good value, so %s is left out; put it there", why, what))
	}
	return found
}

// host adds those names of an entry that no earlier document claims.
func (c *compiler) host(h hostEntry) {
	entry := h.entry
	entry.Names = nil
	for _, name := range h.entry.Names {
		first, taken := c.names[name]
		if !taken {
			c.names[name] = entry.From
			entry.Names = append(entry.Names, name)
		} else if !h.wrong {
			c.problem(runtimes.HostsFile, runtimes.DuplicateClaim, entry.From, fmt.Sprintf("%s claims the name %s first, so it is not used here; remove one of them", first, name))
		}
	}
	if len(entry.Names) == 0 {
		return
	}
	ok := !h.wrong
	if ok && h.service != "" {
		answer, why := "", error(nil)
		if entry.Addresses, answer, why = c.serviceAddresses(h.service); answer != "" {
			c.addressless(entry, h.service, answer)
			return
		}
		ok = c.resolved(len(entry.Addresses) > 0, why, runtimes.HostsFile, entry.From, "the entry")
	}
	if !ok {
		c.intent.HeldHosts = append(c.intent.HeldHosts, entry.Names...)
		return
	}
	entry.Addresses = slices.Clone(entry.Addresses)
	c.intent.Hosts = append(c.intent.Hosts, entry)
}

// addressless reports an entry whose Service has no address. Its names are neither wanted nor held, so that they leave the file: an address
// that is the Service's no longer may be another one's by now.
func (c *compiler) addressless(entry runtimes.HostEntry, service, answer string) {
	reason, remedy := runtimes.HostsEntry, "give the Service a ClusterIP, or write addresses"
	if answer == answers[NoService] {
		reason, remedy = runtimes.UnresolvedReference, "make the Service, or remove the entry"
	}
	names := "so " + entry.Names[0] + " is"
	if len(entry.Names) > 1 {
		names = "so " + strings.Join(entry.Names, ", ") + " are"
	}
	c.problem(runtimes.HostsFile, reason, entry.From, fmt.Sprintf("Service/%s %s, %s not in %s; %s", service, answer, names, runtimes.HostsFile, remedy))
}

// finish sorts the intent, checks what only the whole of it shows, and hands the result over.
func (c *compiler) finish() Result {
	i := &c.intent
	slices.SortFunc(i.Registries, func(a, b runtimes.Registry) int { return strings.Compare(a.Prefix, b.Prefix) })
	slices.SortFunc(i.Hosts, func(a, b runtimes.HostEntry) int { return strings.Compare(a.Names[0], b.Names[0]) })
	slices.Sort(i.Held)
	slices.Sort(i.HeldHosts)
	c.tooMany("registries", len(c.registries), maxRegistriesTogether)
	c.tooMany("hosts", len(i.Hosts), maxHostsTogether)
	c.idle()
	c.result.Intent, c.result.References, c.result.Turn = c.intent, c.used, c.judge.turn
	if len(i.Held)+len(i.HeldHosts) > 0 || c.result.Refused {
		c.result.References = maps.Clone(c.LastGood)
		if c.result.References == nil {
			c.result.References = map[string][]byte{}
		}
		maps.Copy(c.result.References, c.used)
	}
	return c.result
}

// tooMany refuses everything when the documents together are over a limit that none of them is over alone.
func (c *compiler) tooMany(what string, n, most int) {
	if n > most {
		c.result.Refused = true
		c.result.Errors = append(c.result.Errors, Error{
			File: "the MirrorConfigs of this node together", Field: "spec." + what,
			Message: fmt.Sprintf("have %d entries, and at most %d are allowed", n, most), Remedy: "remove some; until then nothing is changed",
		})
	}
}

// idle notes entries that want nothing and do not keep a wider entry away either.
func (c *compiler) idle() {
	for _, r := range c.intent.Registries {
		wider := func(o runtimes.Registry) bool { return o.Prefix == "*" || strings.HasPrefix(r.Prefix, o.Prefix+"/") }
		if len(r.Mirrors) == 0 && r.Upstream.IsZero() && !slices.ContainsFunc(c.intent.Registries, wider) {
			c.problem(r.Prefix, runtimes.NoEffect, r.From, "the entry has neither mirrors nor upstream settings, so it does nothing; add some or remove it")
		}
	}
}
