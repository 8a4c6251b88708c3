package lab

import (
	"fmt"
	"path/filepath"

	"github.com/mirrorlet/mirrorlet/test/parts"
)

// Cluster is an API server with what makes pods of a DaemonSet: the controllers of kube-controller-manager and kube-scheduler. Its
// nodes are Workers.
type Cluster struct {
	*APIServer
	lab     *Lab
	workers int
}

// Cluster starts one without workers and returns when pods can be made in the namespace default.
func (l *Lab) Cluster(c APIServerConfig) (*Cluster, error) {
	s, err := l.APIServer(c)
	if err != nil {
		return nil, err
	}
	if err := s.control(l, "kube-controller-manager", "--service-account-private-key-file="+s.file("tokens.key"),
		"--root-ca-file="+s.file("ca.crt"), "--use-service-account-credentials=true"); err != nil {
		return nil, err
	}
	if err := s.control(l, "kube-scheduler"); err != nil {
		return nil, err
	}
	_, err = s.Kubectl("wait", "--for=create", "serviceaccount/default", "--timeout="+readyTimeout.String())
	return &Cluster{APIServer: s, lab: l}, err
}

// control starts a program of the control plane, as the user who has its name. It serves nothing, so it needs no port.
func (s *APIServer) control(l *Lab, name string, args ...string) error {
	program, err := parts.Path(name)
	if err != nil {
		return err
	}
	kubeconfig, err := s.Kubeconfig("system:" + name)
	if err != nil {
		return err
	}
	d := l.daemon(filepath.Join(s.Folder, name+".log"), "",
		append([]string{
			program, "--kubeconfig=" + kubeconfig, "--leader-elect=false", "--secure-port=0",
			"--kube-api-qps=1000", "--kube-api-burst=1000", // by default it asks 20 times a second, and starts with 150 questions
		}, args...)...)
	l.atEnd(d.Kill) // what it does last nobody looks at
	return d.start()
}

// Worker makes a node of the cluster, starts it, and returns when it is Ready.
func (c *Cluster) Worker(config WorkerConfig) (*Worker, error) {
	w, err := c.NewWorker(config)
	if err != nil {
		return nil, err
	}
	return w, w.Start()
}

// NewWorker makes a node, whose files the caller may still change, and does not start it: the machine is on and nothing runs there.
func (c *Cluster) NewWorker(config WorkerConfig) (*Worker, error) {
	c.workers++
	if config.Name == "" {
		config.Name = fmt.Sprintf("worker%d", c.workers)
	}
	if config.Containerd == "" {
		config.Containerd = "2.4"
	}
	return c.newWorker(config)
}
