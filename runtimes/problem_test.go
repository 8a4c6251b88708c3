package runtimes_test

import (
	"go/ast"
	"go/parser"
	"go/token"
	"os"
	"path/filepath"
	"slices"
	"strconv"
	"strings"
	"testing"

	"github.com/mirrorlet/mirrorlet/runtimes"
)

func TestEachReasonHasItsPageAndEachPageItsReason(t *testing.T) {
	var wanted []string
	for _, r := range reasons(t) {
		wanted = append(wanted, filepath.Join("..", r.Doc()))
	}
	pages, err := filepath.Glob("../docs/reference/*.md")
	if err != nil {
		t.Fatal(err)
	}
	for _, page := range wanted {
		if !slices.Contains(pages, page) {
			t.Errorf("%s is missing: each reason is explained", page)
		}
	}
	kinds := []string{"mirrorconfig.md", "mirrornode.md", "metrics.md", "events.md"} // what is written and reported
	for _, page := range pages {
		if !slices.Contains(kinds, filepath.Base(page)) && !slices.Contains(wanted, page) {
			t.Errorf("%s is the page of no reason", page)
		}
	}
}

func TestEachPageOfAReasonIsOfOneShape(t *testing.T) {
	for _, r := range reasons(t) {
		text, err := os.ReadFile(filepath.Join("..", r.Doc()))
		if err != nil {
			continue // said above
		}
		if n := strings.Count(string(text), "\n"); n > 40 {
			t.Errorf("%s has %d lines, and at most 40 are read", r.Doc(), n)
		}
		if !strings.HasPrefix(string(text), "# "+string(r)) {
			t.Errorf("%s does not begin with its reason, # %s", r.Doc(), r)
		}
	}
}

// reasons are the constants of type Reason, as the source has them.
func reasons(t *testing.T) []runtimes.Reason {
	t.Helper()
	file, err := parser.ParseFile(token.NewFileSet(), "problem.go", nil, 0)
	if err != nil {
		t.Fatal(err)
	}
	var out []runtimes.Reason
	ast.Inspect(file, func(n ast.Node) bool {
		spec, ok := n.(*ast.ValueSpec)
		if !ok {
			return true
		}
		if typ, ok := spec.Type.(*ast.Ident); ok && typ.Name == "Reason" {
			for _, value := range spec.Values {
				literal, _ := value.(*ast.BasicLit)
				if literal == nil {
					t.Fatalf("%v is not a text", spec.Names)
				}
				text, err := strconv.Unquote(literal.Value)
				if err != nil {
					t.Fatal(err)
				}
				out = append(out, runtimes.Reason(text))
			}
		}
		return false
	})
	if len(out) < 10 {
		t.Fatalf("only %d reasons were found: is problem.go read as it is written?", len(out))
	}
	return out
}
