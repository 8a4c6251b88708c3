// Package examples_test runs what the README of each example shows, and compares what comes out with what stands there.
package examples_test

import (
	"bytes"
	"flag"
	"io/fs"
	"os"
	"os/exec"
	"path/filepath"
	"slices"
	"strings"
	"testing"

	"github.com/mirrorlet/mirrorlet/agent/config"
)

var update = flag.Bool("update", false, "write what comes out into the READMEs")

// block is where console text stands in a README: from begin to before end, as lines.
type block struct{ begin, end int }

func TestEachReadmeShowsWhatTheProgramPrints(t *testing.T) {
	path := program(t)
	for _, readme := range glob(t, "*/README.md") {
		t.Run(filepath.Dir(readme), func(t *testing.T) {
			t.Parallel()
			dir := filepath.Join(t.TempDir(), "example")
			if err := os.CopyFS(dir, os.DirFS(filepath.Dir(readme))); err != nil {
				t.Fatal(err)
			}
			before := read(t, readme)
			after := replay(t, before, func(command string) []string { return run(t, path, dir, command) })
			if *update {
				if err := os.WriteFile(readme, []byte(after), 0o644); err != nil {
					t.Fatal(err)
				}
			} else if after != before {
				t.Errorf("%s is not what comes out; go test ./examples -update writes it\nit should be:\n%s", readme, after)
			}
		})
	}
}

// program builds mirrorlet and returns a PATH on which it is first.
func program(t *testing.T) string {
	t.Helper()
	// go test keeps the result until a folder that was opened changes, and does not see what the build opens.
	for _, sources := range []string{"../api", "../agent", "../cmd", "../runtimes"} {
		if err := filepath.WalkDir(sources, func(_ string, _ fs.DirEntry, err error) error { return err }); err != nil {
			t.Fatal(err)
		}
	}
	dir := t.TempDir()
	if out, err := exec.Command("go", "build", "-o", dir, "../cmd/mirrorlet").CombinedOutput(); err != nil {
		t.Fatalf("build mirrorlet: %v\n%s", err, out)
	}
	return dir + string(os.PathListSeparator) + os.Getenv("PATH")
}

// replay returns the text with the output of each command in its console blocks as it is now.
func replay(t *testing.T, text string, run func(command string) []string) string {
	t.Helper()
	lines := strings.Split(text, "\n")
	var out []string
	last, commands := 0, 0
	for _, b := range blocks(lines) {
		out = append(out, lines[last:b.begin]...)
		for _, line := range lines[b.begin:b.end] {
			if command, ok := strings.CutPrefix(line, "$ "); ok {
				out = append(append(out, line), run(command)...)
				commands++
			}
		}
		last = b.end
	}
	if commands == 0 {
		t.Error("the README has no command in a console block")
	}
	return strings.Join(append(out, lines[last:]...), "\n")
}

func blocks(lines []string) []block {
	var all []block
	begin := -1
	for i, line := range lines {
		switch {
		case line == "```console":
			begin = i + 1
		case line == "```" && begin >= 0:
			all = append(all, block{begin, i})
			begin = -1
		}
	}
	return all
}

// run runs a command as a reader would, in a copy of the example, and returns the lines that it prints but for those of the log,
// which carry the time of day.
func run(t *testing.T, path, dir, command string) []string {
	t.Helper()
	cmd := exec.Command("sh", "-c", command)
	cmd.Dir, cmd.Env = dir, append(os.Environ(), "PATH="+path)
	var stdout, stderr bytes.Buffer
	cmd.Stdout, cmd.Stderr = &stdout, &stderr
	err := cmd.Run()
	if exit, ok := err.(*exec.ExitError); err != nil && (!ok || exit.ExitCode() > 2) { // 1 and 2 are answers of mirrorlet
		t.Fatalf("%s: %v\n%s", command, err, stderr.String())
	}
	var out []string
	for line := range strings.Lines(stdout.String() + stderr.String()) {
		if !strings.HasPrefix(line, "time=") {
			out = append(out, strings.TrimRight(line, " \n"))
		}
	}
	return out
}

func TestEachReadmeFitsAScreen(t *testing.T) {
	for _, readme := range glob(t, "*/README.md") {
		if n := strings.Count(read(t, readme), "\n"); n > 40 {
			t.Errorf("%s has %d lines, and at most 40 are read", readme, n)
		}
	}
}

func TestEachFolderOfDocumentsIsRight(t *testing.T) {
	folders := map[string]bool{}
	for _, pattern := range []string{"*/*.yaml", "*/*/*.yaml"} {
		for _, file := range glob(t, pattern) {
			folders[filepath.Dir(file)] = true
		}
	}
	for folder := range folders {
		documents, errs := config.Read(os.DirFS(folder), ".")
		if len(errs) > 0 || documents.Len() != 1 {
			t.Errorf("%s: %d MirrorConfigs, errors %v", folder, documents.Len(), errs)
		}
	}
}

func TestEachFolderIsAnExampleWithAReadmeAndADocument(t *testing.T) {
	folders := 0
	for _, name := range glob(t, "[1-9]-*") {
		folders++
		for _, file := range []string{"README.md", "mirrorconfig.yaml"} {
			if _, err := fs.Stat(os.DirFS(name), file); err != nil {
				t.Errorf("example %s: %v", name, err)
			}
		}
	}
	if folders != 5 {
		t.Errorf("%d examples, and there are five situations", folders)
	}
}

func glob(t *testing.T, pattern string) []string {
	t.Helper()
	names, err := filepath.Glob(pattern)
	if err != nil || len(names) == 0 {
		t.Fatalf("%s: %d files, %v", pattern, len(names), err)
	}
	slices.Sort(names)
	return names
}

func read(t *testing.T, file string) string {
	t.Helper()
	text, err := os.ReadFile(file)
	if err != nil {
		t.Fatal(err)
	}
	return string(text)
}
