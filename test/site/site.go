// Package site is what the main job needs, for real: a registry with a private CA, two mirrors of it, a node with a containerd, images
// in all of them, and the program under test. The end-to-end tests and the demo stand on it.
package site

import (
	"context"
	"errors"
	"fmt"
	"os"
	"os/exec"
	"path/filepath"
	"strings"
	"time"

	"github.com/mirrorlet/mirrorlet/test/lab"
)

// Registry is the name under which the upstream is known to the node. Nothing outside the lab has it.
const Registry = "registry.example"

// pullTimeout is far longer than a pull in a lab takes.
const pullTimeout = time.Minute

// Site is one of everything. Its methods are for one goroutine.
type Site struct {
	Upstream, Mirror, Spare *lab.Registry
	Node                    *lab.Node
	// Config is the folder of documents that the program reads.
	Config string

	lab     *lab.Lab
	program string
	cri     *lab.CRI
}

// New makes a site and starts its registries. The node is there, and its containerd not yet started: it reads certs.d in the way that
// the config file says.
func New(l *lab.Lab, program, containerd, configTOML string) (*Site, error) {
	s := &Site{lab: l, program: program}
	address, err := l.Network.Address()
	if err != nil {
		return nil, err
	}
	if s.Upstream, err = l.Registry(lab.RegistryConfig{Address: address + ":443", Names: []string{Registry}}); err != nil {
		return nil, err
	}
	for _, m := range []**lab.Registry{&s.Mirror, &s.Spare} {
		if *m, err = l.Registry(lab.RegistryConfig{}); err != nil {
			return nil, err
		}
	}
	if s.Config, err = l.Folder("mirrors"); err != nil {
		return nil, err
	}
	s.Node, err = l.Node(lab.NodeConfig{Binary: containerd, ConfigTOML: configTOML, Hosts: []string{address + " " + Registry}})
	return s, err
}

// Image pushes a new image to the upstream and copies it, with its digest, to both mirrors. It returns the digest.
func (s *Site) Image(name string) (string, error) {
	digest, err := s.Upstream.Push(name)
	if err != nil {
		return "", err
	}
	for _, m := range []*lab.Registry{s.Mirror, s.Spare} {
		if _, err := m.Copy(name, s.Upstream, name); err != nil {
			return "", err
		}
	}
	return digest, nil
}

// Want writes the MirrorConfig that sends pulls to one mirror, by the rename with which an editor saves.
func (s *Site) Want(mirror *lab.Registry) error {
	document := fmt.Sprintf(`apiVersion: mirrorlet.dev/v1alpha1
kind: MirrorConfig
metadata: {name: cluster}
spec:
  registries:
  - prefix: %s
    upstream: {ca: {configMapRef: {name: lab-ca, key: ca.crt}}}
    mirrors:
    - location: %s
      ca: {configMapRef: {name: lab-ca, key: ca.crt}}
---
apiVersion: v1
kind: ConfigMap
metadata: {name: lab-ca}
data:
  ca.crt: |
    %s
`, Registry, mirror.URL(), strings.ReplaceAll(strings.TrimSpace(string(s.lab.CA.PEM)), "\n", "\n    "))
	return s.Write(document)
}

// Write writes documents in the place of those before, by the same rename.
func (s *Site) Write(documents string) error {
	file := filepath.Join(s.Config, "cluster.yaml")
	if err := os.WriteFile(file+".new", []byte(documents), 0o644); err != nil {
		return err
	}
	return os.Rename(file+".new", file)
}

// Pull asks the node's containerd for an image of the upstream, such as library/app:1, over CRI.
func (s *Site) Pull(image string) error {
	ctx, cancel := context.WithTimeout(context.Background(), pullTimeout)
	defer cancel()
	if s.cri == nil {
		cri, err := lab.DialCRI(s.Node.Socket)
		if err != nil {
			return err
		}
		s.cri = cri
	}
	_, err := s.cri.PullImage(ctx, Registry+"/"+image, nil)
	return err
}

// Run runs the program for the node and returns what it printed. Config and root are given to it where the verb has them.
func (s *Site) Run(verb string, args ...string) (string, error) {
	args = append([]string{verb, "--root", s.Node.Root}, args...)
	if verb == "plan" || verb == "apply" {
		args = append(args, "--config", s.Config)
	}
	var out, errs strings.Builder
	cmd := exec.Command(s.program, args...)
	cmd.Stdout, cmd.Stderr = &out, &errs
	err := cmd.Run()
	if errs.Len() > 0 {
		err = errors.Join(err, errors.New(strings.TrimSpace(errs.String())))
	}
	return out.String(), err
}

// Asked is how often a registry was asked for manifests and blobs of a repository since the last call.
func Asked(r *lab.Registry, repository string) int {
	defer r.Log.Clear()
	return len(r.Log.About(repository))
}
