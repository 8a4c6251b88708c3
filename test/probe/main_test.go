// Package probe_test asks real containerds for a proof: whoever reads what was written proves it, nobody else does, and nothing of the
// question stays behind.
package probe_test

import (
	"context"
	"fmt"
	"os"
	"os/exec"
	"path/filepath"
	"strings"
	"testing"
	"time"

	"github.com/mirrorlet/mirrorlet/agent/probe"
	"github.com/mirrorlet/mirrorlet/runtimes"
	"github.com/mirrorlet/mirrorlet/runtimes/containerd"
	"github.com/mirrorlet/mirrorlet/test/lab"
	"github.com/mirrorlet/mirrorlet/test/parts"
)

func TestMain(m *testing.M) { lab.Main(m) }

// Two revisions of what is written.
const (
	revision = "0a1b2c3d4e5f"
	another  = "f5e4d3c2b1a0"
)

var daemons = []struct {
	part    string
	version int    // of its config
	extra   string // in its config
	how     string
}{
	{"containerd-2.4", 4, "", "transfer"},
	{"containerd-2.4", 4, "[plugins.'io.containerd.cri.v1.images']\n  use_local_image_pull = true\n", "local"},
	{"containerd-2.4", 2, "", "transfer"},
	{"containerd-1.7", 2, "", "local"},
	{"containerd-1.6", 2, "", "local"},
}

// each tries a test with every containerd.
func each(t *testing.T, test func(t *testing.T, c lab.ContainerdConfig)) {
	for _, d := range daemons {
		t.Run(fmt.Sprintf("%s, config version %d, %s pulls", d.part, d.version, d.how), func(t *testing.T) {
			test(t, lab.ContainerdConfig{Binary: part(t, d.part), Version: d.version, Extra: d.extra})
		})
	}
}

func part(t testing.TB, name string) string {
	t.Helper()
	binary, err := parts.Path(name)
	lab.Need(t, err)
	return binary
}

func must(t testing.TB, err error) {
	t.Helper()
	if err != nil {
		t.Fatal(err)
	}
}

func start(t testing.TB, c lab.ContainerdConfig) *lab.Containerd {
	t.Helper()
	d, err := lab.Start(t).Containerd(c)
	must(t, err)
	return d
}

func listen(t testing.TB) *probe.Registry {
	t.Helper()
	r, err := probe.Listen("127.0.0.1:0")
	must(t, err)
	t.Cleanup(func() { must(t, r.Close()) })
	return r
}

// render writes into a certs.d, which is at folder here, what makes its reader prove a revision.
func render(t testing.TB, folder, revision string, r *probe.Registry) {
	t.Helper()
	facts := runtimes.Facts{Runtime: "containerd", Target: folder, Roots: []string{folder}}
	intent := runtimes.Intent{Registries: []runtimes.Registry{runtimes.Proof(revision, r.Address())}}
	files, problems := containerd.Runtime{}.Render(facts, os.DirFS("/"), intent)
	if len(files) == 0 || len(problems) > 0 {
		t.Fatalf("%d files, %v", len(files), problems)
	}
	for _, f := range files {
		write(t, f.Path, string(f.Content))
	}
}

func write(t testing.TB, file, content string) {
	t.Helper()
	must(t, os.MkdirAll(filepath.Dir(file), 0o755))
	must(t, os.WriteFile(file, []byte(content), 0o644))
}

// asked wants the proof of the revision.
func asked(t testing.TB, r *probe.Registry, d *lab.Containerd) probe.Answer {
	t.Helper()
	a := r.Ask(t.Context(), d.Socket, runtimes.ProofName(revision))
	if !a.Asked || a.Err != nil || !strings.HasPrefix(a.Runtime, "containerd/") {
		t.Fatalf("no proof: %+v", a)
	}
	return a
}

// notAsked wants the runtime to go elsewhere, and to fail there as it says.
func notAsked(t testing.TB, r *probe.Registry, d *lab.Containerd, said string) {
	t.Helper()
	a := r.Ask(t.Context(), d.Socket, runtimes.ProofName(revision))
	if a.Asked || a.Err != nil || !strings.Contains(a.Said, said) {
		t.Errorf("it should have gone elsewhere: %+v", a)
	}
}

// upstream is what a runtime says that looked for the registry itself.
const upstream = "lookup " + revision + "." + runtimes.ProofDomain

// lists are the commands of ctr that show what a daemon has of images.
var lists = []string{"images ls", "content ls", "content active", "leases ls", "snapshots ls"}

// left is what the daemon has of images, one line for each thing, in the namespace of its CRI.
func left(t testing.TB, d *lab.Containerd) string {
	t.Helper()
	ctr := part(t, "ctr")
	ctx, cancel := context.WithTimeout(t.Context(), time.Minute)
	defer cancel()
	var all []string
	for _, list := range lists {
		out, err := exec.CommandContext(ctx, ctr, append([]string{"-a", d.Socket, "-n", "k8s.io"}, strings.Fields(list)...)...).CombinedOutput()
		if err != nil {
			t.Fatalf("ctr %s: %v\n%s", list, err, out)
		}
		lines := strings.Split(strings.TrimSpace(string(out)), "\n")
		for _, thing := range lines[1:] { // the first has the names of the columns
			all = append(all, list+": "+thing)
		}
	}
	return strings.Join(all, "\n")
}
