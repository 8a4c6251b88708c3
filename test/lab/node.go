package lab

import (
	"errors"
	"fmt"
	"os"
	"path/filepath"
	"strings"

	"golang.org/x/sys/unix"
)

// NodeConfig says what kind of node is wanted.
type NodeConfig struct {
	// Binary is the containerd's program, as parts.Path returns it.
	Binary string
	// ConfigTOML is its /etc/containerd/config.toml; empty: none is there.
	ConfigTOML string
	// Names are lines of its /etc/hosts: an address and names.
	Hosts []string
}

// Node is a machine as an agent finds it: a root folder with /etc, /proc and the programs, and a containerd in it that has the paths
// that every distribution gives it. Below Root/etc all is the test's.
type Node struct {
	*Daemon
	Root   string
	Socket string // of its CRI, from outside
}

// libraries are lent to a daemon that is linked dynamically, as Debian's is.
var libraries = []string{"/lib", "/lib64", "/usr/lib"}

// Node makes a node and does not start its containerd.
func (l *Lab) Node(c NodeConfig) (*Node, error) {
	root, err := l.Folder("node")
	if err != nil {
		return nil, err
	}
	n := &Node{Root: root, Socket: filepath.Join(root, "run/containerd/containerd.sock")}
	for _, dir := range []string{"etc/containerd", "proc", "sys", "dev", "run", "tmp", "usr/bin", "var/lib/containerd"} {
		if err := os.MkdirAll(filepath.Join(root, dir), 0o755); err != nil {
			return nil, err
		}
	}
	if err := l.lend(root, c.Binary); err != nil {
		return nil, fmt.Errorf("node: %w", err)
	}
	err = os.WriteFile(n.Path("/etc/hosts"), []byte(strings.Join(append([]string{"127.0.0.1 localhost"}, c.Hosts...), "\n")+"\n"), 0o644)
	if c.ConfigTOML != "" {
		err = errors.Join(err, os.WriteFile(n.Path("/etc/containerd/config.toml"), []byte(c.ConfigTOML), 0o644))
	}
	n.Daemon = l.daemon(root+".log", "", "/usr/bin/containerd")
	n.root = root
	return n, err
}

// Path is a path of the node as it is from outside.
func (n *Node) Path(p string) string { return filepath.Join(n.Root, p) }

// Start runs its containerd and returns when the CRI answers.
func (n *Node) Start() error {
	return (&Containerd{Daemon: n.Daemon, Socket: n.Socket}).Start()
}

// lend mounts what a node needs of the machine: the kernel's file systems, the program, and the libraries it may be linked with.
func (l *Lab) lend(root, binary string) error {
	program := filepath.Join(root, "usr/bin/containerd")
	if err := os.WriteFile(program, nil, 0o755); err != nil {
		return err
	}
	if err := l.mount("proc", filepath.Join(root, "proc"), "proc", 0); err != nil {
		return err
	}
	for _, dir := range []string{"/sys", "/dev"} {
		if err := l.mount(dir, root+dir, "", unix.MS_BIND|unix.MS_REC); err != nil {
			return err
		}
	}
	if err := l.mount(binary, program, "", unix.MS_BIND); err != nil {
		return err
	}
	for _, dir := range libraries {
		if _, err := os.Stat(dir); err != nil {
			continue
		}
		if err := errors.Join(os.MkdirAll(root+dir, 0o755), l.mount(dir, root+dir, "", unix.MS_BIND|unix.MS_REC)); err != nil {
			return err
		}
	}
	return nil
}

func (l *Lab) mount(source, target, kind string, flags uintptr) error {
	if err := unix.Mount(source, target, kind, flags, ""); err != nil {
		return fmt.Errorf("mount %s: %w", target, err)
	}
	l.atEnd(func() error { return unix.Unmount(target, unix.MNT_DETACH) })
	return nil
}
