package crio_test

import (
	"context"
	"flag"
	"fmt"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"testing"
	"time"

	"github.com/mirrorlet/mirrorlet/agent/config"
	"github.com/mirrorlet/mirrorlet/runtimes"
	"github.com/mirrorlet/mirrorlet/runtimes/crio"
	"github.com/rogpeppe/go-internal/txtar"
)

var update = flag.Bool("update", false, "rewrite what the golden files expect; read the diff")

// A case of testdata/render is a txtar file. Its comment says what trap it is about, and may hold lines "roots: /a /b" and
// "explain: IMAGE…". config.yaml is what a user writes, host/… what his host holds ("host/dir/" is an empty folder). Expected are the
// files, the problems, and for each image the endpoints that CRI-O's own parser finds, which must be those of the intent where
// no problem excuses them.
func TestRenderedFilesAreAsPeopleReadThem(t *testing.T) {
	cases, err := filepath.Glob("testdata/render/*.txtar")
	if err != nil || len(cases) == 0 {
		t.Fatalf("no cases: %v", err)
	}
	for _, file := range cases {
		t.Run(strings.TrimSuffix(filepath.Base(file), ".txtar"), func(t *testing.T) { golden(t, file) })
	}
}

func golden(t *testing.T, file string) {
	archive, err := txtar.ParseFile(file)
	if err != nil {
		t.Fatal(err)
	}
	root, document := t.TempDir(), []byte(nil)
	var given []txtar.File
	for _, f := range archive.Files {
		switch path, onHost := strings.CutPrefix(f.Name, "host/"); {
		case f.Name == "config.yaml":
			document = f.Data
			given = append(given, f)
		case onHost:
			place(t, filepath.Join(root, path), f)
			given = append(given, f)
		}
	}
	facts, images := directives(string(archive.Comment))
	want := expected(t, root, facts, intentOf(t, document), images)
	if *update {
		archive.Files = append(given, want...)
		if err := os.WriteFile(file, txtar.Format(archive), 0o644); err != nil {
			t.Fatal(err)
		}
		return
	}
	got := txtar.Format(&txtar.Archive{Files: want})
	if old := txtar.Format(&txtar.Archive{Files: archive.Files[len(given):]}); string(got) != string(old) {
		t.Errorf("got:\n%s\nwant:\n%s", got, old)
	}
}

func place(t *testing.T, path string, f txtar.File) {
	t.Helper()
	dir := filepath.Dir(path)
	if strings.HasSuffix(f.Name, "/") {
		dir = path
	}
	if err := os.MkdirAll(dir, 0o755); err != nil {
		t.Fatal(err)
	}
	if dir != path {
		if err := os.WriteFile(path, f.Data, 0o644); err != nil {
			t.Fatal(err)
		}
	}
}

func directives(comment string) (runtimes.Facts, []string) {
	facts, images := crio.Runtime{}.Assume("1.34.0"), []string(nil)
	for line := range strings.Lines(comment) {
		line = strings.TrimSpace(line)
		if roots, ok := strings.CutPrefix(line, "roots: "); ok {
			facts.Roots = strings.Fields(roots)
		}
		if all, ok := strings.CutPrefix(line, "explain: "); ok {
			images = strings.Fields(all)
		}
	}
	return facts, images
}

func intentOf(t *testing.T, document []byte) runtimes.Intent {
	t.Helper()
	documents, errs := config.Parse("config.yaml", document)
	result := documents.Compile(config.Options{Now: time.Date(2026, 11, 1, 0, 0, 0, 0, time.UTC)})
	if len(errs)+len(result.Errors) > 0 {
		t.Fatalf("the document is wrong: %v", errs)
	}
	return result.Intent
}

// expected renders into root and returns what came of it, in the form of the golden file.
func expected(t *testing.T, root string, facts runtimes.Facts, intent runtimes.Intent, images []string) []txtar.File {
	t.Helper()
	files, problems := crio.Runtime{}.Render(facts, os.DirFS(root), intent)
	var out []txtar.File
	for _, f := range files {
		name := "want" + f.Path
		if f.Secret {
			name += " (secret)"
		}
		out = append(out, txtar.File{Name: name, Data: f.Content})
		place(t, filepath.Join(root, f.Path), txtar.File{Name: f.Path, Data: f.Content})
	}
	var text strings.Builder
	for _, p := range problems {
		fmt.Fprintf(&text, "%s: %s\n", p.Reason, p)
	}
	out = append(out, txtar.File{Name: "want problems", Data: []byte(text.String())})
	for _, image := range images {
		out = append(out, txtar.File{Name: "want explain " + image, Data: resolved(t, root, facts, intent, problems, image)})
	}
	return out
}

func resolved(t *testing.T, root string, facts runtimes.Facts, intent runtimes.Intent, problems []runtimes.Problem, image string) []byte {
	t.Helper()
	ref, err := runtimes.ParseRef(image)
	if err != nil {
		t.Fatal(err)
	}
	got, err := crio.Runtime{}.Resolve(context.Background(), facts, root, ref)
	if err != nil {
		return []byte(strings.ReplaceAll(err.Error(), root, "") + "\n")
	}
	registry, claimed := intent.Match(ref)
	excused := slices.ContainsFunc(problems, func(p runtimes.Problem) bool {
		return p.Registry == registry.Prefix || p.Registry != "" && ref.Matches(p.Registry)
	})
	if err := runtimes.Obeys(ref, got, intent.Endpoints(ref)); err != nil && claimed && !excused {
		t.Errorf("against the law: %v", err)
	}
	var b strings.Builder
	for _, e := range got {
		fmt.Fprintf(&b, "%s %s", e.Kind, e.URL)
		for _, term := range []struct {
			is   bool
			name string
		}{{!e.ResolvesTags, "digest-only"}, {e.PlainHTTP, "plain-http"}, {e.SkipVerify, "skip-verify"}, {e.CA != "", "ca=" + e.CA}, {e.Identity != "", "client-cert"}, {e.Header != "", "headers"}, {e.DialTimeout > 0, "dial=" + e.DialTimeout.String()}} {
			if term.is {
				b.WriteString(" " + term.name)
			}
		}
		fmt.Fprintf(&b, "  (%s)\n", e.From)
	}
	return []byte(b.String())
}
