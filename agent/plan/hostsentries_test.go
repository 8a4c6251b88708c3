package plan

import (
	"slices"
	"strings"
	"testing"

	"github.com/mirrorlet/mirrorlet/runtimes"
)

// decided is what becomes of a hosts file, without the marks, and the problems.
func decided(t *testing.T, old string, intent runtimes.Intent) (block string, problems []runtimes.Problem) {
	t.Helper()
	f, err := splitHosts([]byte(old))
	if err != nil {
		t.Fatal(err)
	}
	entries, problems := f.entries(intent)
	next, err := splitHosts(f.with(entries))
	if err != nil {
		t.Fatal(err)
	}
	for _, line := range lines(next.block) {
		if address, names := hostsMapping(line); address != "" {
			block += address + " " + strings.Join(names, " ") + "\n"
		}
	}
	return block, problems
}

func TestANameThatTheOwnerHasMappedIsAConflict(t *testing.T) {
	intent := runtimes.Intent{Hosts: []runtimes.HostEntry{{Names: []string{"a.example", "b.example"}, Addresses: []string{"10.1.2.3", "fd00::1"}, From: "hosts[0]"}}}
	const rest, all = "10.1.2.3 b.example\nfd00::1 b.example\n", "10.1.2.3 a.example b.example\nfd00::1 a.example b.example\n"
	for name, c := range map[string]struct{ old, block, conflict string }{
		"to another address":          {"127.0.0.1 localhost\n10.0.0.9 x a.example # mine\n", rest, "line 2 maps a.example to 10.0.0.9 already"},
		"in upper case, with DOS end": {"10.0.0.9\tA.Example\r\n", rest, "line 1 maps a.example to 10.0.0.9"},
		"with a dot at its end":       {"10.0.0.9 a.example.\n", rest, "line 1 maps"},
		"in two lines":                {"10.0.0.9 a.example\n10.0.0.8 a.example\n", rest, "to 10.0.0.9 and 10.0.0.8 already"},
		"in one family only":          {"10.1.2.3 a.example\n", rest, "to 10.1.2.3 already"},
		"as it is wanted":             {"10.1.2.3 a.example\nFD00:0::1 a.example\n", rest, ""},
		"in a comment":                {"# 10.0.0.9 a.example\n10.0.0.9 x # a.example\n", all, ""},
		"in a line without address":   {"a.example 10.0.0.9\nten.0.0.9 a.example\n", all, ""},
		"as a part of another name":   {"10.0.0.9 a.example.com sub.a.example\n", all, ""},
	} {
		t.Run(name, func(t *testing.T) {
			block, problems := decided(t, c.old, intent)
			if block != c.block {
				t.Errorf("the block is %q", block)
			}
			switch {
			case c.conflict == "" && len(problems) > 0:
				t.Errorf("problems %v", problems)
			case c.conflict != "" && (len(problems) != 1 || problems[0].Reason != runtimes.Conflict || problems[0].From != "hosts[0]" || !strings.Contains(problems[0].Message, c.conflict)):
				t.Errorf("problems %v", problems)
			}
		})
	}
}

func TestAConflictAfterTheBlockNamesTheLineThatAnEditorShows(t *testing.T) {
	intent := runtimes.Intent{Hosts: two}
	old := hostsFile(t, "127.0.0.1 localhost\n", one) + "# mine\n10.0.0.9 a.example\n"
	if block, problems := decided(t, old, intent); block != "10.9.9.9 b.example\n" || len(problems) != 1 || !strings.Contains(problems[0].Message, "line 7 maps") {
		t.Errorf("%q, %v", block, problems)
	}
}

func TestOurOwnBlockIsNoConflict(t *testing.T) {
	old := hostsFile(t, "127.0.0.1 localhost\n", one)
	if block, problems := decided(t, old, runtimes.Intent{Hosts: []runtimes.HostEntry{{Names: one[0].Names, Addresses: []string{"10.7.7.7"}}}}); block != "10.7.7.7 mirror.example\n" || len(problems) > 0 {
		t.Errorf("%q, %v", block, problems)
	}
}

func TestNamesThatAreHeldStayAsTheBlockHasThem(t *testing.T) {
	old := hostsFile(t, "127.0.0.1 localhost\n", append(slices.Clone(one), two...))
	intent := runtimes.Intent{HeldHosts: []string{"b.example", "mirror.example", "new.example"}, Hosts: []runtimes.HostEntry{{Names: []string{"c.example"}, Addresses: []string{"10.5.5.5"}}}}
	const want = "10.9.9.9 b.example\n10.5.5.5 c.example\n10.1.2.3 mirror.example\nfd00::1 mirror.example\n"
	block, problems := decided(t, old, intent)
	if block != want || len(problems) > 0 {
		t.Errorf("%q, %v", block, problems)
	}
	f, _ := splitHosts([]byte(old))
	entries, _ := f.entries(intent)
	if again, _ := decided(t, string(f.with(entries)), intent); again != want {
		t.Errorf("a second time it is %q", again)
	}
}

func TestAProgramThatWritesTheWholeFileIsNamed(t *testing.T) {
	for old, want := range map[string]string{
		"# Your system has configured 'manage_etc_hosts' as True.\n127.0.0.1 localhost\n": "cloud-init",
		"# Kubernetes-managed hosts file (host network).\n127.0.0.1 localhost\n":          "a Pod",
		"127.0.0.1 localhost\n": "",
	} {
		_, problems := decided(t, old, runtimes.Intent{Hosts: one})
		if want == "" && len(problems) > 0 || want != "" && (len(problems) != 1 || problems[0].Reason != runtimes.ManagedHosts || !strings.Contains(problems[0].Message, want)) {
			t.Errorf("%q: %v", old, problems)
		}
	}
}

// FuzzTheOwnersMappingsWin: no name of our block stands in a line of the owner's with another address, and the plan of a plan is itself.
func FuzzTheOwnersMappingsWin(f *testing.F) {
	for _, old := range owners {
		f.Add([]byte(old))
	}
	f.Add([]byte("10.0.0.9 a.example\n10.9.9.9 b.example # x\n::1 MIRROR.example."))
	f.Add([]byte(hostsBegin + "\n1.2.3.4 a.example\n" + hostsEnd + "\n10.0.0.9 a.example"))
	intent := runtimes.Intent{Hosts: append(slices.Clone(one), two...), HeldHosts: []string{"held.example"}}
	f.Fuzz(func(t *testing.T, old []byte) {
		parts, err := splitHosts(old)
		if err != nil {
			return
		}
		entries, _ := parts.entries(intent)
		out := parts.with(entries)
		next, err := splitHosts(out)
		if err != nil {
			t.Fatalf("%q becomes %q: %v", old, out, err)
		}
		again, _ := next.entries(intent)
		if second := next.with(again); string(second) != string(out) {
			t.Fatalf("%q becomes %q, and then %q", old, out, second)
		}
		for _, e := range entries {
			for _, name := range e.Names {
				if m, mapped := next.theirs(map[string]bool{name: true})[name]; mapped && name != "held.example" {
					t.Fatalf("%s is ours and the owner's (%v) in %q", name, m, out)
				}
			}
		}
	})
}
