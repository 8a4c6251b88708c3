package e2e_test

import (
	"os"
	"path/filepath"
	"regexp"
	"strings"
	"testing"

	"github.com/mirrorlet/mirrorlet/test/lab"
	"github.com/mirrorlet/mirrorlet/test/site"
)

// TestTheReadmesWayIntoAClusterIsTrue does what the README says, to the letter, with two nodes of the names that stand there. The one
// thing that it leaves to docs/install.md is how the image gets to the nodes.
func TestTheReadmesWayIntoAClusterIsTrue(t *testing.T) {
	lab.NeedCluster(t, "2.4")
	f := fleet(t, lab.Start(t))
	nothing := func(*lab.Worker) error { return nil }
	before := map[*lab.Worker]string{}
	for _, name := range []string{"worker-1", "worker-2"} {
		w, err := f.Grow(lab.WorkerConfig{Name: name}, nothing)
		must(t, err)
		before[w], err = site.Pristine(w)
		must(t, err)
	}
	text := section(t, f, "README.md", "## In a cluster")
	steps := blocks(text, "sh")
	if len(steps) != 3 {
		t.Fatalf("%d blocks of sh instead of install, enrol, leave:\n%s", len(steps), text)
	}

	for _, line := range steps[0] {
		shell(t, f, line)
		if strings.HasPrefix(line, "make image ") {
			for _, w := range f.Workers {
				must(t, f.Load(w, "bin/image.tar", loading(t, f)))
			}
		}
	}
	unchanged(t, shell(t, f, "kubectl apply -f install.yaml"))
	var table string
	for _, line := range steps[1] {
		table = shell(t, f, line) // that of the last line stands in the README
	}
	if want := strings.Join(blocks(text, "")[0], "\n"); masked(table) != masked(want) {
		t.Errorf("the README shows\n%s\nand it is\n%s", want, table)
	}
	unchanged(t, shell(t, f, "kubectl apply -f install.yaml"))
	for _, line := range steps[2] {
		shell(t, f, line)
	}
	for w, was := range before {
		if is, err := site.Pristine(w); err != nil || is != was {
			t.Errorf("%s was\n%s\nand is (%v)\n%s", w.Name, was, err, is)
		}
	}
}

// fleet is a cluster without workers yet, and a clone of the repository.
func fleet(t *testing.T, l *lab.Lab) *site.Fleet {
	t.Helper()
	f, err := site.NewFleet(l)
	must(t, err)
	t.Cleanup(func() {
		for _, w := range f.Workers {
			if t.Failed() {
				logs, err := site.Logs(w)
				t.Logf("%s: the agents logged (%v)\n%s", w.Name, err, logs)
			}
		}
	})
	return f
}

func shell(t *testing.T, f *site.Fleet, line string) string {
	t.Helper()
	out, err := f.Shell(line)
	must(t, err)
	t.Logf("$ %s\n%s", line, out)
	return out
}

// section is what stands in a file of the clone below a heading, up to the next one of its level or above.
func section(t *testing.T, f *site.Fleet, file, heading string) string {
	t.Helper()
	data, err := os.ReadFile(filepath.Join(f.Clone, file))
	must(t, err)
	_, text, found := strings.Cut(string(data), "\n"+heading+"\n")
	if !found {
		t.Fatalf("%s has no %q", file, heading)
	}
	level := strings.Index(heading, " ")
	for i, line := range strings.Split(text, "\n") {
		if marks := strings.Index(line, "# ") + 1; marks > 0 && marks <= level && strings.Trim(line[:marks], "#") == "" {
			return strings.Join(strings.Split(text, "\n")[:i], "\n")
		}
	}
	return text
}

// blocks are the lines of each block of a language.
func blocks(text, language string) [][]string {
	var all [][]string
	for _, m := range regexp.MustCompile("(?ms)^```([a-z]*)\n(.*?)\n```$").FindAllStringSubmatch(text, -1) {
		if m[1] == language {
			all = append(all, strings.Split(m[2], "\n"))
		}
	}
	return all
}

// loading is the command by which docs/install.md has an image loaded into a containerd.
func loading(t *testing.T, f *site.Fleet) string {
	t.Helper()
	text := section(t, f, "docs/install.md", "## Get the image to the nodes")
	found := regexp.MustCompile("(?m)^\\| another containerd, on each node \\| `(.*)` \\|$").FindStringSubmatch(text)
	if found == nil {
		t.Fatalf("docs/install.md does not say how a containerd loads an image:\n%s", text)
	}
	return found[1]
}

// unchanged checks what kubectl apply has said.
func unchanged(t *testing.T, said string) {
	t.Helper()
	for line := range strings.Lines(said) {
		if !strings.HasSuffix(line, " unchanged\n") {
			t.Errorf("applied again: %s", line)
		}
	}
	if strings.Count(said, "\n") < 5 {
		t.Errorf("apply said only: %s", said)
	}
}

// masked is a table without the ages that end its lines.
func masked(table string) string {
	return regexp.MustCompile(`(?m)[0-9msh]+ *$`).ReplaceAllString(strings.TrimSpace(table), "AGE")
}
