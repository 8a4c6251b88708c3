// Package lab runs the real things: registries, container runtimes, API servers and whole nodes, side by side, in a network, a mount
// namespace and a process namespace that belong to one program and vanish with it. Tests and the demo stand on it.
//
//	c, err := l.Cluster(lab.APIServerConfig{})          // etcd, kube-apiserver, kube-controller-manager, kube-scheduler
//	w, err := c.Worker(lab.WorkerConfig{Containerd: "1.7"}) // a machine with containerd and kubelet, Ready
//	err = w.Import("mirrorlet.tar")                     // an image for its pods
//	out, err := c.Kubectl("apply", "--filename=install.yaml")
//	data, err := os.ReadFile(w.Path("/etc/hosts"))      // its files, from outside
//
// A program, or a test's TestMain, begins with Enter. Then New, or Start in a test, makes a lab; whatever is made of it is stopped and
// removed when it is closed. Nothing needs the network outside: parts are built or fetched before, by cmd/parts.
package lab

import (
	"errors"
	"fmt"
	"os"
	"path/filepath"
	"slices"
)

// Lab owns what a test or a demo has started. Its methods are for one goroutine.
type Lab struct {
	// Root is a short path, because sockets are below it and their paths end at 108 bytes.
	Root    string
	CA      *CA
	Network *Network
	ends    []func() error
}

// New makes an empty lab. It returns ErrOutside where the program has not entered.
func New() (*Lab, error) {
	if !inside() {
		return nil, ErrOutside
	}
	root, err := os.MkdirTemp(os.Getenv(insideEnv), "")
	if err != nil {
		return nil, err
	}
	l := &Lab{Root: root}
	l.atEnd(func() error { return os.RemoveAll(root) })
	if l.CA, err = NewCA("lab"); err != nil {
		return nil, errors.Join(err, l.Close())
	}
	if l.Network, err = NewNetwork(); err != nil {
		return nil, errors.Join(err, l.Close())
	}
	l.atEnd(l.Network.Close)
	return l, nil
}

// Scratch is a folder of this process that is gone when it ends; for what several labs share.
func Scratch() string { return os.Getenv(insideEnv) }

// Folder makes an empty folder of that name in the lab, with a number after it where the name is taken.
func (l *Lab) Folder(name string) (string, error) {
	dir := filepath.Join(l.Root, name)
	for n := 2; ; n++ {
		err := os.Mkdir(dir, 0o755)
		if !errors.Is(err, os.ErrExist) {
			return dir, err
		}
		dir = filepath.Join(l.Root, fmt.Sprintf("%s%d", name, n))
	}
}

// Close stops and removes everything, the last first. It may be called twice.
func (l *Lab) Close() error {
	var errs []error
	for _, end := range slices.Backward(l.ends) {
		errs = append(errs, end())
	}
	l.ends = nil
	return errors.Join(errs...)
}

func (l *Lab) atEnd(f func() error) { l.ends = append(l.ends, f) }
