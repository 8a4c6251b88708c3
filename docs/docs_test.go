// Package docs_test holds the pages of this folder to what the code is.
package docs_test

import (
	"os"
	"path/filepath"
	"regexp"
	"strings"
	"testing"

	"github.com/mirrorlet/mirrorlet/agent/config"
)

func TestEachModuleThatIsImportedIsNamedWithItsReason(t *testing.T) {
	text := read(t, "decisions/0001-dependencies.md")
	linked, _, found := strings.Cut(text, "Planned, not linked yet")
	if !found {
		t.Fatal("0001 does not say any more what is planned")
	}
	modules := 0
	for line := range strings.Lines(read(t, "../go.mod")) {
		module, version, ok := strings.Cut(strings.TrimPrefix(strings.TrimSpace(line), "require "), " ")
		if !ok || !strings.HasPrefix(version, "v") || strings.Contains(line, "// indirect") {
			continue
		}
		modules++
		if !strings.Contains(linked, module+" ") && !strings.Contains(linked, module+",") {
			t.Errorf("decisions/0001-dependencies.md does not say what %s is for", module)
		}
	}
	if modules == 0 {
		t.Error("go.mod is not read as it is written")
	}
}

func TestEachDocumentThatIsShownIsRight(t *testing.T) {
	shown := 0
	pages, err := filepath.Glob("reference/*.md")
	if err != nil {
		t.Fatal(err)
	}
	for _, page := range pages {
		for _, snippet := range indented(read(t, page)) {
			document := whole(snippet)
			if document == "" {
				continue
			}
			shown++
			if _, errs := config.Parse(page, []byte(document)); len(errs) > 0 {
				t.Errorf("%s shows a document that is refused: %v\n%s", page, errs, document)
			}
		}
	}
	if shown < 5 {
		t.Errorf("only %d documents were found: are pages read as they are written?", shown)
	}
}

// indented are the blocks of a page that Markdown takes for code because of their indent, without it.
func indented(text string) []string {
	var all []string
	block := ""
	for line := range strings.Lines(text + "\nend\n") {
		code := strings.HasPrefix(line, "    ") || block != "" && strings.TrimSpace(line) == ""
		switch {
		case code:
			block += strings.TrimPrefix(line, "    ")
		case block != "":
			all = append(all, unindent(block))
			block = ""
		}
	}
	return all
}

// unindent takes away the rest of the indent that a block in a list has.
func unindent(block string) string {
	rest := strings.TrimLeft(block, " ")
	indent := block[:len(block)-len(rest)]
	return strings.ReplaceAll(rest, "\n"+indent, "\n")
}

// whole is a document around what a page shows of one; "" for what is none.
func whole(snippet string) string {
	const head = "apiVersion: mirrorlet.dev/v1alpha1\nkind: MirrorConfig\nmetadata: {name: cluster}\nspec:\n"
	body := func(indent string) string { return indent + strings.ReplaceAll(snippet, "\n", "\n"+indent) }
	switch first, _, _ := strings.Cut(snippet, ":"); first {
	case "apiVersion":
		return snippet
	case "registries", "hosts":
		return head + body("  ")
	case "mirrors":
		return head + "  registries:\n  - prefix: quay.io\n" + body("    ")
	default:
		return ""
	}
}

// link is a Markdown link to a file of this repository.
var link = regexp.MustCompile(`\]\(([^):#]+)(#[^)]*)?\)`)

func TestEachLinkLeadsSomewhere(t *testing.T) {
	links := 0
	for _, pattern := range []string{"*.md", "*/*.md", "../*.md", "../examples/*/*.md"} {
		pages, err := filepath.Glob(pattern)
		if err != nil {
			t.Fatal(err)
		}
		for _, page := range pages {
			for _, m := range link.FindAllStringSubmatch(read(t, page), -1) {
				links++
				if _, err := os.Stat(filepath.Join(filepath.Dir(page), m[1])); err != nil {
					t.Errorf("%s: a link to %s leads nowhere", page, m[1])
				}
			}
		}
	}
	if links == 0 {
		t.Error("no link was found")
	}
}

func read(t *testing.T, file string) string {
	t.Helper()
	text, err := os.ReadFile(file)
	if err != nil {
		t.Fatal(err)
	}
	return string(text)
}
