// Package e2e_test does the main job for real: documents go in, and a real containerd pulls through the mirror, as the mirror's own
// access log proves.
package e2e_test

import (
	"encoding/json"
	"fmt"
	"net/url"
	"os"
	"strings"
	"sync"
	"testing"

	"github.com/mirrorlet/mirrorlet/test/lab"
	"github.com/mirrorlet/mirrorlet/test/parts"
	"github.com/mirrorlet/mirrorlet/test/site"
)

func TestMain(m *testing.M) { lab.Main(m) }

const (
	configV2 = "version = 2\n[plugins.'io.containerd.grpc.v1.cri'.registry]\n  config_path = '/etc/containerd/certs.d'\n"
	configV3 = "version = 3\n[plugins.'io.containerd.cri.v1.images'.registry]\n  config_path = '/etc/containerd/certs.d'\n"
	quiet    = "[plugins.'io.containerd.nri.v1.nri']\n  disable = true\n"
)

var daemons = []struct{ part, config, names string }{
	{"containerd-2.4", configV3 + quiet, "containerd 2.4."},
	{"containerd-2.4", strings.Replace(configV3, "version = 3", "version = 4", 1) + quiet, "containerd 2.4."},
	{"containerd-1.7", configV2 + quiet, "containerd 1.7."},
	{"containerd-1.6", configV2, "containerd 1.6."},
}

// program is built once.
var program = sync.OnceValues(func() (string, error) { return site.Build(lab.Scratch()) })

func start(t *testing.T, part, config string) *site.Site {
	t.Helper()
	s, _ := startIn(t, part, config)
	return s
}

// startIn also returns the lab.
func startIn(t *testing.T, part, config string) (*site.Site, *lab.Lab) {
	t.Helper()
	binary, err := parts.Path(part)
	lab.Need(t, err)
	l := lab.Start(t)
	built, err := program()
	must(t, err)
	s, err := site.New(l, built, binary, config)
	must(t, err)
	return s, l
}

func must(t *testing.T, err error) {
	t.Helper()
	if err != nil {
		t.Fatal(err)
	}
}

func run(t *testing.T, s *site.Site, verb string, args ...string) string {
	t.Helper()
	out, err := s.Run(verb, args...)
	if err != nil {
		t.Fatalf("%s: %v\n%s", verb, err, out)
	}
	return out
}

func image(t *testing.T, s *site.Site, name string) string {
	t.Helper()
	digest, err := s.Image(name)
	must(t, err)
	for _, r := range []*lab.Registry{s.Upstream, s.Mirror, s.Spare} {
		r.Log.Clear()
	}
	return digest
}

// asked checks which of upstream, mirror and spare were asked for a repository.
func asked(t *testing.T, s *site.Site, repository string, want ...*lab.Registry) {
	t.Helper()
	for name, r := range map[string]*lab.Registry{"upstream": s.Upstream, "mirror": s.Mirror, "spare": s.Spare} {
		wanted := false
		for _, w := range want {
			wanted = wanted || w == r
		}
		if n := site.Asked(r, repository); (n > 0) != wanted {
			t.Errorf("%s: the %s was asked %d times", repository, name, n)
		}
	}
}

func TestTheMainJob(t *testing.T) {
	for _, d := range daemons {
		t.Run(d.part+" "+strings.TrimSpace(strings.SplitN(d.config, "\n", 2)[0]), func(t *testing.T) { mainJob(t, d.part, d.config, d.names) })
	}
}

func mainJob(t *testing.T, part, config, names string) {
	s := start(t, part, config)
	must(t, s.Node.Start())
	before, err := s.Tree() // with the folders that containerd makes at its start
	must(t, err)
	must(t, s.Want(s.Mirror))

	out, err := s.Run("plan")
	if err == nil || !strings.Contains(out, names) || !strings.Contains(out, "no restart needed") {
		t.Fatalf("plan does not find the daemon: %v\n%s", err, out)
	}
	a, err := s.Agent()
	must(t, err)
	_, err = a.Applied()
	must(t, err)
	if out := run(t, s, "plan"); !strings.Contains(out, "\n0 to add, 0 to change\n") {
		t.Errorf("after apply there is still to do:\n%s", out)
	}

	image(t, s, "library/by-tag:1")
	must(t, s.Pull("library/by-tag:1"))
	explained(t, s, "library/by-tag:1")
	asked(t, s, "library/by-tag", s.Mirror)

	digest := image(t, s, "library/by-digest:1")
	must(t, s.Upstream.Stop())
	must(t, s.Pull("library/by-digest@"+digest))
	asked(t, s, "library/by-digest", s.Mirror)
	must(t, s.Upstream.Start())

	must(t, s.Want(s.Spare))
	_, err = a.Applied()
	must(t, err)
	image(t, s, "library/edited:1")
	must(t, s.Pull("library/edited:1"))
	asked(t, s, "library/edited", s.Spare)

	image(t, s, "library/fallback:1")
	must(t, s.Spare.Stop())
	must(t, s.Pull("library/fallback:1"))
	asked(t, s, "library/fallback", s.Upstream) // whose CA stands at the root of hosts.toml
	must(t, s.Spare.Start())

	if out, err := s.Run("uninstall"); err == nil || !strings.Contains(err.Error(), "agent") {
		t.Errorf("uninstall while the agent runs: %v\n%s", err, out)
	}
	rest, err := a.Stop()
	must(t, err)
	if len(rest) > 0 {
		t.Errorf("beyond what changed something, the agent logged: %s", strings.Join(rest, "\n"))
	}
	run(t, s, "uninstall")
	after, err := s.Tree()
	must(t, err)
	if after != before {
		t.Errorf("the tree was\n%s\nand is\n%s", before, after)
	}
	image(t, s, "library/left:1")
	if err := s.Pull("library/left:1"); err == nil || !strings.Contains(err.Error(), "certificate") {
		t.Errorf("after leaving, the private CA of the upstream is still trusted: %v", err)
	}
	asked(t, s, "library/left")
}

// explained checks that the first request at the mirror is, to the letter, the one that explain foretells.
func explained(t *testing.T, s *site.Site, name string) {
	t.Helper()
	var e struct{ Endpoints []struct{ URL, Kind string } }
	must(t, json.Unmarshal([]byte(run(t, s, "explain", site.Registry+"/"+name, "-o", "json")), &e))
	if len(e.Endpoints) != 2 || e.Endpoints[0].Kind != "mirror" || e.Endpoints[1].Kind != "upstream" {
		t.Fatalf("explained as %+v", e)
	}
	foretold, err := url.Parse(e.Endpoints[0].URL)
	must(t, err)
	for _, r := range s.Mirror.Log.Requests() {
		if strings.Contains(r.Path, "/manifests/") {
			if got, want := fmt.Sprintf("%s?ns=%s", r.Path, r.Namespace), foretold.Path+"?"+foretold.RawQuery; got != want || foretold.Host != s.Mirror.Host() {
				t.Errorf("the mirror was first asked for %s, explain said %s", got, e.Endpoints[0].URL)
			}
			return
		}
	}
	t.Error("the mirror was asked for no manifest")
}

func TestADaemonThatDoesNotReadCertsDIsNamed(t *testing.T) {
	for _, d := range []struct{ part, config, reason string }{
		{"containerd-2.4", "version = 3\n" + quiet, "two-directory-config-path.md"},
		{"containerd-1.7", "version = 2\n" + quiet, "no-config-path.md"},
		{"containerd-1.6", "version = 2\n", "no-config-path.md"},
	} {
		t.Run(d.part, func(t *testing.T) {
			s := start(t, d.part, d.config)
			must(t, s.Node.Start())
			must(t, s.Want(s.Mirror))
			image(t, s, "library/app:1")
			if out := run(t, s, "apply"); !strings.Contains(out, d.reason) {
				t.Errorf("apply does not say so:\n%s", out)
			}
			if err := s.Pull("library/app:1"); err == nil {
				t.Error("the pull succeeded, so the CA was read")
			}
			asked(t, s, "library/app")
			if out := run(t, s, "explain", site.Registry+"/library/app:1"); !strings.Contains(out, d.reason) || strings.Contains(out, s.Mirror.Host()) {
				t.Errorf("explain hides it:\n%s", out)
			}
		})
	}
}

func TestTheMachinesOwnFilesAreUntouched(t *testing.T) {
	if _, err := os.Stat("/var/lib/mirrorlet"); err == nil {
		t.Error("/var/lib/mirrorlet is there")
	}
}
