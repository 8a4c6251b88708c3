package plan

import (
	"strings"
	"testing"

	"github.com/mirrorlet/mirrorlet/runtimes"
)

// told are changes in words, with a line for each pause.
func told(changes []Change) string {
	var out []string
	for _, c := range changes {
		if c.Pause {
			out = append(out, "pause")
		}
		out = append(out, c.Verb()+" "+c.Path)
	}
	return strings.Join(out, "\n")
}

func TestWhatARegistryNoLongerNeedsGoesWhenNobodyReadsAboutItAnyMore(t *testing.T) {
	old := []runtimes.File{wish("/etc/a/ca-1.pem", "ca 1"), wish("/etc/a/key-1.pem", "key 1"), wish("/etc/a/hosts.toml", "uses ca 1, key 1")}
	other := []runtimes.File{wish("/etc/b/ca-1.pem", "ca 1"), wish("/etc/b/hosts.toml", "uses ca 1")}
	for name, c := range map[string]struct {
		wish []runtimes.File
		want []string
	}{
		"certificates whose successors have come": {
			[]runtimes.File{wish("/etc/a/ca-2.pem", "ca 2"), wish("/etc/a/key-2.pem", "key 2"), wish("/etc/a/hosts.toml", "uses ca 2, key 2"), wish("/etc/b/ca-2.pem", "ca 2"), wish("/etc/b/hosts.toml", "uses ca 2")},
			[]string{
				"add /etc/a/ca-2.pem", "add /etc/a/key-2.pem", "change /etc/a/hosts.toml", "add /etc/b/ca-2.pem", "change /etc/b/hosts.toml",
				"pause", "remove /etc/b/ca-1.pem", "remove /etc/a/key-1.pem", "remove /etc/a/ca-1.pem",
			},
		},
		"the file that names the others goes as well": {
			append([]runtimes.File{wish("/etc/a/ca.crt", "ca 1")}, other...),
			[]string{"add /etc/a/ca.crt", "pause", "remove /etc/a/hosts.toml", "pause", "remove /etc/a/key-1.pem", "remove /etc/a/ca-1.pem"},
		},
		"a registry that goes waits for nobody": {
			other, []string{"remove /etc/a/hosts.toml", "remove /etc/a/key-1.pem", "remove /etc/a/ca-1.pem", "remove /etc/a"},
		},
		"one goes, and another has a new certificate": {
			[]runtimes.File{wish("/etc/b/ca-2.pem", "ca 2"), wish("/etc/b/hosts.toml", "uses ca 2")},
			[]string{
				"add /etc/b/ca-2.pem", "change /etc/b/hosts.toml",
				"remove /etc/a/hosts.toml", "remove /etc/a/key-1.pem", "remove /etc/a/ca-1.pem", "remove /etc/a", "pause", "remove /etc/b/ca-1.pem",
			},
		},
		"nothing goes": {
			append([]runtimes.File{old[0], old[1], wish("/etc/a/hosts.toml", "uses ca 1, key 1, otherwise")}, other...), []string{"change /etc/a/hosts.toml"},
		},
	} {
		t.Run(name, func(t *testing.T) {
			m := &machine{nodes: map[string]Node{"/etc": {Kind: Directory, Mode: 0o755}}}
			changes, _ := planned(t, m.input(), append(old, other...))
			m.make(t, changes)
			changes, _ = planned(t, m.input(), c.wish)
			if got, want := told(changes), strings.Join(c.want, "\n"); got != want {
				t.Errorf("got:\n%s\nwant:\n%s", got, want)
			}
			m.make(t, changes)
			leave(t, m)
			if len(m.nodes) != 1 {
				t.Errorf("left behind: %v", m.nodes)
			}
		})
	}
}

func TestAFolderGoesAfterWhatWaitsInIt(t *testing.T) {
	m := &machine{nodes: map[string]Node{"/etc": {Kind: Directory, Mode: 0o755}}}
	in := func(name, content string) runtimes.File {
		f := wish(name, content)
		f.Registry = "r.io:5000"
		return f
	}
	changes, _ := planned(t, m.input(), []runtimes.File{in("/etc/r.io:5000/ca.pem", "ca"), in("/etc/r.io:5000/hosts.toml", "uses it")})
	m.make(t, changes)
	changes, _ = planned(t, m.input(), []runtimes.File{in("/etc/r.io_5000_/hosts.toml", "another")})
	want := "add /etc/r.io_5000_\nadd /etc/r.io_5000_/hosts.toml\npause\nremove /etc/r.io:5000/hosts.toml\npause\nremove /etc/r.io:5000/ca.pem\nremove /etc/r.io:5000"
	if got := told(changes); got != want {
		t.Errorf("got:\n%s\nwant:\n%s", got, want)
	}
	m.make(t, changes)
}
