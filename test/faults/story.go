package faults

import (
	"errors"
	"fmt"
	"os"
	"os/exec"
	"path/filepath"
	"strings"

	"github.com/mirrorlet/mirrorlet/agent/host"
	"github.com/mirrorlet/mirrorlet/agent/plan"
)

// Story is one run of the program: what it starts from and what comes of it when nothing fails.
type Story struct {
	Name string
	// Verb and Args are the command line: VERB --root HOST ARGS.
	Verb string
	Args []string
	// Pristine is the host before Mirrorlet came, Before the one that the run starts from, After the one that it leaves.
	Pristine, Before, After Tree
	// State is what the host remembers afterwards.
	State plan.State
}

// Program is the path of the program under test.
type Program string

// Tell plays stories in a row, none of which fails, on a host that begins as pristine, and fills in what comes of each. The scratch
// folder holds the host meanwhile.
func (p Program) Tell(scratch string, pristine Tree, stories []Story) error {
	if err := pristine.Write(scratch); err != nil {
		return err
	}
	for i := range stories {
		s := &stories[i]
		var err error
		if s.Before, err = ReadTree(scratch); err != nil {
			return err
		}
		s.Pristine = pristine
		if _, err := p.run(scratch, *s); err != nil {
			return fmt.Errorf("%s: %w", s.Name, err)
		}
		if s.After, s.State, err = look(scratch); err != nil {
			return fmt.Errorf("%s: %w", s.Name, err)
		}
	}
	return nil
}

// args are the command line of a story on a host.
func (s Story) args(root string) []string { return append([]string{s.Verb, "--root", root}, s.Args...) }

// run runs the program and nothing fails under it. What it printed as an error is part of the error.
func (p Program) run(root string, s Story) (string, error) {
	out, err := exec.Command(string(p), s.args(root)...).CombinedOutput()
	if err != nil {
		err = fmt.Errorf("%w: %s", err, strings.TrimSpace(string(out)))
	}
	return string(out), err
}

// look reads a host: its tree, and what is remembered, by the program's own reader.
func look(root string) (Tree, plan.State, error) {
	t, err := ReadTree(root)
	if err != nil {
		return nil, plan.State{}, err
	}
	h, err := host.Open(root)
	if err != nil {
		return nil, plan.State{}, err
	}
	state, err := h.LoadState()
	return t, state, err
}

const (
	memory      = "/var/lib/mirrorlet" // all below it is the program's own
	stagePrefix = "mirrorlet-stage-"
)

// own says that a path holds what the program remembers, or works with.
func own(path string) bool {
	return path == memory || strings.HasPrefix(path, memory+"/") || unfinished(path)
}

// unfinished says that a path, or a folder around it, is to be there only while the program is at work.
func unfinished(path string) bool {
	for ; path != "/"; path = filepath.Dir(path) {
		name := filepath.Base(path)
		if strings.HasPrefix(name, ".mirrorlet-") && strings.HasSuffix(name, ".tmp") || strings.HasPrefix(name, stagePrefix) {
			return true
		}
	}
	return false
}

func theirs(path string) bool { return !own(path) }

// empty removes all that is in a folder.
func empty(root string) error {
	entries, err := os.ReadDir(root)
	for _, e := range entries {
		err = errors.Join(err, os.RemoveAll(filepath.Join(root, e.Name())))
	}
	return err
}
