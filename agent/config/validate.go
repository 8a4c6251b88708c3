package config

import (
	"cmp"
	"fmt"
	"maps"
	"slices"
	"strconv"
	"strings"

	"k8s.io/apimachinery/pkg/util/validation"

	"github.com/mirrorlet/mirrorlet/api/v1alpha1"
	"github.com/mirrorlet/mirrorlet/runtimes"
)

// validator turns one MirrorConfig into values that cannot be wrong, or into errors.
type validator struct {
	*sheet
	claim string // such as "MirrorConfig/cluster", for From
}

// validate checks the values of a document that was read.
func validate(s *sheet, c v1alpha1.MirrorConfig) document {
	v := validator{sheet: s, claim: v1alpha1.MirrorConfigKind + "/" + c.Name}
	if !s.has("spec") && !s.broken("spec") {
		s.errorf("spec", "write spec: {registries: […]}", "is missing")
	}
	doc := document{
		name:       c.Name,
		generation: c.Generation,
		paused:     Pauses(c.Annotations),
		selector:   v.selector("spec.nodeSelector", c.Spec.NodeSelector),
		restart: runtimes.Restart(v.enum("spec.runtimeRestart", string(c.Spec.RuntimeRestart),
			string(v1alpha1.RestartWhenRequired), string(v1alpha1.RestartNever))),
	}
	registries := v.atMost("spec.registries", len(c.Spec.Registries), maxRegistries, "write fewer, larger prefixes")
	hosts := v.atMost("spec.hosts", len(c.Spec.Hosts), maxHosts, "put names of one address into one entry, or use DNS")
	for i, r := range c.Spec.Registries[:registries] {
		doc.registries = append(doc.registries, v.registry(i, r))
	}
	for i, h := range c.Spec.Hosts[:hosts] {
		doc.hosts = append(doc.hosts, v.host(i, h))
	}
	v.distinct(doc)
	v.scope(doc)
	doc.errs = s.errs
	return doc
}

func (v validator) selector(field string, labels map[string]string) map[string]string {
	v.atMost(field, len(labels), maxSelector, "give the nodes one label that stands for all of these")
	for _, key := range slices.Sorted(maps.Keys(labels)) {
		at := field + "[" + plainKey(key) + "]"
		if len(validation.IsQualifiedName(key)) > 0 {
			v.errorf(at, "write name or prefix/name, such as kubernetes.io/arch", "%s is not a label's name", quote(key))
		}
		if !v.broken(at) && len(validation.IsValidLabelValue(labels[key])) > 0 {
			v.errorf(at, "use at most 63 letters, digits, -, _ and ., with a letter or digit at both ends", "%s is not a label's value", quote(labels[key]))
		}
	}
	return labels
}

// registry checks spec.registries[i].
func (v validator) registry(i int, r v1alpha1.Registry) registryEntry {
	field, claim := "spec.registries["+strconv.Itoa(i)+"]", v.claim+" registries["+strconv.Itoa(i)+"]"
	e := registryEntry{field: field}
	e.registry = runtimes.Registry{
		Prefix: v.prefix(field+".prefix", r.Prefix),
		Fallback: runtimes.Fallback(v.enum(field+".fallback", string(r.Fallback),
			string(v1alpha1.FallbackAlways), string(v1alpha1.FallbackNever))),
		OnExisting: runtimes.OnExisting(v.enum(field+".onExisting", string(r.OnExisting),
			string(v1alpha1.OnExistingKeep), string(v1alpha1.OnExistingPrepend), string(v1alpha1.OnExistingReplace))),
		From: claim,
	}
	if r.Upstream != nil {
		at := field + ".upstream"
		e.registry.Upstream, e.upstream = v.tls(at, r.Upstream.CA, r.Upstream.ClientCert, r.Upstream.SkipVerify)
	}
	mirrors := v.atMost(field+".mirrors", len(r.Mirrors), maxMirrors, "keep those that are nearest")
	for j, m := range r.Mirrors[:mirrors] {
		mirror, refs := v.mirror(field+".mirrors["+strconv.Itoa(j)+"]", m)
		mirror.From = claim + ".mirrors[" + strconv.Itoa(j) + "]"
		e.registry.Mirrors = append(e.registry.Mirrors, mirror)
		e.mirrors = append(e.mirrors, refs)
	}
	v.distinctMirrors(field+".mirrors", e.registry.Prefix, e.registry.Mirrors)
	v.never(field, e.registry)
	e.notes = notes(e.registry)
	e.wrong = v.wrong(field)
	return e
}

func (v validator) prefix(field, s string) string {
	if v.broken(field) || v.missing(field, `write a registry such as quay.io, or "*"`) {
		return ""
	}
	prefix, f := parsePrefix(s)
	v.report(field, f)
	return prefix
}

// never refuses a registry that could not be asked for a tag anywhere.
func (v validator) never(field string, r runtimes.Registry) {
	if r.Fallback != runtimes.Never || v.wrong(field+".mirrors") {
		return
	}
	switch {
	case len(r.Mirrors) == 0:
		v.errorf(field+".fallback", "add a mirror, or write Always", "Never leaves no place to ask, for there are no mirrors")
	case !resolves(r.Mirrors):
		v.errorf(field+".fallback", "set resolveTags: true on a mirror, or write Always", "Never leaves no place to ask for a tag, for no mirror resolves tags")
	}
}

// resolves says that a mirror may decide what a tag means.
func resolves(mirrors []runtimes.Mirror) bool {
	return slices.ContainsFunc(mirrors, func(m runtimes.Mirror) bool { return !m.DigestOnly })
}

// notes are what is worth saying about a registry that is fine.
func notes(r runtimes.Registry) []runtimes.Problem {
	var out []runtimes.Problem
	note := func(reason runtimes.Reason, from, message string) {
		out = append(out, runtimes.Problem{Registry: r.Prefix, Reason: reason, Message: message, From: from})
	}
	if host, _, _ := strings.Cut(r.Prefix, "/"); host == "registry-1.docker.io" {
		note(runtimes.NoEffect, r.From, "images of Docker Hub are named docker.io, so this entry does not match them; write docker.io")
	}
	for _, m := range r.Mirrors {
		if m.Scheme == "http" {
			note(runtimes.ClearText, m.From, m.Base()+" is plain HTTP, and a runtime may send it pull secrets in clear; use https where there are any")
		}
	}
	return out
}

// distinctMirrors refuses two mirrors that are the same place, and one that is the registry itself, which is asked in any case.
func (v validator) distinctMirrors(field, prefix string, mirrors []runtimes.Mirror) {
	first := map[string]int{}
	host, path, _ := strings.Cut(prefix, "/")
	itself := sameRoot(runtimes.Mirror{Scheme: "https", Host: strings.ToLower(runtimes.UpstreamHost(host)), Path: path})
	for i, m := range mirrors {
		if m.Host == "" {
			continue
		}
		root := sameRoot(m)
		if root == itself {
			v.errorf(field+"["+strconv.Itoa(i)+"]", "remove it; how the registry itself is asked stands under upstream", "is the registry itself, %s", root)
			continue
		}
		if j, twice := first[root]; twice {
			v.errorf(field+"["+strconv.Itoa(i)+"]", "remove one of them", "is the same place as mirrors[%d], %s", j, root)
			continue
		}
		first[root] = i
	}
}

// distinct refuses a prefix or a host name that is in one document twice. Each entry that has it is wrong then, for nobody can say
// which was meant.
func (v validator) distinct(doc document) {
	first := map[string]int{}
	for i, e := range doc.registries {
		j, twice := first[e.registry.Prefix]
		if e.registry.Prefix == "" || !twice {
			first[e.registry.Prefix] = i
			continue
		}
		v.errorf(e.field, "write one entry with all the mirrors", "the prefix %s is that of registries[%d] as well", quote(e.registry.Prefix), j)
		doc.registries[i].wrong, doc.registries[j].wrong = true, true
	}
	first = map[string]int{}
	for i, h := range doc.hosts {
		for _, name := range h.entry.Names {
			j, twice := first[name]
			if !twice {
				first[name] = i
				continue
			}
			v.errorf(h.field, "write each name once", "the name %s is in hosts[%d] as well", quote(name), j)
			doc.hosts[i].wrong, doc.hosts[j].wrong = true, true
		}
	}
}

// scope narrows errors to the entry that they are in, where it can be known which that is, and puts them into the order of lines.
func (v validator) scope(doc document) {
	for i := range v.errs {
		e := &v.errs[i]
		for _, r := range doc.registries {
			if e.Field == r.field || strings.HasPrefix(e.Field, r.field+".") && e.Field != r.field+".prefix" {
				e.Registry = r.registry.Prefix
			}
		}
		for _, h := range doc.hosts {
			if len(h.entry.Names) > 0 && (e.Field == h.field || strings.HasPrefix(e.Field, h.field+".") && !v.wrong(h.field+".names")) {
				e.Host = h.entry.Names[0]
			}
		}
	}
	slices.SortStableFunc(v.errs, func(a, b Error) int { return cmp.Compare(a.Line, b.Line) })
}

// enum checks that a value is one of those known; the first of them is what an absent field means.
func (v validator) enum(field, value string, known ...string) string {
	switch {
	case !v.has(field) || v.broken(field):
		return known[0]
	case !slices.Contains(known, value):
		v.errorf(field, "write "+strings.Join(known, " or "), "%s is not known", quote(value))
		return known[0]
	}
	return value
}

// oneOf returns the one field of several that is there; "" after an error.
func (v validator) oneOf(field string, names ...string) string {
	var there []string
	for _, name := range names {
		if v.has(field + "." + name) {
			there = append(there, name)
		}
	}
	switch len(there) {
	case 0:
		if !v.broken(field) {
			v.errorf(field, "write one of them", "has none of %s", strings.Join(names, ", "))
		}
	case 1:
		if !v.broken(field + "." + there[0]) {
			return there[0]
		}
	default:
		v.errorf(field+"."+there[1], "keep one of them", "cannot stand beside %s", there[0])
	}
	return ""
}

// missing reports a field that must be there and is not.
func (v validator) missing(field, remedy string) bool {
	if v.has(field) || v.broken(field) {
		return false
	}
	return v.report(field, &fault{"is missing", remedy})
}

// atMost reports more of something than is allowed, and returns how many of them are worth looking at.
func (v validator) atMost(field string, n, most int, remedy string) int {
	if n > most {
		v.report(field, &fault{fmt.Sprintf("has %d, and at most %d are allowed", n, most), remedy})
	}
	return min(n, most)
}
