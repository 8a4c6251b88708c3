package host

import (
	"context"
	"math/rand/v2"
	"strings"
	"testing"

	"github.com/mirrorlet/mirrorlet/agent/plan"
	"github.com/mirrorlet/mirrorlet/runtimes"
)

// masquerade is the wish that a name has an address; "" for none.
func masquerade(address string) runtimes.Intent {
	if address == "" {
		return runtimes.Intent{}
	}
	return runtimes.Intent{Hosts: []runtimes.HostEntry{{Names: []string{"mirror.example"}, Addresses: []string{address}, From: "hosts[0]"}}}
}

// toward are the changes from what the host is to the wish.
func toward(t *testing.T, h *Host, intent runtimes.Intent) []plan.Change {
	t.Helper()
	s, err := h.LoadState()
	check(t, err)
	todo, _, err := plan.Diff(plan.Input{Intent: intent, State: s, Host: h.FS(), Node: h.Node}, nil)
	check(t, err)
	return todo
}

// rest is the hosts file without our block.
func rest(t *testing.T, h *Host) string {
	t.Helper()
	n, err := h.Node("/etc/hosts")
	check(t, err)
	out, err := plan.HostsFile(n.Content, nil)
	check(t, err)
	return string(out)
}

// shares plays three commits to a shared file, an entry, another address, and leaving, and lets each be hit once. Then the owner edits
// the file, the same is tried again, and all is given back.
func shares(t *testing.T, hit func(h *Host) (cut func())) (again bool) {
	t.Helper()
	for chapter, address := range []string{"10.0.0.1", "10.0.0.2", ""} {
		h := owned(t)
		for _, before := range []string{"10.0.0.1", "10.0.0.2"}[:chapter] {
			check(t, h.Commit(context.Background(), toward(t, h, masquerade(before)), nil, nil))
		}
		h = beside(t, h)
		todo := toward(t, h, masquerade(address))
		cut := hit(h)
		err := h.Commit(context.Background(), todo, nil, nil)
		cut()
		again = again || err != nil
		h = beside(t, h)
		if n, err2 := h.Node("/etc/hosts"); err2 != nil || !n.Same(todo[0].Old) && !n.Same(todo[0].New) || err == nil && !n.Same(todo[0].New) {
			t.Errorf("chapter %d: it is %q, %v; the commit said %v", chapter, n.Content, err2, err)
		}
		if got := rest(t, h); got != "127.0.0.1 localhost" {
			t.Errorf("chapter %d: the owner's part is %q", chapter, got)
		}
		write(t, h, "/etc/hosts", "10.0.0.9 edited\n"+read(t, h, "/etc/hosts"), 0o600)
		check(t, h.Commit(context.Background(), toward(t, h, masquerade(address)), nil, nil))
		if got := read(t, h, "/etc/hosts"); strings.Contains(got, address+"         mirror.example\n") != (address != "") || strings.Count(got, "mirror.example") > 1 {
			t.Errorf("chapter %d: after another try it is %q", chapter, got)
		}
		check(t, h.Commit(context.Background(), toward(t, h, masquerade("")), nil, nil))
		if n, err := h.Node("/etc/hosts"); err != nil || string(n.Content) != "10.0.0.9 edited\n127.0.0.1 localhost" || n.Mode != 0o600 {
			t.Errorf("chapter %d: left is %q with mode %o, %v", chapter, n.Content, n.Mode, err)
		}
		s, err := h.LoadState()
		if err != nil || len(s.Records) > 0 {
			t.Errorf("chapter %d: remembered is %+v, %v", chapter, s, err)
		}
		h.Unlock()
		check(t, h.Forget())
	}
	return again
}

func TestASharedFileLosesNoByteOfItsOwnersInACrashAtAnyOperation(t *testing.T) {
	for n, more := 0, true; more && !t.Failed(); n++ {
		more = shares(t, func(h *Host) func() {
			h.disk = &mortal{disk: kernel{}, left: n}
			return func() {}
		})
		if n > 200 {
			t.Fatal("it never ends")
		}
	}
}

func TestASharedFileLosesNoByteOfItsOwnersInAPowerCutAtAnyOperation(t *testing.T) {
	random := rand.New(rand.NewPCG(3, 4))
	for n, more := 0, true; more && !t.Failed(); n++ {
		for _, chance := range []float64{1, 0.5} {
			more = shares(t, func(h *Host) func() {
				v := &volatile{disk: kernel{}, t: t, synced: map[string]bool{}}
				h.disk = &mortal{disk: v, left: n}
				return func() { v.cut(chance, random) }
			})
		}
		if n > 200 {
			t.Fatal("it never ends")
		}
	}
}

func TestTheOwnersHostsFileIsNotKeptASecondTime(t *testing.T) {
	h := owned(t)
	check(t, h.Commit(context.Background(), toward(t, h, masquerade("10.0.0.1")), nil, nil))
	for path := range tree(t, h) {
		if strings.HasPrefix(path, originalsDir) {
			t.Errorf("%s is there", path)
		}
	}
}

func TestASharedFileThatIsEditedBetweenPlanAndCommitIsPlannedAgain(t *testing.T) {
	h := owned(t)
	todo := toward(t, h, masquerade("10.0.0.1"))
	write(t, h, "/etc/hosts", "somebody else's\n", 0o640)
	if err := h.Commit(context.Background(), todo, nil, nil); err == nil || read(t, h, "/etc/hosts") != "somebody else's\n" {
		t.Errorf("%v: it is %q", err, read(t, h, "/etc/hosts"))
	}
}
