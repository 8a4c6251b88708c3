package config_test

import (
	"fmt"
	"maps"
	"reflect"
	"slices"
	"strings"
	"testing"

	"github.com/mirrorlet/mirrorlet/agent/config"
	"github.com/mirrorlet/mirrorlet/runtimes"
)

// mirrorConfig is a document with a spec, which is YAML in flow style.
func mirrorConfig(name, spec string) string {
	return "---\napiVersion: mirrorlet.dev/v1alpha1\nkind: MirrorConfig\nmetadata: {name: " + name + "}\nspec: " + spec + "\n"
}

func secret(name, stringData string) string {
	return "---\napiVersion: v1\nkind: Secret\nmetadata: {name: " + name + "}\nstringData: " + stringData + "\n"
}

// compile reads documents that must be free of errors.
func compile(t *testing.T, o config.Options, documents ...string) config.Result {
	t.Helper()
	d, errs := config.Parse("x.yaml", []byte(strings.Join(documents, "")))
	if len(errs) > 0 {
		t.Fatalf("errors: %v", errs)
	}
	r := d.Compile(o)
	wellFormed(t, r)
	return r
}

// summary is an intent in a few words: entries as prefix=mirrors, then what is held.
func summary(i runtimes.Intent) string {
	var words []string
	for _, r := range i.Registries {
		var mirrors []string
		for _, m := range r.Mirrors {
			mirrors = append(mirrors, m.Root())
		}
		words = append(words, r.Prefix+"="+strings.Join(mirrors, ","))
	}
	for _, h := range i.Hosts {
		words = append(words, strings.Join(h.Names, ",")+"="+strings.Join(h.Addresses, ","))
	}
	for _, p := range append(slices.Clone(i.Held), i.HeldHosts...) {
		words = append(words, "held:"+p)
	}
	return strings.Join(words, " ")
}

func reasons(r config.Result) string {
	var out []string
	for _, p := range r.Problems {
		out = append(out, string(p.Reason))
	}
	return strings.Join(out, " ")
}

func TestDocumentsAreMerged(t *testing.T) {
	a := func(prefix, url string) string {
		return "{prefix: " + prefix + ", mirrors: [{location: 'https://" + url + "'}]}"
	}
	for _, c := range []struct {
		name, docs, intent, problems string
	}{
		{
			"entries come out sorted by prefix", mirrorConfig("a", "{registries: ["+a("quay.io", "m/q")+", "+a("docker.io", "m/d")+"]}"),
			"docker.io=https://m/v2/d quay.io=https://m/v2/q", "",
		},
		{
			"the first by object name has the registry, whatever the order of documents", mirrorConfig("b", "{registries: ["+a("quay.io", "b")+"]}") + mirrorConfig("a", "{registries: ["+a("quay.io", "a")+"]}"),
			"quay.io=https://a/v2", "DuplicateClaim",
		},
		{
			"a claim is compared in its normal form", mirrorConfig("a", "{registries: ["+a("index.docker.io", "a")+"]}") + mirrorConfig("b", "{registries: ["+a("docker.io", "b")+"]}"),
			"docker.io=https://a/v2", "DuplicateClaim",
		},
		{
			"host names are claimed one by one", mirrorConfig("a", "{hosts: [{names: [a.x, b.x], addresses: [10.0.0.1]}]}") + mirrorConfig("b", "{hosts: [{names: [B.x, c.x], addresses: [10.0.0.2]}]}"),
			"a.x,b.x=10.0.0.1 c.x=10.0.0.2", "DuplicateClaim",
		},
		{
			"a document for other nodes is left out", mirrorConfig("a", "{nodeSelector: {zone: south}, registries: ["+a("quay.io", "a")+"]}") + mirrorConfig("b", "{nodeSelector: {zone: north}, registries: ["+a("quay.io", "b")+"]}"),
			"quay.io=https://b/v2", "",
		},
		{"nothing wants nothing", "", "", ""},
	} {
		t.Run(c.name, func(t *testing.T) {
			r := compile(t, config.Options{Labels: map[string]string{"zone": "north"}}, c.docs)
			if summary(r.Intent) != c.intent || reasons(r) != c.problems || r.Refused {
				t.Errorf("got %q, %q, refused %v\nwant %q, %q", summary(r.Intent), reasons(r), r.Refused, c.intent, c.problems)
			}
		})
	}
}

func TestADuplicateClaimNamesBoth(t *testing.T) {
	spec := "{registries: [{prefix: quay.io, mirrors: [{location: 'https://m'}]}]}"
	r := compile(t, config.Options{}, mirrorConfig("b", spec), mirrorConfig("a", spec))
	p := r.Problems[0]
	if p.Registry != "quay.io" || p.From != "MirrorConfig/b registries[0]" || !strings.Contains(p.Message, "MirrorConfig/a registries[0]") {
		t.Errorf("got %+v", p)
	}
}

func TestNeverRestartHoldsForAllDocuments(t *testing.T) {
	never := mirrorConfig("a", "{runtimeRestart: Never}")
	required := mirrorConfig("b", "{runtimeRestart: WhenRequired}")
	if r := compile(t, config.Options{}, never, required); r.Intent.Restart != runtimes.NeverRestart {
		t.Errorf("got %q", r.Intent.Restart)
	}
	if r := compile(t, config.Options{}, required); r.Intent.Restart != runtimes.WhenRequired {
		t.Errorf("got %q", r.Intent.Restart)
	}
}

func TestAFieldThatIsLeftOutHasItsDefault(t *testing.T) {
	r := compile(t, config.Options{}, mirrorConfig("a", "{registries: [{prefix: docker.io, mirrors: [{location: 'https://M:443/hub/'}]}]}"))
	want := runtimes.Registry{
		Prefix: "docker.io", Fallback: runtimes.Always, OnExisting: runtimes.Keep, From: "MirrorConfig/a registries[0]",
		Mirrors: []runtimes.Mirror{{Scheme: "https", Host: "m:443", Path: "hub", DialTimeout: 1e9, From: "MirrorConfig/a registries[0].mirrors[0]"}},
	}
	if !reflect.DeepEqual(r.Intent.Registries[0], want) {
		t.Errorf("got  %+v\nwant %+v", r.Intent.Registries[0], want)
	}
}

func TestOneWrongEntryHoldsItsPrefixOnly(t *testing.T) {
	const good = "{prefix: good.io, mirrors: [{location: 'https://m'}]}"
	for _, c := range []struct{ name, docs, intent string }{
		{"a wrong mirror", mirrorConfig("a", "{registries: [{prefix: bad.io, mirrors: [{location: harbor}]}, "+good+"]}"), "good.io=https://m/v2 held:bad.io"},
		{"an unknown field", mirrorConfig("a", "{registries: [{prefix: bad.io, mirors: []}, "+good+"]}"), "good.io=https://m/v2 held:bad.io"},
		{"a prefix that is there twice", mirrorConfig("a", "{registries: [{prefix: docker.io}, {prefix: index.docker.io}, "+good+"]}"), "good.io=https://m/v2 held:docker.io"},
		{"a wrong entry has the claim all the same", mirrorConfig("a", "{registries: [{prefix: good.io, mirrors: [{location: harbor}]}]}") + mirrorConfig("b", "{registries: ["+good+"]}"), "held:good.io"},
		{"a wrong entry that comes later holds nothing", mirrorConfig("b", "{registries: [{prefix: good.io, mirrors: [{location: harbor}]}]}") + mirrorConfig("a", "{registries: ["+good+"]}"), "good.io=https://m/v2"},
		{"a wrong address", mirrorConfig("a", "{hosts: [{names: [A.x, b.x], addresses: [x]}, {names: [c.x], addresses: [10.0.0.1]}]}"), "c.x=10.0.0.1 held:a.x held:b.x"},
		{"a name in two entries", mirrorConfig("a", "{hosts: [{names: [a.x, b.x], addresses: [10.0.0.1]}, {names: [b.x, c.x], addresses: [10.0.0.1]}]}"), "held:a.x held:b.x held:c.x"},
	} {
		t.Run(c.name, func(t *testing.T) {
			d, errs := config.Parse("x.yaml", []byte(c.docs))
			last := map[string][]byte{"Secret/old/ca.crt": []byte("x")}
			r := d.Compile(config.Options{LastGood: last})
			wellFormed(t, r)
			if len(errs) == 0 || d.Refused() || r.Refused || summary(r.Intent) != c.intent {
				t.Errorf("got %q, refused %v, %v", summary(r.Intent), r.Refused, errs)
			}
			if held := strings.Contains(c.intent, "held"); held != maps.EqualFunc(r.References, last, slices.Equal) {
				t.Errorf("references are %v", r.References)
			}
		})
	}
}

func TestAWrongDocumentRefusesEverything(t *testing.T) {
	for name, docs := range map[string]string{
		"a syntax error":             mirrorConfig("a", "{}") + "---\n{",
		"an unknown field of a spec": mirrorConfig("a", "{registry: []}"),
		"a prefix that is unknown":   mirrorConfig("a", "{registries: [{prefix: 'https://r.io'}]}"),
		"a prefix that is missing":   mirrorConfig("a", "{registries: [{mirrors: []}]}"),
		"a prefix given twice":       mirrorConfig("a", "{registries: [{prefix: r.io, prefix: s.io}]}"),
		"a host name that is wrong":  mirrorConfig("a", "{hosts: [{names: [a.x, 'b_c'], addresses: [10.0.0.1]}]}"),
		"another kind":               "kind: Pod\napiVersion: v1\n",
		"a Secret that is wrong":     "kind: Secret\napiVersion: v1\nmetadata: {name: a}\ndata: {a: hunter2}\n",
		"two objects of one name":    mirrorConfig("a", "{}") + mirrorConfig("a", "{}"),
		"too many documents":         strings.Repeat("---\n{}\n", 300),
		"too large a file":           "# " + strings.Repeat("x", 1<<20),
		"an alias bomb":              bomb(),
		"endless errors":             mirrorConfig("a", "{registries: [{prefix: r.io, mirrors: ["+strings.Repeat("{? [a] : b}, ", 40_000)+"]}]}"),
	} {
		t.Run(name, func(t *testing.T) {
			d, errs := config.Parse("x.yaml", []byte(docs))
			if !d.Refused() || !d.Compile(config.Options{}).Refused {
				t.Errorf("not refused: %.999s", fmt.Sprint(errs))
			}
			if len(errs) > 257 { // one for each document that is read, or 101 of one document
				t.Errorf("%d errors", len(errs))
			}
			if strings.Contains(fmt.Sprint(errs), "hunter2") {
				t.Errorf("shows a value: %v", errs)
			}
			for _, e := range errs {
				if e.Remedy == "" || e.Message == "" {
					t.Errorf("incomplete: %+v", e)
				}
			}
		})
	}
}

// bomb is a document that is small and would have far too many values, all of them fine.
func bomb() string {
	var headers, mirrors, entries []string
	for i := range 32 {
		headers = append(headers, fmt.Sprintf("X-%d: a", i))
	}
	for i := range 16 {
		mirrors = append(mirrors, fmt.Sprintf("{location: 'https://m%d', headers: {%s}}", i, strings.Join(headers, ", ")))
	}
	for i := range 100 {
		list := "*m"
		if i == 0 {
			list = "&m [" + strings.Join(mirrors, ", ") + "]"
		}
		entries = append(entries, fmt.Sprintf("{prefix: r%d.io, mirrors: %s}", i, list))
	}
	return mirrorConfig("a", "{registries: ["+strings.Join(entries, ", ")+"]}")
}

func TestTooManyRegistriesTogetherRefuseEverything(t *testing.T) {
	var docs []string
	for i := range 4 {
		var entries []string
		for j := range 130 {
			entries = append(entries, fmt.Sprintf("{prefix: r%d-%d.io, upstream: {skipVerify: true}}", i, j))
		}
		docs = append(docs, mirrorConfig(fmt.Sprint("c", i), "{registries: ["+strings.Join(entries, ", ")+"]}"))
	}
	if r := compile(t, config.Options{}, docs[:3]...); r.Refused {
		t.Errorf("390 are refused: %v", r.Errors)
	}
	if r := compile(t, config.Options{}, docs...); !r.Refused || len(r.Errors) != 1 {
		t.Errorf("520 are not refused: %v", r.Errors)
	}
}

func TestTheSameDocumentsGiveTheSameResult(t *testing.T) {
	data := []byte(mirrorConfig("a", "{nodeSelector: {a b: c, d e: f}, registries: [{prefix: r.io, mirrors: [{location: 'https://m', headers: {A B: '', C D: '', E F: ''}}]}]}") +
		mirrorConfig("b", "{hosts: [{names: [x.y], service: {name: A_, namespace: B_}}]}"))
	first, errs := config.Parse("x.yaml", data)
	for range 20 {
		again, other := config.Parse("x.yaml", data)
		if !reflect.DeepEqual(errs, other) || !reflect.DeepEqual(first.Compile(config.Options{}), again.Compile(config.Options{})) {
			t.Fatalf("differs:\n%v\n%v", errs, other)
		}
	}
}

func TestAnErrorReadsAsOneLine(t *testing.T) {
	_, errs := config.Parse("cluster.yaml", []byte(mirrorConfig("a", "{registries: [{prefix: r.io, mirrors: [{location: harbor}]}]}")))
	const want = `cluster.yaml:5: spec.registries[0].mirrors[0].location: "harbor" has no scheme; write https://harbor or http://harbor`
	if len(errs) != 1 || errs[0].Error() != want || errs[0].Registry != "r.io" {
		t.Errorf("got %v", errs)
	}
}
