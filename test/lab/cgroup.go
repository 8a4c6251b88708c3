package lab

import (
	"errors"
	"fmt"
	"io/fs"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"time"
)

// cgroupRoot is where Linux systems mount the hierarchies of cgroups, each in a folder of its own (v1, or both side by side).
const cgroupRoot = "/sys/fs/cgroup"

// ErrNoCgroups says that no machine can be made here.
var ErrNoCgroups = errors.New("the lab's machines need cgroups v1 below " + cgroupRoot + ", alone or beside v2")

// cgroup is one folder in each hierarchy of cgroups v1, below the one that this process is in.
type cgroup struct {
	name string
	// controllers of the hierarchies, such as memory, or cpu,cpuacct. Each is the name of a folder and an option of its mount.
	controllers []string
	folders     []string
}

// newCgroup says where a cgroup of that name is, or would be.
func newCgroup(name string) (*cgroup, error) {
	own, err := os.ReadFile("/proc/self/cgroup")
	if err != nil {
		return nil, err
	}
	c := &cgroup{name: name}
	for line := range strings.Lines(string(own)) {
		fields := strings.SplitN(strings.TrimSpace(line), ":", 3) // cgroups(7): number, controllers, path
		if len(fields) != 3 || fields[1] == "" {
			continue // the one of v2, which has no controllers where v1 has them
		}
		folder := filepath.Join(cgroupRoot, strings.TrimPrefix(fields[1], "name="), fields[2])
		if _, err := os.Stat(folder); err != nil {
			continue // a hierarchy that is mounted nowhere
		}
		c.controllers = append(c.controllers, fields[1])
		c.folders = append(c.folders, filepath.Join(folder, name))
	}
	if len(c.folders) == 0 {
		return nil, ErrNoCgroups
	}
	return c, nil
}

// make makes the folders, so that processes can be put into them.
func (c *cgroup) make() error {
	for _, folder := range c.folders {
		dir := strings.TrimSuffix(folder, c.name)
		for level := range strings.SplitSeq(c.name, "/") {
			dir = filepath.Join(dir, level)
			if err := makeCgroup(dir); err != nil {
				return err
			}
		}
	}
	return nil
}

// makeCgroup makes one folder. The processors and the memory that it may use are none until somebody says which (cpuset(7)).
func makeCgroup(dir string) error {
	if err := os.MkdirAll(dir, 0o755); err != nil {
		return err
	}
	for _, file := range []string{"cpuset.cpus", "cpuset.mems"} {
		above, err := os.ReadFile(filepath.Join(filepath.Dir(dir), file))
		if errors.Is(err, fs.ErrNotExist) {
			return nil // not that hierarchy
		}
		if err != nil {
			return err
		}
		if err := os.WriteFile(filepath.Join(dir, file), above, 0o644); err != nil {
			return err
		}
	}
	return nil
}

// remove removes the cgroup and all below it. It tries again for a while: cgroups of v1 announce to nobody that their last process has
// gone.
func (c *cgroup) remove() error {
	var err error
	for range 100 {
		if err = c.removeOnce(); err == nil {
			return nil
		}
		time.Sleep(20 * time.Millisecond)
	}
	return fmt.Errorf("remove cgroup %s: %w", c.name, err)
}

func (c *cgroup) removeOnce() error {
	var errs []error
	for _, folder := range c.folders {
		var dirs []string
		err := filepath.WalkDir(folder, func(p string, e fs.DirEntry, err error) error {
			if err == nil && e.IsDir() {
				dirs = append(dirs, p)
			}
			if errors.Is(err, fs.ErrNotExist) {
				return nil
			}
			return err
		})
		errs = append(errs, err)
		for _, dir := range slices.Backward(dirs) {
			if err := os.Remove(dir); err != nil && !errors.Is(err, fs.ErrNotExist) {
				errs = append(errs, err)
			}
		}
	}
	return errors.Join(errs...)
}

// removeCgroups removes what the machines of a process may have left that was killed.
func removeCgroups(name string) {
	if c, err := newCgroup(name); err == nil { // else it had none
		if err := c.remove(); err != nil {
			fmt.Fprintln(os.Stderr, "lab:", err)
		}
	}
}
