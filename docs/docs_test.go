// Package docs_test holds the pages of this folder to what the code is.
package docs_test

import (
	"os"
	"path/filepath"
	"regexp"
	"strings"
	"testing"
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
