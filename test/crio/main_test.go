// Package crio_test has a real CRI-O and a real Podman pull by what runtimes/crio renders: the access logs of the mirrors prove where they
// went. The files are put in place as a commit puts them, and CRI-O is told to reload as systemd tells it.
package crio_test

import (
	"context"
	"fmt"
	"net"
	"os"
	"path/filepath"
	"strings"
	"testing"
	"time"

	"github.com/mirrorlet/mirrorlet/runtimes"
	"github.com/mirrorlet/mirrorlet/runtimes/crio"
	"github.com/mirrorlet/mirrorlet/test/lab"
)

func TestMain(m *testing.M) { lab.Main(m) }

// upstream is the registry that images are named after, and the site that each test has.
const upstream = "cr.example.io"

// pullTimeout is far longer than a pull in a lab takes.
const pullTimeout = time.Minute

// host is a machine with a CRI-O, and what was rendered for it.
type host struct {
	t      *testing.T
	lab    *lab.Lab
	daemon *lab.CRIO
	cri    *lab.CRI
	files  []runtimes.File
}

// start makes a machine whose name for address, if that is not empty, is upstream.
func start(t *testing.T) *host {
	t.Helper()
	lab.NeedCRIO(t)
	l := lab.Start(t)
	d, err := l.NewCRIO("")
	must(t, err)
	return &host{t: t, lab: l, daemon: d}
}

// run starts the daemon, which knows upstream at the address of that registry.
func (h *host) run(r *lab.Registry) {
	h.t.Helper()
	if r != nil {
		address, _, err := net.SplitHostPort(r.Host())
		must(h.t, err)
		hosts, err := os.ReadFile("/etc/hosts")
		must(h.t, err)
		must(h.t, os.WriteFile(filepath.Join(h.daemon.Etc, "hosts"), fmt.Appendf(hosts, "\n%s %s\n", address, upstream), 0o644))
	}
	must(h.t, h.daemon.Start())
	cri, err := lab.DialCRI(h.daemon.Socket)
	must(h.t, err)
	h.t.Cleanup(func() { cri.Close() })
	h.cri = cri
}

// want renders an intent and puts it in place: what is new or changed in the order of the files, then takes away what is not wanted any
// more. It tells the daemon to reload if a file of its asks for that.
func (h *host) want(registries ...runtimes.Registry) {
	h.t.Helper()
	if h.place(registries...) >= runtimes.Reload {
		must(h.t, h.daemon.Reload())
	}
}

// place is want without the reload, and returns the action that is to follow.
func (h *host) place(registries ...runtimes.Registry) runtimes.Action {
	h.t.Helper()
	empty := os.DirFS(h.t.TempDir()) // as it would be without Mirrorlet
	files, problems := crio.Runtime{}.Render(crio.Runtime{}.Assume("1.34.0"), empty, runtimes.Intent{Registries: registries})
	for _, p := range problems {
		if p.Reason.Effect() != runtimes.Noted {
			h.t.Fatal(p)
		}
	}
	action, left := runtimes.NoAction, h.files
	for _, f := range files {
		path := h.path(f)
		if old, err := os.ReadFile(path); err != nil || string(old) != string(f.Content) {
			must(h.t, os.MkdirAll(filepath.Dir(path), 0o755))
			must(h.t, os.WriteFile(path+".new", f.Content, f.Mode))
			must(h.t, os.Rename(path+".new", path))
			action = max(action, f.Action)
		}
	}
	for _, f := range left {
		if !named(files, f.Path) {
			must(h.t, os.Remove(h.path(f)))
			action = max(action, f.Action)
		}
	}
	h.files = files
	return action
}

// path is where the file is seen by this process. The folder that lies over the daemon's /etc is none to write to while it does: what was
// looked up once is remembered.
func (h *host) path(f runtimes.File) string { return filepath.Join(h.daemon.HostRoot(), f.Path) }

func named(files []runtimes.File, path string) bool {
	for _, f := range files {
		if f.Path == path {
			return true
		}
	}
	return false
}

// pull asks CRI-O for an image.
func (h *host) pull(image string) error {
	ctx, cancel := context.WithTimeout(h.t.Context(), pullTimeout)
	defer cancel()
	_, err := h.cri.PullImage(ctx, image, nil)
	return err
}

// registry makes a registry of the lab; its log is empty.
func (h *host) registry(c lab.RegistryConfig) *lab.Registry {
	h.t.Helper()
	r, err := h.lab.Registry(c)
	must(h.t, err)
	return r
}

// asked is how often a registry was asked about a repository since the last call.
func asked(r *lab.Registry, repository string) int {
	defer r.Log.Clear()
	return len(r.Log.About(repository))
}

// mirror is a registry of the lab as a mirror, with its CA.
func (h *host) mirror(r *lab.Registry, path string) runtimes.Mirror {
	m := runtimes.Mirror{Scheme: "http", Host: r.Host(), Path: path}
	if strings.HasPrefix(r.URL(), "https:") {
		m.Scheme, m.TLS = "https", runtimes.TLS{CA: h.lab.CA.PEM}
	}
	return m
}

// entry is the wish for a prefix.
func entry(prefix string, fallback runtimes.Fallback, mirrors ...runtimes.Mirror) runtimes.Registry {
	return runtimes.Registry{Prefix: prefix, Mirrors: mirrors, Fallback: fallback, From: "MirrorConfig/test " + prefix}
}

func must(t testing.TB, err error) {
	t.Helper()
	if err != nil {
		t.Fatal(err)
	}
}
