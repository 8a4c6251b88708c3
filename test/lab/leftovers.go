package lab

import (
	"bytes"
	"fmt"
	"os"
	"path/filepath"
	"strings"
)

// Leftovers lists what a closed lab should not have left behind: its folder, mounts in it, processes that know it, its bridge,
// the cgroups of its machines.
func (l *Lab) Leftovers() ([]string, error) {
	var found []string
	if _, err := os.Lstat(l.Root); err == nil {
		found = append(found, "folder "+l.Root)
	}
	mounts, err := os.ReadFile("/proc/self/mountinfo")
	if err != nil {
		return nil, err
	}
	for line := range strings.Lines(string(mounts)) {
		if strings.Contains(line, l.Root) {
			found = append(found, "mount "+strings.TrimSpace(line))
		}
	}
	if err := ip("link", "show", l.Network.bridge); err == nil {
		found = append(found, "bridge "+l.Network.bridge)
	}
	if c, err := newCgroup(filepath.Base(Scratch())); err == nil { // else no machine could be made
		for _, folder := range c.folders {
			machines, err := filepath.Glob(filepath.Join(folder, filepath.Base(l.Root)+".*"))
			if err != nil {
				return nil, err
			}
			for _, m := range machines {
				found = append(found, "cgroup "+m)
			}
		}
	}
	processes, err := l.processes()
	return append(found, processes...), err
}

// processes are those that mention the lab's folder in their command line. One that has ended in the meantime is none.
func (l *Lab) processes() ([]string, error) {
	files, err := filepath.Glob("/proc/[0-9]*/cmdline")
	if err != nil {
		return nil, err
	}
	var found []string
	for _, f := range files {
		if line, err := os.ReadFile(f); err == nil && bytes.Contains(line, []byte(l.Root+"/")) {
			found = append(found, fmt.Sprintf("process %s: %s", filepath.Base(filepath.Dir(f)), bytes.ReplaceAll(line, []byte{0}, []byte{' '})))
		}
	}
	return found, nil
}
