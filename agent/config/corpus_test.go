package config_test

import (
	"os"
	"path/filepath"
	"slices"
	"strconv"
	"strings"
	"testing"
	"time"

	"github.com/mirrorlet/mirrorlet/agent/config"
	"github.com/mirrorlet/mirrorlet/runtimes"
)

// today is when the corpus is read.
func today() time.Time { return time.Date(2026, 1, 1, 0, 0, 0, 0, time.UTC) }

// headers returns what the comment lines at the top of a document say after "# key", with or without " at LINE".
func headers(data, key string) (texts []string, lines []int) {
	for line := range strings.Lines(data) {
		rest, found := strings.CutPrefix(strings.TrimSpace(line), "# "+key)
		if !found {
			continue
		}
		where, text, _ := strings.Cut(rest, ": ")
		at, _ := strconv.Atoi(strings.TrimPrefix(where, " at "))
		texts, lines = append(texts, text), append(lines, at)
	}
	return texts, lines
}

func corpus(t *testing.T, kind string, least int, each func(t *testing.T, data string)) {
	files, err := filepath.Glob("testdata/corpus/" + kind + "/*.yaml")
	if err != nil || len(files) < least {
		t.Fatalf("found %d files, %v", len(files), err)
	}
	for _, file := range files {
		t.Run(strings.TrimSuffix(filepath.Base(file), ".yaml"), func(t *testing.T) {
			data, err := os.ReadFile(file)
			if err != nil {
				t.Fatal(err)
			}
			each(t, string(data))
		})
	}
}

func TestGoodDocumentsAreReadAndSaidWhatIsWorthSaying(t *testing.T) {
	corpus(t, "good", 30, func(t *testing.T, data string) {
		d, errs := config.Parse("x.yaml", []byte(data))
		if len(errs) > 0 || d.Refused() {
			t.Fatalf("errors: %v", errs)
		}
		r := d.Compile(config.Options{Now: today(), Labels: map[string]string{"kubernetes.io/arch": "amd64"}})
		var got []string
		for _, p := range r.Problems {
			got = append(got, string(p.Reason))
			if p.Message == "" || p.From == "" {
				t.Errorf("problem without a message or a claim: %+v", p)
			}
		}
		want, _ := headers(data, "problem")
		slices.Sort(got)
		slices.Sort(want)
		if !slices.Equal(got, want) {
			t.Errorf("problems %v, want %v: %v", got, want, r.Problems)
		}
		wellFormed(t, r)
	})
}

func TestBadDocumentsAreRefusedAtTheLineWithARemedy(t *testing.T) {
	corpus(t, "bad", 60, func(t *testing.T, data string) {
		_, errs := config.Parse("x.yaml", []byte(data))
		texts, lines := headers(data, "error")
		if len(errs) != len(texts) {
			t.Errorf("%d errors, want %d: %v", len(errs), len(texts), errs)
		}
		for i, text := range texts {
			if !slices.ContainsFunc(errs, func(e config.Error) bool {
				return strings.Contains(e.Error(), text) && (lines[i] == 0 || e.Line == lines[i])
			}) {
				t.Errorf("no error at %d with %q in %v", lines[i], text, errs)
			}
		}
		for _, e := range errs {
			complete(t, e)
		}
	})
}

// complete checks that an error says where, what and what to do, and shows nothing that could be a secret.
func complete(t *testing.T, e config.Error) {
	t.Helper()
	whole := strings.HasPrefix(e.Message, "not YAML") || strings.HasPrefix(e.Message, "the document")
	if e.File == "" || e.Line == 0 || e.Message == "" || e.Remedy == "" || e.Field == "" && !whole {
		t.Errorf("incomplete: %+v", e)
	}
	if strings.Contains(e.Error(), "secret@") || strings.Contains(e.Error(), "token=secret") || strings.Contains(e.Error(), "c2VjcmV0") {
		t.Errorf("shows a secret: %v", e)
	}
	if strings.ContainsFunc(e.Error(), func(c rune) bool { return c < ' ' }) {
		t.Errorf("more than a line: %q", e.Error())
	}
	if p := e.Problem(); p.Reason != runtimes.Invalid || p.Registry != e.Registry || p.Message == "" {
		t.Errorf("as a problem: %+v", p)
	}
}

// wellFormed checks what runtimes.Intent promises.
func wellFormed(t *testing.T, r config.Result) {
	t.Helper()
	i := r.Intent
	prefixes := slices.Clone(i.Held)
	for _, reg := range i.Registries {
		prefixes = append(prefixes, reg.Prefix)
		if reg.Prefix == "" || reg.From == "" || reg.Fallback == "" || reg.OnExisting == "" {
			t.Errorf("incomplete: %+v", reg)
		}
		if reg.Prefix != "*" {
			wellNamed(t, reg.Prefix)
		}
		for _, m := range reg.Mirrors {
			if m.Scheme == "" || m.Host == "" || m.Host != strings.ToLower(m.Host) || m.DialTimeout <= 0 || strings.HasSuffix(m.Root(), "/") {
				t.Errorf("incomplete: %+v", m)
			}
		}
	}
	slices.Sort(prefixes)
	if len(slices.Compact(slices.Clone(prefixes))) != len(prefixes) {
		t.Errorf("a prefix is there twice: %q", prefixes)
	}
	if !slices.IsSortedFunc(i.Registries, func(a, b runtimes.Registry) int { return strings.Compare(a.Prefix, b.Prefix) }) {
		t.Errorf("registries are not sorted")
	}
	names := slices.Clone(i.HeldHosts)
	for _, h := range i.Hosts {
		names = append(names, h.Names...)
		if len(h.Names) == 0 || len(h.Addresses) == 0 {
			t.Errorf("incomplete: %+v", h)
		}
	}
	slices.Sort(names)
	if len(slices.Compact(slices.Clone(names))) != len(names) {
		t.Errorf("a host name is there twice: %q", names)
	}
}

// wellNamed checks a prefix against the grammar that runtimes use: it is the beginning of a reference that comes out as it went in.
func wellNamed(t *testing.T, prefix string) {
	t.Helper()
	name := prefix + "/a/b"
	if ref, err := runtimes.ParseRef(name); len(prefix) < 240 && (err != nil || ref.Name() != name || !ref.Matches(prefix)) {
		t.Errorf("prefix %q is not that of a reference: %v, %v", prefix, ref, err)
	}
}

func FuzzAnyBytesAreReadOrRefusedWithARemedy(f *testing.F) {
	for _, pattern := range []string{"testdata/corpus/good/*.yaml", "testdata/corpus/bad/*.yaml"} {
		files, _ := filepath.Glob(pattern)
		for _, file := range files {
			data, err := os.ReadFile(file)
			if err != nil {
				f.Fatal(err)
			}
			f.Add(data)
		}
	}
	f.Add([]byte("a: &a [*a]\nkind: MirrorConfig\napiVersion: mirrorlet.dev/v1alpha1\nspec: *a"))
	f.Add([]byte(mirrorConfig("a", "{nodeSelector: &n null, hosts: [{names: [a.b], service: *n}], registries: [{prefix: r.io, upstream: {ca: {secretRef: *n}}}]}")))
	f.Add([]byte("{kind: Secret, apiVersion: v1, metadata: &m {name: a, labels: *m}, data: {a: '='}}"))
	f.Fuzz(func(t *testing.T, data []byte) {
		d, errs := config.Parse("x.yaml", data)
		for _, e := range errs {
			if e.Message == "" || e.Remedy == "" {
				t.Errorf("incomplete: %+v", e)
			}
		}
		wellFormed(t, d.Compile(config.Options{Now: today()}))
	})
}
