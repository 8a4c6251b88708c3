package agent

import (
	"context"
	"os"
	"slices"
	"strings"
	"syscall"
	"testing"
	"time"

	"github.com/mirrorlet/mirrorlet/runtimes"
	"golang.org/x/sys/unix"
)

const (
	etcHosts   = "/etc/hosts"
	ownersFile = "127.0.0.1\tlocalhost\r\n10.0.0.9 harbor # mine"
	mirrorName = "  hosts:\n  - {names: [mirror.example.com], addresses: [10.1.2.3, 'fd00::3']}\n"
)

// entry is the line of our block for a name.
func entry(a *Agent, name string) string {
	for line := range strings.Lines(get(a, etcHosts)) {
		if fields := strings.Fields(line); len(fields) > 1 && slices.Contains(fields[1:], name) {
			return strings.Join(fields, " ")
		}
	}
	return ""
}

func TestHostEntriesComeAndGoAndTheOwnersBytesStay(t *testing.T) {
	a, file := pretended(t, document(quay+mirrorName))
	put(t, a, etcHosts, ownersFile)
	must(t, os.Chmod(at(a, etcHosts), 0o604))
	r := pass(t, a)
	if got := get(a, etcHosts); !strings.HasPrefix(got, ownersFile+"\n# BEGIN mirrorlet") || entry(a, "mirror.example.com") != "10.1.2.3 mirror.example.com" || len(r.Problems) > 0 {
		t.Fatalf("it is %q, problems %v", got, r.Problems)
	}
	if r := pass(t, a); r.Applied {
		t.Errorf("a further pass applies %v", r.Changes)
	}
	write(t, file, document(quay+strings.Replace(mirrorName, "10.1.2.3", "10.1.2.4", 1)))
	if pass(t, a); entry(a, "mirror.example.com") != "10.1.2.4 mirror.example.com" {
		t.Errorf("after an edit it is %q", get(a, etcHosts))
	}
	write(t, file, document(quay))
	pass(t, a)
	if info, err := os.Stat(at(a, etcHosts)); get(a, etcHosts) != ownersFile || err != nil || info.Mode().Perm() != 0o604 {
		t.Errorf("without the entry it is %q, %v", get(a, etcHosts), err)
	}
}

func TestWhatTheOwnerEditsInTheHostsFileMeanwhileStaysOnLeaving(t *testing.T) {
	a, _ := pretended(t, document(quay+mirrorName))
	put(t, a, etcHosts, "127.0.0.1 localhost\n")
	pass(t, a)
	put(t, a, etcHosts, "10.0.0.1 first\n"+get(a, etcHosts)+"10.0.0.2 last\n")
	must(t, os.Chmod(at(a, etcHosts), 0o600))
	if r := pass(t, a); r.Applied || len(r.Problems) > 0 {
		t.Errorf("an edit beside the block is no matter of ours: %v, %v", r.Changes, r.Problems)
	}
	if _, err := a.Leave(context.Background()); err != nil {
		t.Fatal(err)
	}
	if info, err := os.Stat(at(a, etcHosts)); get(a, etcHosts) != "10.0.0.1 first\n127.0.0.1 localhost\n10.0.0.2 last\n" || err != nil || info.Mode().Perm() != 0o600 {
		t.Errorf("left is %q, %v", get(a, etcHosts), err)
	}
}

func TestAHostsFileThatWasNotThereGoesAgain(t *testing.T) {
	a, _ := pretended(t, document(mirrorOnly))
	pass(t, a)
	if entry(a, "mirror.example.com") == "" {
		t.Fatalf("it is %q", get(a, etcHosts))
	}
	if _, err := a.Leave(context.Background()); err != nil {
		t.Fatal(err)
	}
	if _, err := os.Lstat(at(a, "/etc")); !os.IsNotExist(err) {
		t.Errorf("%v: something is left in /etc", err)
	}
}

const mirrorOnly = "    []\n" + mirrorName

func TestAHostsFileThatIsWrittenAnewGetsItsBlockBack(t *testing.T) {
	a, _ := pretended(t, document(mirrorOnly))
	now, _ := clock(a)
	put(t, a, etcHosts, "127.0.0.1 localhost\n")
	pass(t, a)
	const template = "# manage_etc_hosts, see /etc/cloud/templates/hosts.debian.tmpl\n127.0.0.1 localhost\n"
	for i := range 5 {
		put(t, a, etcHosts, template+strings.Repeat("#", i)) // never the same twice, as with a DHCP hook
		r := pass(t, a)
		if entry(a, "mirror.example.com") == "" || !slices.Contains(reasons(r), runtimes.ForeignEdit) || !slices.Contains(reasons(r), runtimes.ManagedHosts) {
			t.Fatalf("it is %q, problems %v", get(a, etcHosts), r.Problems)
		}
	}
	put(t, a, etcHosts, template)
	for range 3 {
		r := pass(t, a)
		if get(a, etcHosts) != template || !strings.Contains(problemOf(r, runtimes.ForeignOwner), "again and again by cloud-init") {
			t.Errorf("it is %q, problems %v", get(a, etcHosts), r.Problems)
		}
	}
	*now += 10 * time.Minute
	if pass(t, a); entry(a, "mirror.example.com") == "" {
		t.Error("it is not tried again after ten minutes")
	}
}

func TestAHostsFileThatCannotBeWrittenStopsNoRegistry(t *testing.T) {
	mount := func(flags uintptr) func(*testing.T, *Agent) func() {
		return func(t *testing.T, a *Agent) func() {
			full := at(a, etcHosts)
			if err := unix.Mount(full, full, "", unix.MS_BIND|flags, ""); err != nil {
				lacking(t, "this test needs the right to mount: %v", err)
			}
			return func() { must(t, unix.Unmount(full, unix.MNT_DETACH)) }
		}
	}
	for name, c := range map[string]struct {
		forbid func(*testing.T, *Agent) func()
		say    string
	}{
		"a mount point": {mount(0), "mount point"},
		"immutable": {func(t *testing.T, a *Agent) func() {
			if err := immutable(at(a, etcHosts), true); err != nil {
				lacking(t, "this machine does not let a file be immutable: %v", err)
			}
			return func() { must(t, immutable(at(a, etcHosts), false)) }
		}, "chattr -i"},
		"with half a block": {func(t *testing.T, a *Agent) func() {
			before := get(a, etcHosts)
			put(t, a, etcHosts, before+"# END mirrorlet\n")
			return func() { put(t, a, etcHosts, before) }
		}, "remove it"},
		"a link into a store that is read-only": {func(t *testing.T, a *Agent) func() {
			before := get(a, etcHosts)
			put(t, a, "/store/hosts", before)
			full := at(a, "/store")
			if err := unix.Mount(full, full, "", unix.MS_BIND, ""); err != nil {
				lacking(t, "this test needs the right to mount: %v", err)
			}
			must(t, unix.Mount("", full, "", unix.MS_BIND|unix.MS_REMOUNT|unix.MS_RDONLY, ""))
			must(t, os.Remove(at(a, etcHosts)))
			must(t, os.Symlink("../store/hosts", at(a, etcHosts)))
			return func() {
				must(t, unix.Unmount(full, unix.MNT_DETACH))
				must(t, os.RemoveAll(full))
				must(t, os.Remove(at(a, etcHosts)))
				put(t, a, etcHosts, before)
			}
		}, syscall.EROFS.Error()},
	} {
		t.Run(name, func(t *testing.T) {
			a, _ := pretended(t, document(quay+mirrorName))
			now, _ := clock(a)
			put(t, a, etcHosts, "127.0.0.1 localhost\n")
			allow := c.forbid(t, a)
			before := get(a, etcHosts)
			for range 3 {
				r := pass(t, a)
				if get(a, etcHosts) != before || get(a, quayFile) == "" || !strings.Contains(problemOf(r, runtimes.Unwritable), c.say) {
					t.Errorf("the file is %q, problems %v", get(a, etcHosts), r.Problems)
				}
			}
			allow()
			*now += 10 * time.Second
			if pass(t, a); entry(a, "mirror.example.com") == "" {
				t.Error("it is not tried again")
			}
		})
	}
}

func TestAHostsFileThatIsALinkIsWrittenWhereItLeads(t *testing.T) {
	a, _ := pretended(t, document(mirrorOnly))
	put(t, a, "/srv/hosts", "127.0.0.1 localhost\n")
	must(t, os.MkdirAll(at(a, "/etc"), 0o755))
	must(t, os.Symlink("../srv/hosts", at(a, etcHosts)))
	pass(t, a)
	if target, err := os.Readlink(at(a, etcHosts)); err != nil || target != "../srv/hosts" || !strings.Contains(get(a, "/srv/hosts"), "mirror.example.com") {
		t.Errorf("%q, %v: %q", target, err, get(a, "/srv/hosts"))
	}
	put(t, a, "/srv/other", "127.0.0.2 other\n")
	must(t, os.Remove(at(a, etcHosts)))
	must(t, os.Symlink("../srv/other", at(a, etcHosts)))
	pass(t, a)
	if get(a, "/srv/hosts") != "127.0.0.1 localhost\n" || !strings.Contains(get(a, "/srv/other"), "mirror.example.com") {
		t.Errorf("the old one is %q, the new one %q", get(a, "/srv/hosts"), get(a, "/srv/other"))
	}
	if _, err := a.Leave(context.Background()); err != nil || get(a, "/srv/other") != "127.0.0.2 other\n" {
		t.Errorf("%v: left is %q", err, get(a, "/srv/other"))
	}
}

func TestAnEntryThatIsWrongKeepsWhatItHas(t *testing.T) {
	a, file := pretended(t, document(quay+mirrorName))
	put(t, a, etcHosts, "127.0.0.1 localhost\n")
	pass(t, a)
	before := get(a, etcHosts)
	write(t, file, document(quay+strings.Replace(mirrorName, "10.1.2.3", "10.1.2.300", 1)))
	if pass(t, a); get(a, etcHosts) != before {
		t.Errorf("it is %q", get(a, etcHosts))
	}
}

func TestABlockOfAnAgentThatIsForgottenIsOursAgain(t *testing.T) {
	a, _ := pretended(t, document(mirrorOnly))
	put(t, a, etcHosts, "127.0.0.1 localhost\n")
	pass(t, a)
	must(t, os.RemoveAll(at(a, "/var/lib/mirrorlet")))
	pass(t, a)
	if _, err := a.Leave(context.Background()); err != nil || get(a, etcHosts) != "127.0.0.1 localhost\n" {
		t.Errorf("%v: left is %q", err, get(a, etcHosts))
	}
}

func TestLeavingAHostsFileThatCannotBeWrittenIsTriedAgain(t *testing.T) {
	a, _ := pretended(t, document(quay+mirrorName))
	now, _ := clock(a)
	put(t, a, etcHosts, "127.0.0.1 localhost\n")
	pass(t, a)
	full := at(a, etcHosts)
	if err := unix.Mount(full, full, "", unix.MS_BIND, ""); err != nil {
		lacking(t, "this test needs the right to mount: %v", err)
	}
	a.Node = func() (Node, error) { return Node{}, nil }
	if r, err := a.Sync(context.Background()); err == nil || !strings.Contains(err.Error(), "/etc/hosts") || get(a, quayFile) == "" {
		t.Errorf("state %s, %v: all of it goes, or nothing", r.State, err)
	}
	must(t, unix.Unmount(full, unix.MNT_DETACH))
	*now += time.Minute
	if pass(t, a); get(a, etcHosts) != "127.0.0.1 localhost\n" || get(a, quayFile) != "" {
		t.Errorf("left is %q, %q", get(a, etcHosts), get(a, quayFile))
	}
}
