package crio

import (
	"cmp"
	"maps"
	"slices"
	"strings"

	"go.podman.io/image/v5/docker/reference"
)

// matches says that the entry with that prefix claims a name, as the parser does: at the end of the name, at a slash, and at a colon, so
// that r.io claims r.io:5000 as well. Source: refMatchingPrefix in pkg/sysregistriesv2/system_registries_v2.go of go.podman.io/image v5.39.3.
func matches(prefix, name string) bool {
	end := len(prefix)
	if suffix, wildcard := strings.CutPrefix(prefix, "*"); wildcard && strings.HasPrefix(suffix, ".") {
		i := strings.Index(name, suffix)
		if i < 0 || strings.Contains(name[:i], "/") {
			return false
		}
		end = i + len(suffix)
	} else if !strings.HasPrefix(name, prefix) {
		return false
	}
	return end == len(name) || strings.ContainsRune(":/@", rune(name[end]))
}

// find is the entry that claims a name: that with the longest prefix, and of two as long the first by prefix, as findRegistryWithParsedConfig
// there has it.
func (v view) find(name string) (entry, bool) {
	best, found := entry{}, false
	for _, prefix := range slices.Sorted(maps.Keys(v.entries)) {
		if matches(prefix, name) && len(prefix) > len(best.Prefix) {
			best, found = v.entries[prefix], true
		}
	}
	return best, found
}

// below are the entries for a part of what a prefix claims, sorted.
func (v view) below(prefix string) []entry {
	var out []entry
	for _, e := range v.entries {
		if strings.HasPrefix(e.Prefix, prefix+"/") {
			out = append(out, e)
		}
	}
	slices.SortFunc(out, func(a, b entry) int { return cmp.Compare(a.Prefix, b.Prefix) })
	return out
}

// canonical says that an image can be named at a location. Where it cannot, the file loads, and every pull that comes to the location
// fails (rewriteReference there). A host needs a dot or a port, and cannot be an IPv6 address.
func canonical(location string) bool {
	_, err := reference.ParseNamed(location + "/an/image")
	return err == nil
}
