package plan

import (
	"bytes"
	"strings"
	"testing"

	"github.com/mirrorlet/mirrorlet/runtimes"
)

var (
	one = []runtimes.HostEntry{{Names: []string{"mirror.example"}, Addresses: []string{"10.1.2.3", "fd00::1"}}}
	two = []runtimes.HostEntry{{Names: []string{"a.example", "b.example"}, Addresses: []string{"10.9.9.9"}}}
)

// owners are hosts files as people have them.
var owners = map[string]string{
	"empty":                             "",
	"usual":                             "127.0.0.1 localhost\n::1 localhost\n",
	"no newline at its end":             "127.0.0.1 localhost",
	"DOS lines":                         "127.0.0.1 localhost\r\n10.0.0.1\tharbor\r\n",
	"DOS lines, no newline at its end":  "127.0.0.1 localhost\r\n10.0.0.1\tharbor",
	"blank lines and tabs":              "\n\n\t127.0.0.1\t\tlocalhost  # me\n\n",
	"a name twice":                      "10.0.0.1 a\n10.0.0.2 a\n",
	"a comment that looks like a block": "## BEGIN mirrorlet\n# END mirrorlet block\n",
	"not text":                          "\x00\xff\n\x00",
}

func hostsFile(t *testing.T, old string, entries []runtimes.HostEntry) string {
	t.Helper()
	out, err := HostsFile([]byte(old), entries)
	if err != nil {
		t.Fatalf("%q: %v", old, err)
	}
	return string(out)
}

func TestOnlyOurBlockOfAHostsFileChanges(t *testing.T) {
	for name, old := range owners {
		t.Run(name, func(t *testing.T) { roundTrip(t, old) })
	}
}

func roundTrip(t *testing.T, old string) {
	t.Helper()
	with := hostsFile(t, old, one)
	if !strings.HasPrefix(with, old) || !strings.Contains(with, "\n10.1.2.3         mirror.example\nfd00::1          mirror.example\n") {
		t.Errorf("%.200q becomes %.400q", old, with)
	}
	if again := hostsFile(t, with, one); again != with {
		t.Errorf("a second time it becomes %q", again)
	}
	if edited, fresh := hostsFile(t, with, two), hostsFile(t, old, two); edited != fresh {
		t.Errorf("edited it is %q, written at once %q", edited, fresh)
	}
	if back := hostsFile(t, with, nil); back != old {
		t.Errorf("taken out, %q is left of %q", back, old)
	}
	if same := hostsFile(t, old, nil); same != old {
		t.Errorf("nothing to write makes %q of %q", same, old)
	}
}

func TestWhatIsAddedAroundTheBlockStays(t *testing.T) {
	with := "10.0.0.9 first\n" + hostsFile(t, "127.0.0.1 localhost\n", one) + "10.0.0.8 last"
	want := "10.0.0.9 first\n127.0.0.1 localhost\n10.0.0.8 last"
	if got := hostsFile(t, with, nil); got != want {
		t.Errorf("left is %q, want %q", got, want)
	}
	if got := hostsFile(t, hostsFile(t, with, two), nil); got != want {
		t.Errorf("after an edit, left is %q, want %q", got, want)
	}
	appended := hostsFile(t, "127.0.0.1 localhost", one) + "10.0.0.8 last\n"
	if got, want := hostsFile(t, appended, nil), "127.0.0.1 localhost\n10.0.0.8 last\n"; got != want {
		t.Errorf("two lines run together: %q, want %q", got, want)
	}
}

func TestMarkersThatSomebodyBrokeAreNotTouched(t *testing.T) {
	block := hostsFile(t, "", one)
	for _, broken := range []string{
		block + block, hostsBegin + "\n10.0.0.1 a\n", "10.0.0.1 a\n" + hostsEnd + "\n", block + hostsEnd + "\n", hostsBegin + "\n" + block,
	} {
		if out, err := HostsFile([]byte(broken), two); err == nil || !strings.Contains(err.Error(), "remove") {
			t.Errorf("%q becomes %q, %v", broken, out, err)
		}
	}
}

func TestTenMegabytesOfHostsAreOnePass(t *testing.T) {
	old := strings.Repeat("10.0.0.1 some.name.example # padding\n", 10<<20/37)
	if allocated := testing.AllocsPerRun(1, func() { roundTrip(t, old) }); allocated > 1_000_000 {
		t.Errorf("%v allocations", allocated)
	}
}

func FuzzHostsFileKeepsEveryOtherByte(f *testing.F) {
	for _, old := range owners {
		f.Add([]byte(old))
	}
	f.Add([]byte(hostsBegin + "\n1.2.3.4 a\n" + hostsEnd + "\n"))
	f.Add([]byte("x\n" + hostsJoined + "\n" + hostsEnd))
	f.Fuzz(func(t *testing.T, old []byte) {
		without, err := HostsFile(old, nil)
		if err != nil {
			return // half a block
		}
		with, err := HostsFile(without, one)
		if err != nil {
			t.Fatalf("%q is refused with a block, and not without: %v", without, err)
		}
		back, err := HostsFile(with, nil)
		if err != nil || !bytes.Equal(back, without) {
			t.Fatalf("%q, with the block %q, without it again %q, %v", without, with, back, err)
		}
		edited, err := HostsFile(old, one)
		if err != nil || bytes.Count(edited, []byte(hostsEnd)) < 1 {
			t.Fatalf("%q becomes %q, %v", old, edited, err)
		}
	})
}
