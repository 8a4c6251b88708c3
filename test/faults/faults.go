// Package faults runs the real program on a pretended host and lets the machine fail under it: at any chosen system call that
// touches the host's tree the process is killed, the call fails or does half of its work, or the power goes. Then it judges what is
// left. Nothing in it knows a runtime: a Story is a host, documents and a verb.
//
// The system calls are caught by a tracer of its own (Run), because strace counts per thread, and a Go program may go on in another
// thread at any moment: with one count for all threads, call n of one run is call n of the next one.
package faults

import (
	"fmt"
	"io"
	"os"
	"syscall"
)

// Call is a system call that touches the tree, before it has happened.
type Call struct {
	Number int // among those that Run counts, from 1
	Name   string
	Path   string // below the tree, as from its root; of a call on an open file, the file's
}

func (c Call) String() string { return fmt.Sprintf("call %d, %s %s", c.Number, c.Name, c.Path) }

// Action is what becomes of a call. The zero Action lets it happen.
type Action struct {
	Kill  bool          // SIGKILL; the call does not happen
	Error syscall.Errno // the call fails with it and does not happen
	Short bool          // a write writes half of its bytes, or less, but at least one where there is one, and says so
}

// Command is a program to run.
type Command struct {
	Path string
	Args []string // without the program's name
	Tree string   // the folder whose calls count, absolute and without symbolic links
	// Reads counts calls that only read as well.
	Reads bool
}

// Outcome is how it ended.
type Outcome struct {
	Calls          int // that were counted
	Exit           int // -1 if it was killed
	Stdout, Stderr string
}

// output is the two files that a program prints to. They are no pipes, so nobody must read them while it runs.
type output struct{ stdout, stderr *os.File }

func newOutput() (o output, err error) {
	if o.stdout, err = os.CreateTemp("", "stdout-"); err != nil {
		return o, err
	}
	if o.stderr, err = os.CreateTemp("", "stderr-"); err != nil {
		o.close()
		return o, err
	}
	return o, nil
}

func (o output) close() {
	for _, f := range []*os.File{o.stdout, o.stderr} {
		if f != nil {
			_ = f.Close()
			_ = os.Remove(f.Name())
		}
	}
}

// text is what was printed to one of the files, whose offset is the program's.
func text(f *os.File) (string, error) {
	if _, err := f.Seek(0, io.SeekStart); err != nil {
		return "", err
	}
	b, err := io.ReadAll(f)
	return string(b), err
}
