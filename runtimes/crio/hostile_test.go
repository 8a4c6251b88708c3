package crio

import (
	"maps"
	"os"
	"path/filepath"
	"slices"
	"testing"

	"go.podman.io/image/v5/pkg/sysregistriesv2"
	"go.podman.io/image/v5/types"
)

// A drop-in of the owner can hold anything. Reading one never panics, finds the entries that the parser of CRI-O finds, and calls broken
// what that refuses. Aliases of short names are not ours to read: what is wrong with those alone is told by the parser when it is asked.
func FuzzAnyDropInIsReadAsCRIOReadsIt(f *testing.F) {
	for _, seed := range dropInSeeds {
		f.Add([]byte(seed))
	}
	f.Fuzz(func(t *testing.T, content []byte) { readAlike(t, content) })
}

var dropInSeeds = []string{
	"", "[[registry]]\nlocation = 'quay.io'\n", "\ufeff[[registry]]\nlocation = 'quay.io'\n", "[[registry]]\nprefix = 'quay.io'\n", "[[registry]]\n",
	"[[registry]]\nprefix = '*.io'\nblocked = true\n", "[[registry]]\nprefix = '*.io/a'\n", "[[registry]]\nprefix = '*'\n", "[[registry]]\nprefix = '*'\nlocation = 'm'\n",
	"[[registry]]\nlocation = 'https://quay.io'\n", "[[registry]]\nlocation = 'quay.io///'\n[[registry.mirror]]\nlocation = 'm/'\n", "[[registry]]\nlocation = '/'\n",
	"[[registry]]\nlocation = 'quay.io'\n[[registry.mirror]]\n", "[[registry]]\nlocation = 'quay.io'\n[[registry.mirror]]\nlocation = 'm.io'\npull-from-mirror = 'all'\n",
	"[[registry]]\nlocation = 'quay.io'\nmirror-by-digest-only = true\n[[registry.mirror]]\nlocation = 'm.io'\npull-from-mirror = 'all'\n",
	"[[registry]]\nlocation = 'quay.io'\npull-from-mirror = 'all'\n", "[[registry]]\nlocation = 'quay.io'\n[[registry.mirror]]\nlocation = 'm.io'\npull-from-mirror = 'never'\n",
	"[[registry]]\nlocation = 'quay.io'\n[[registry]]\nlocation = 'quay.io'\n", "[[registry]]\nlocation = 'quay.io'\n[[registry]]\nprefix = 'a.io'\nlocation = 'quay.io'\ninsecure = true\n",
	"[registries.search]\nregistries = ['docker.io']\n", "[registries]\n", "registries = 1\n", "registry = [{location = 'quay.io', mirror = [{location = 'm.io'}]}]\n",
	"[[Registry]]\nLocation = 'quay.io'\n", "[registry]\nlocation = 'quay.io'\n", "[[registry]]\nlocation = 1\n", "[[registry]]\nlocation = 'quay.io'\ninsecure = 'true'\n",
	"short-name-mode = 'enforcing'\n", "short-name-mode = 'prompt'\n", "short-name-mode = ''\n", "unqualified-search-registries = ['docker.io']\n", "unqualified-search-registries = ['a b']\n",
	"unqualified-search-registries = ['https://docker.io']\n", "credential-helpers = 1\n", "unknown = 1\n[[registry]]\nlocation = 'quay.io'\nunknown = 2\n", "[[registry]\n", "a = 1\na = 2\n",
	"[[registry]]\nlocation = 'quay.io'\r\n[[registry.mirror]]\r\nlocation = 'm.io'\r\n", "[[registry]]\nlocation = \"quay.io\" # why\n", "[[registry]]\nlocation = 'quay.io'\n[registry.mirror]\nlocation = 'm.io'\n",
}

func readAlike(t *testing.T, content []byte) {
	t.Helper()
	dir := t.TempDir()
	file := filepath.Join(dir, "any.conf")
	if err := os.WriteFile(file, content, 0o600); err != nil {
		t.Fatal(err)
	}
	theirs, refused := sysregistriesv2.TryUpdatingCache(&types.SystemContext{SystemRegistriesConfPath: os.DevNull, SystemRegistriesConfDirPath: dir})
	v := view{entries: map[string]entry{}}
	v.add(os.DirFS("/"), file, true)
	if (len(v.broken) > 0) != (refused != nil) {
		t.Fatalf("%q: CRI-O says %v, we say %v", content, refused, v.broken)
	}
	if refused != nil {
		return
	}
	var prefixes []string
	for _, r := range theirs.Registries {
		prefixes = append(prefixes, r.Prefix)
		e := v.entries[r.Prefix]
		if e.Location != r.Location || e.Insecure != r.Insecure || e.Blocked != r.Blocked || e.DigestOnly != r.MirrorByDigestOnly || len(e.Mirror) != len(r.Mirrors) {
			t.Fatalf("%q: CRI-O reads %+v, we read %+v", content, r, e)
		}
		for i, m := range r.Mirrors {
			if o := e.Mirror[i]; o.Location != m.Location || o.Insecure != m.Insecure || o.PullFrom != m.PullFromMirror {
				t.Fatalf("%q: CRI-O reads the mirror %+v, we read %+v", content, m, o)
			}
		}
	}
	if ours := slices.Sorted(maps.Keys(v.entries)); !slices.Equal(ours, prefixes) {
		t.Fatalf("%q: CRI-O finds %q, we find %q", content, prefixes, ours)
	}
}

// What claims a name is decided twice, by the parser and by us, for the owner's entries.
func FuzzTheEntryThatClaimsANameIsTheParsers(f *testing.F) {
	for _, name := range []string{"quay.io/a/b", "q.io/a", "a.b.io/x", "quay.io:5000/a", "quay.io", "docker.io/library/nginx", "io/a", "a.io/b.io/c"} {
		f.Add("quay.io", "*.io", name)
		f.Add("docker.io/library", "docker.io", name)
		f.Add("*.b.io", "*.io", name)
	}
	f.Fuzz(func(t *testing.T, one, other, name string) {
		v, dir := view{entries: map[string]entry{}}, t.TempDir()
		content := ""
		for _, prefix := range []string{one, other} {
			content += "[[registry]]\nprefix = " + quote(prefix) + "\nlocation = 'm.example'\n"
		}
		file := filepath.Join(dir, "any.conf")
		if err := os.WriteFile(file, []byte(content), 0o600); err != nil {
			t.Fatal(err)
		}
		v.add(os.DirFS("/"), file, true)
		sysregistriesv2.InvalidateCache()
		theirs, err := sysregistriesv2.FindRegistry(&types.SystemContext{SystemRegistriesConfPath: os.DevNull, SystemRegistriesConfDirPath: dir}, name)
		if err != nil || name == "" {
			return
		}
		ours, found := v.find(name)
		if found != (theirs != nil) || found && ours.Prefix != theirs.Prefix {
			t.Fatalf("%q: the parser finds %+v, we find %q", name, theirs, ours.Prefix)
		}
	})
}
