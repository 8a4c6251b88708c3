package host

import (
	"context"
	"errors"
	"math/rand/v2"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"testing"

	"github.com/mirrorlet/mirrorlet/agent/plan"
)

var errDead = errors.New("the machine has stopped")

// mortal is a disk that fails from the operation after the last one on: once, or for good, as when the process is killed.
type mortal struct {
	disk
	left  int
	fault error // of that one operation; nil: of every one from there on
}

func (m *mortal) step() error {
	m.left--
	switch {
	case m.left >= 0:
		return nil
	case m.fault == nil:
		return errDead
	case m.left == -1:
		return m.fault
	default:
		return nil
	}
}

func (m *mortal) create(full string) (*os.File, error) {
	if err := m.step(); err != nil {
		return nil, err
	}
	return m.disk.create(full)
}

// write fails after half of the content.
func (m *mortal) write(f *os.File, b []byte) error {
	if err := m.step(); err != nil {
		return errors.Join(m.disk.write(f, b[:len(b)/2]), err)
	}
	return m.disk.write(f, b)
}

func (m *mortal) or(do func() error) error {
	if err := m.step(); err != nil {
		return err
	}
	return do()
}

func (m *mortal) sync(f *os.File) error { return m.or(func() error { return m.disk.sync(f) }) }
func (m *mortal) chmod(p string, mode uint32) error {
	return m.or(func() error { return m.disk.chmod(p, mode) })
}

func (m *mortal) symlink(t, p string) error {
	return m.or(func() error { return m.disk.symlink(t, p) })
}
func (m *mortal) mkdir(p string) error     { return m.or(func() error { return m.disk.mkdir(p) }) }
func (m *mortal) rename(a, b string) error { return m.or(func() error { return m.disk.rename(a, b) }) }

func (m *mortal) appear(a, b string) error { return m.or(func() error { return m.disk.appear(a, b) }) }

func (m *mortal) unlink(p string) error { return m.or(func() error { return m.disk.unlink(p) }) }
func (m *mortal) rmdir(p string) error  { return m.or(func() error { return m.disk.rmdir(p) }) }
func (m *mortal) syncFolder(p string) error {
	return m.or(func() error { return m.disk.syncFolder(p) })
}

// story is three commits in a row: the first wish, an edit with a removal, and leaving.
func story(t *testing.T) []func(*Host) []want {
	return []func(*Host) []want{
		func(*Host) []want { return wants() },
		func(*Host) []want { return second() },
		func(h *Host) []want { return leaving(t, h) },
	}
}

// play runs the story up to a chapter.
func play(t *testing.T, chapter int) (*Host, []want) {
	h := owned(t)
	chapters := story(t)
	for _, c := range chapters[:chapter] {
		apply(t, h, c(h))
	}
	return again(t, h), chapters[chapter](h)
}

// converges checks what must hold after the worst: every path is as it was or as it should be, nothing mentions what is not there,
// a second try succeeds, no unfinished file is left, and leaving restores the host.
func converges(t *testing.T, h *Host, todo []plan.Change, todoWants []want, pristine map[string]plan.Node) {
	t.Helper()
	h = again(t, h)
	for _, c := range todo {
		n, err := h.Node(c.Path)
		if err != nil || !n.Same(c.Old) && !n.Same(c.New) {
			t.Errorf("%s is neither old nor new: %+v, %v", c.Path, n, err)
		}
	}
	if toml, _ := os.ReadFile(h.full("/etc/containerd/certs.d/hosts.toml")); strings.Contains(string(toml), "ca.crt") {
		if _, err := os.Stat(h.full("/etc/containerd/certs.d/ca.crt")); err != nil {
			t.Errorf("hosts.toml mentions a certificate that is not there: %v", err)
		}
	}
	if _, err := h.LoadState(); err != nil {
		t.Fatalf("the state cannot be loaded: %v", err)
	}
	check(t, h.Lock(context.Background(), false))
	apply(t, h, todoWants)
	holds(t, h, todoWants)
	for path := range tree(t, h) {
		if isTemp(filepath.Base(path)) {
			t.Errorf("%s is left", path)
		}
	}
	leave(t, h)
	same(t, h, pristine)
}

func TestACrashAtAnyOperationLeavesOldOrNewAndIsRepaired(t *testing.T) {
	pristine := tree(t, owned(t))
	for chapter := range story(t) {
		for n, dead := 0, true; dead; n++ {
			h, wants := play(t, chapter)
			todo := changes(t, h, wants)
			m := &mortal{disk: kernel{}, left: n}
			h.disk = m
			err := h.Commit(context.Background(), todo, nil, nil)
			dead = m.left < 0
			if !dead && err != nil {
				t.Fatalf("chapter %d: %v", chapter, err)
			}
			converges(t, h, todo, wants, pristine)
			if t.Failed() {
				t.Fatalf("chapter %d, stopped after operation %d; the commit said %v", chapter, n, err)
			}
		}
	}
}

func TestOneFailureAtAnyOperationChangesNothing(t *testing.T) {
	pristine := tree(t, owned(t))
	fault := errors.New("injected")
	for chapter := range story(t) {
		for n, hit := 0, true; hit; n++ {
			h, wants := play(t, chapter)
			todo := changes(t, h, wants)
			m := &mortal{disk: kernel{}, left: n, fault: fault}
			h.disk = m
			err := h.Commit(context.Background(), todo, nil, nil)
			hit = m.left < 0
			expected := func(c plan.Change) plan.Node { return c.New }
			if err != nil {
				expected = func(c plan.Change) plan.Node { return c.Old }
				if !errors.Is(err, fault) {
					t.Errorf("the error does not say why: %v", err)
				}
			}
			for _, c := range todo {
				if got, err := h.Node(c.Path); err != nil || !got.Same(expected(c)) {
					t.Errorf("%s is %+v, %v", c.Path, got, err)
				}
			}
			converges(t, h, todo, wants, pristine)
			if t.Failed() {
				t.Fatalf("chapter %d, operation %d failed; the commit said %v", chapter, n, err)
			}
		}
	}
}

func TestAPowerCutAtAnyOperationLeavesOldOrNewAndIsRepaired(t *testing.T) {
	pristine := tree(t, owned(t))
	random := rand.New(rand.NewPCG(1, 2))
	for chapter := range story(t) {
		for n, dead := 0, true; dead; n++ {
			for _, chance := range []float64{1, 0.5, 0.5} {
				h, wants := play(t, chapter)
				todo := changes(t, h, wants)
				v := &volatile{disk: kernel{}, t: t, synced: map[string]bool{}}
				m := &mortal{disk: v, left: n}
				h.disk = m
				err := h.Commit(context.Background(), todo, nil, nil)
				dead = m.left < 0
				v.cut(chance, random)
				if err == nil {
					holds(t, h, wants)
				}
				converges(t, h, todo, wants, pristine)
				if t.Failed() {
					t.Fatalf("chapter %d, power cut after operation %d, %.0f%% lost", chapter, n, 100*chance)
				}
			}
		}
	}
}

func TestAnOriginalStaysUntilNoStateCanMentionIt(t *testing.T) {
	h, wants := play(t, 2)
	v := &volatile{disk: kernel{}, t: t, synced: map[string]bool{}}
	h.disk = v
	check(t, h.Commit(context.Background(), changes(t, h, wants), nil, nil))
	v.log = slices.DeleteFunc(v.log, func(op volatileOp) bool { return op.dir != h.full(folder) })
	v.cut(1, rand.New(rand.NewPCG(1, 2))) // only the state is lost
	write(t, h, "/etc/hosts", "edited since", 0o644)
	if _, err := again(t, h).LoadState(); err != nil {
		t.Error(err)
	}
}
