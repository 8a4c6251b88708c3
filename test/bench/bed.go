// Package bench measures what somebody waits for who edits a MirrorConfig: from before the API server is asked until the next pull goes
// where the edit says. All is real: API server, containerd, registries, and the program as a DaemonSet runs it. Beside it, in the same
// run and about the same edits, runs a simple program that does what is usual (bench/poll).
package bench

import (
	"errors"
	"fmt"
	"net/http"
	"os"
	"os/exec"
	"path/filepath"
	"strings"
	"time"

	"github.com/mirrorlet/mirrorlet/test/lab"
	"github.com/mirrorlet/mirrorlet/test/parts"
	"github.com/mirrorlet/mirrorlet/test/site"
)

const (
	// configTOML has containerd 2.4 read one folder, and leaves out what no pull needs.
	configTOML = "version = 3\n[plugins.'io.containerd.cri.v1.images'.registry]\n  config_path = '/etc/containerd/certs.d'\n" +
		"[plugins.'io.containerd.nri.v1.nri']\n  disable = true\n"
	node   = "node-a"
	object = "/apis/mirrorlet.dev/v1alpha1/mirrorconfigs/cluster"
	image  = "library/app:1"
	// patience is far longer than anything here takes.
	patience = 30 * time.Second
)

// Bed is a node of a cluster with its agent, its opponent, and all that looks at them. Its methods are for one goroutine.
type Bed struct {
	cluster *site.Cluster
	client  *http.Client // of an administrator, over one connection that is kept
	ends    []func() error

	configs, reports *feed  // MirrorConfigs and MirrorNodes, as the API server tells of them
	ours, theirs     *file  // the hosts.toml of the registry that is edited
	mirror           string // to which the last edit led
}

// Programs are the binaries: mirrorlet, and bench/poll.
type Programs struct{ Mirrorlet, Poll string }

// Build builds both into a folder.
func Build(folder string) (Programs, error) {
	mirrorlet, err := site.BuildRelease(folder)
	if err != nil {
		return Programs{}, err
	}
	p := Programs{mirrorlet, filepath.Join(folder, "poll")}
	if out, err := exec.Command("go", "build", "-o", p.Poll, "github.com/mirrorlet/mirrorlet/test/bench/poll").CombinedOutput(); err != nil {
		return p, fmt.Errorf("build the opponent: %w: %s", err, out)
	}
	return p, nil
}

// NewBed makes one and returns when the agent has proven that what a MirrorConfig with so many registries says is obeyed, and the
// opponent has written it.
func NewBed(l *lab.Lab, p Programs, registries int) (*Bed, error) {
	b := &Bed{}
	if err := b.join(l, p.Mirrorlet); err != nil {
		return b, err
	}
	if _, err := b.cluster.API.Apply(b.document(registries)); err != nil {
		return b, err
	}
	agent, err := b.cluster.Agent()
	if err != nil {
		return b, err
	}
	b.ends = append(b.ends, agent.Stop)
	if err := b.cluster.Obeyed("Proven"); err != nil {
		return b, fmt.Errorf("%w\n%s", err, agent.Log())
	}
	folder, err := l.Folder("certs.d")
	if err != nil {
		return b, err
	}
	if err := b.oppose(p.Poll, folder); err != nil {
		return b, err
	}
	return b, b.look()
}

// join makes the site and its cluster.
func (b *Bed) join(l *lab.Lab, program string) error {
	containerd, err := parts.Path("containerd-2.4")
	if err != nil {
		return err
	}
	s, err := site.New(l, program, containerd, configTOML)
	if err != nil {
		return err
	}
	if err := s.Node.Start(); err != nil {
		return err
	}
	if _, err := s.Image(image); err != nil {
		return err
	}
	api, err := l.APIServer(lab.APIServerConfig{})
	if err != nil {
		return err
	}
	if b.cluster, err = s.Join(api, node, "mirrorlet.dev/enabled=true"); err != nil {
		return err
	}
	b.mirror = s.Mirror.URL()
	b.client, err = api.Client("editor", "system:masters")
	return err
}

// document is a MirrorConfig whose first registry is the one that is edited.
func (b *Bed) document(registries int) string {
	var d strings.Builder
	d.WriteString(b.cluster.Document(b.cluster.Mirror))
	for i := 1; i < registries; i++ {
		fmt.Fprintf(&d, "  - prefix: registry-%d.example\n    mirrors: [{location: %q, ca: {configMapRef: {name: lab-ca}}}]\n", i, b.mirror)
	}
	return d.String()
}

// oppose starts the simple program, and returns when it has written its first file.
func (b *Bed) oppose(program, folder string) error {
	token, err := b.cluster.API.Token(site.Namespace, "mirrorlet")
	if err != nil {
		return err
	}
	if err := os.Mkdir(filepath.Join(folder, site.Registry), 0o755); err != nil {
		return err
	}
	if b.theirs, err = follow(filepath.Join(folder, site.Registry)); err != nil {
		return err
	}
	b.ends = append(b.ends, b.theirs.close)
	cmd := exec.Command(program, "-url", b.cluster.API.URL+object, "-ca", filepath.Join(b.cluster.API.Folder, "ca.crt"), "-folder", folder)
	cmd.Env, cmd.Stderr = append(os.Environ(), "TOKEN="+token), os.Stderr
	if err := cmd.Start(); err != nil {
		return err
	}
	b.ends = append(b.ends, func() error {
		err := cmd.Process.Kill()
		_ = cmd.Wait() // it was killed
		return err
	})
	_, err = b.theirs.names(b.mirror)
	return err
}

// look follows the agent's file and what the API server tells.
func (b *Bed) look() error {
	var err error
	if b.ours, err = follow(b.cluster.Node.Path("/etc/containerd/certs.d/" + site.Registry)); err != nil {
		return err
	}
	b.ends = append(b.ends, b.ours.close)
	for path, f := range map[string]**feed{"mirrorconfigs": &b.configs, "mirrornodes": &b.reports} {
		if *f, err = watch(b.client, b.cluster.API.URL+"/apis/mirrorlet.dev/v1alpha1/"+path); err != nil {
			return err
		}
		b.ends = append(b.ends, (*f).close)
	}
	return nil
}

// Close stops what the lab does not stop by itself. It may be called after an error of NewBed.
func (b *Bed) Close() error {
	var errs []error
	for _, end := range b.ends {
		errs = append(errs, end())
	}
	return errors.Join(errs...)
}
