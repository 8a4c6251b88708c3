package host

import (
	"math/rand/v2"
	"os"
	"path/filepath"
	"slices"
	"testing"

	"github.com/mirrorlet/mirrorlet/agent/plan"
)

// volatile is a disk whose folders forget what was not synced when the power is cut. Content that was not synced before its rename
// is a bug and stops the test.
type volatile struct {
	disk
	t      *testing.T
	synced map[string]bool // files
	log    []volatileOp
}

type volatileOp struct {
	dir  string
	undo func()
}

func (v *volatile) change(full string, do func() error, undo func()) error {
	err := do()
	if err == nil {
		v.log = append(v.log, volatileOp{filepath.Dir(full), undo})
	}
	return err
}

// restorer returns what brings a path back to what it is now.
func (v *volatile) restorer(full string) func() {
	n, err := readNode(full)
	check(v.t, err)
	return func() {
		if n.Kind == plan.Absent {
			_ = os.RemoveAll(full)
			return
		}
		if n.Kind != plan.Directory {
			_ = os.Remove(full)
		}
		if _, err := os.Stat(filepath.Dir(full)); err == nil { // else its folder was lost with it
			check(v.t, (&Host{disk: kernel{}}).put(full, plan.Node{}, n, always))
		}
	}
}

func (v *volatile) create(full string) (f *os.File, err error) {
	err = v.change(full, func() error { f, err = v.disk.create(full); return err }, v.restorer(full))
	return f, err
}

func (v *volatile) sync(f *os.File) error {
	v.synced[f.Name()] = true
	return v.disk.sync(f)
}

func (v *volatile) symlink(target, full string) error {
	v.synced[full] = true
	return v.change(full, func() error { return v.disk.symlink(target, full) }, v.restorer(full))
}

func (v *volatile) mkdir(full string) error {
	return v.change(full, func() error { return v.disk.mkdir(full) }, v.restorer(full))
}

func (v *volatile) rename(from, to string) error {
	if !v.synced[from] {
		v.t.Errorf("%s is renamed without a sync", from)
	}
	delete(v.synced, from)
	return v.change(to, func() error { return v.disk.rename(from, to) }, v.restorer(to))
}

func (v *volatile) appear(from, to string) error {
	if slices.ContainsFunc(v.log, func(op volatileOp) bool { return op.dir == from || filepath.Dir(op.dir) == from }) {
		v.t.Errorf("%s appears with names in it that are not synced", to)
	}
	return v.change(to, func() error { return v.disk.appear(from, to) }, v.restorer(to))
}

func (v *volatile) unlink(full string) error {
	return v.change(full, func() error { return v.disk.unlink(full) }, v.restorer(full))
}

func (v *volatile) rmdir(full string) error {
	return v.change(full, func() error { return v.disk.rmdir(full) }, v.restorer(full))
}

func (v *volatile) syncFolder(full string) error {
	v.log = slices.DeleteFunc(v.log, func(op volatileOp) bool { return op.dir == full })
	return v.disk.syncFolder(full)
}

// cut loses each unsynced change with the given chance, in whatever order the file system may have written them.
func (v *volatile) cut(chance float64, random *rand.Rand) {
	for _, op := range slices.Backward(v.log) {
		if random.Float64() < chance {
			op.undo()
		}
	}
}
