package site

import (
	"errors"
	"fmt"
	"os"
	"os/exec"
	"path/filepath"
	"strings"

	"github.com/mirrorlet/mirrorlet/test/lab"
	"github.com/mirrorlet/mirrorlet/test/parts"
)

// Fleet is a cluster of real nodes and a person before it: with a clone of the repository, a shell and kubectl.
type Fleet struct {
	*lab.Cluster
	Workers []*lab.Worker
	// Clone is the folder where his shell is.
	Clone string

	path string // where his shell looks for programs
}

// NewFleet starts a cluster without workers.
func NewFleet(l *lab.Lab) (*Fleet, error) {
	kubectl, err := parts.Path("kubectl")
	if err != nil {
		return nil, err
	}
	clone, err := l.Folder("clone")
	if err != nil {
		return nil, err
	}
	if err := Clone(clone); err != nil {
		return nil, err
	}
	c, err := l.Cluster(lab.APIServerConfig{})
	return &Fleet{Cluster: c, Clone: clone, path: filepath.Dir(kubectl) + ":" + os.Getenv("PATH")}, err
}

// Shell runs a line in bash, in the clone, and returns what it printed.
func (f *Fleet) Shell(line string) (string, error) {
	cmd := exec.Command("bash", "-c", line)
	cmd.Dir, cmd.Env = f.Clone, append(os.Environ(), "KUBECONFIG="+f.Admin, "PATH="+f.path)
	var errs strings.Builder
	cmd.Stderr = &errs
	out, err := cmd.Output()
	if err != nil {
		err = fmt.Errorf("%s\n%s%s%w", line, out, errs.String(), err)
	}
	return string(out), err
}

// Grow adds a worker that is on, has what load brings to its containerd, and then is started.
func (f *Fleet) Grow(config lab.WorkerConfig, load func(*lab.Worker) error) (*lab.Worker, error) {
	w, err := f.NewWorker(config)
	if err != nil {
		return nil, err
	}
	// Start starts containerd itself. What was loaded before is there then, before the kubelet is.
	if err := errors.Join(w.Containerd.Start(), load(w), w.Containerd.Stop(), w.Start()); err != nil {
		return nil, err
	}
	f.Workers = append(f.Workers, w)
	return w, nil
}

// Load brings a file of the clone to a worker, under the same name in its /root, and runs a line there.
func (f *Fleet) Load(w *lab.Worker, file, line string) error {
	data, err := os.ReadFile(filepath.Join(f.Clone, file))
	if err != nil {
		return err
	}
	if err := w.WriteFile(filepath.Join("/root", file), string(data)); err != nil {
		return err
	}
	out, err := w.Run("/bin/sh", "-c", "cd /root && "+line)
	if err != nil {
		err = fmt.Errorf("%w: %s", err, out)
	}
	return errors.Join(err, os.Remove(w.Path(filepath.Join("/root", file))))
}

// Pristine is all that the agent may touch on a worker, as text.
func Pristine(w *lab.Worker) (string, error) { return tree(w.Root, "/etc", "/var/lib/mirrorlet") }

// Logs are all that the agents of a worker have logged, as far as their Pods are still there.
func Logs(w *lab.Worker) (string, error) {
	files, err := filepath.Glob(w.Path("/var/log/pods/" + Namespace + "_*/*/*.log"))
	var all strings.Builder
	for _, file := range files {
		data, failed := os.ReadFile(file)
		err = errors.Join(err, failed)
		all.Write(data)
	}
	return all.String(), err
}
