package site

import (
	"bufio"
	"errors"
	"fmt"
	"os/exec"
	"path/filepath"
	"runtime"
	"strings"
	"sync"
	"syscall"

	"github.com/mirrorlet/mirrorlet/test/lab"
)

// Namespace is where the agents are.
const Namespace = "mirrorlet-system"

// Cluster is a site whose node is in a cluster: a real API server with all that is installed there, and a Node object.
type Cluster struct {
	*Site
	API *lab.APIServer
	// Name is the Node's.
	Name string
}

// Join installs the manifests at an API server, as a user would, and makes a Node object for the site's node, with labels such as
// "zone=a".
func (s *Site) Join(api *lab.APIServer, name string, labels ...string) (*Cluster, error) {
	c := &Cluster{s, api, name}
	if _, err := api.Kubectl("apply", "-k", Manifests("base")); err != nil {
		return nil, err
	}
	if _, err := api.Kubectl("wait", "--for=condition=Established", "crd/mirrorconfigs.mirrorlet.dev", "crd/mirrornodes.mirrorlet.dev", "--timeout=30s"); err != nil {
		return nil, err
	}
	_, err := api.Apply(fmt.Sprintf("apiVersion: v1\nkind: Node\nmetadata: {name: %s}\n", name))
	if err == nil && len(labels) > 0 {
		_, err = api.Kubectl(append([]string{"label", "node", name}, labels...)...)
	}
	if err == nil {
		_, err = api.Kubectl("create", "configmap", "lab-ca", "--namespace="+Namespace, "--from-literal=ca.crt="+string(s.lab.CA.PEM))
	}
	return c, err
}

// Manifests is a folder of the project's manifests.
func Manifests(name string) string {
	_, here, _, _ := runtime.Caller(0) // test/site/cluster.go
	return filepath.Join(filepath.Dir(here), "../../manifests", name)
}

// Document is a MirrorConfig that sends pulls to one mirror.
func (c *Cluster) Document(mirror *lab.Registry) string {
	return fmt.Sprintf(`apiVersion: mirrorlet.dev/v1alpha1
kind: MirrorConfig
metadata: {name: cluster}
spec:
  registries:
  - prefix: %s
    upstream: {ca: {configMapRef: {name: lab-ca}}}
    mirrors:
    - location: %s
      ca: {configMapRef: {name: lab-ca}}
`, Registry, mirror.URL())
}

// Want applies that document.
func (c *Cluster) Want(mirror *lab.Registry) error {
	_, err := c.API.Apply(c.Document(mirror))
	return err
}

// Await waits until a JSONPath of the node's MirrorNode has a value, and returns what kubectl shows of it in the end.
func (c *Cluster) Await(path, value string) error {
	_, err := c.API.Kubectl("wait", "--for=create", "mirrornode/"+c.Name, "--timeout=30s")
	if err == nil {
		_, err = c.API.Kubectl("wait", "mirrornode/"+c.Name, "--for=jsonpath="+path+"="+value, "--timeout=30s")
	}
	if err != nil {
		status, _ := c.API.Kubectl("get", "mirrornode", c.Name, "-o", "yaml")
		return fmt.Errorf("%w\n%s", err, status)
	}
	return nil
}

// Obeyed waits until the condition Obeyed has a reason.
func (c *Cluster) Obeyed(reason string) error {
	return c.Await(`{.status.conditions[?(@.type=="Obeyed")].reason}`, reason)
}

// Show is the node's MirrorNode as JSONPath shows it.
func (c *Cluster) Show(path string) (string, error) {
	return c.API.Kubectl("get", "mirrornode", c.Name, "-o", "jsonpath="+path)
}

// Member is the program's agent of a node of a cluster, running as the service account that the manifests make.
type Member struct {
	cmd *exec.Cmd

	mu   sync.Mutex
	log  strings.Builder
	read sync.WaitGroup
}

// Agent starts it, with more arguments.
func (c *Cluster) Agent(args ...string) (*Member, error) {
	config, err := c.API.TokenKubeconfig(Namespace, "mirrorlet")
	if err != nil {
		return nil, err
	}
	return start(exec.Command(c.program, append([]string{
		"agent", "--cluster", "--kubeconfig", config, "--root", c.Node.Root, "--node", c.Name, "--namespace", Namespace,
	}, args...)...))
}

// start runs an agent.
func start(cmd *exec.Cmd) (*Member, error) {
	m := &Member{cmd: cmd}
	log, err := cmd.StderrPipe()
	if err != nil {
		return nil, err
	}
	m.read.Go(func() {
		for lines := bufio.NewScanner(log); lines.Scan(); {
			m.mu.Lock()
			m.log.WriteString(lines.Text() + "\n")
			m.mu.Unlock()
		}
	})
	return m, cmd.Start()
}

// PID is the agent's process.
func (m *Member) PID() int { return m.cmd.Process.Pid }

// Log is what it has logged so far.
func (m *Member) Log() string {
	m.mu.Lock()
	defer m.mu.Unlock()
	return m.log.String()
}

// Stop ends the agent by SIGTERM.
func (m *Member) Stop() error {
	err := m.cmd.Process.Signal(syscall.SIGTERM)
	m.read.Wait()
	return errors.Join(err, m.cmd.Wait())
}
