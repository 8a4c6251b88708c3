package host

import (
	"bytes"
	"context"
	"errors"
	"io/fs"
	"os"
	"strings"
	"sync"
	"testing"

	"golang.org/x/sys/unix"

	"github.com/mirrorlet/mirrorlet/agent/plan"
)

// jealous is a disk on which nothing that holds the secret may ever be open to others: it looks before and after every step.
type jealous struct {
	disk
	t      *testing.T
	secret []byte
	writes int
}

func (j *jealous) write(f *os.File, content []byte) error {
	var st unix.Stat_t
	check(j.t, unix.Fstat(int(f.Fd()), &st))
	if bytes.Contains(content, j.secret) {
		j.writes++
		if st.Mode&0o077 != 0 {
			j.t.Errorf("%s has mode %o before its first byte", f.Name(), st.Mode)
		}
	}
	return j.disk.write(f, content)
}

func (j *jealous) chmod(full string, mode uint32) error {
	if content, err := os.ReadFile(full); err == nil && bytes.Contains(content, j.secret) && mode&0o077 != 0 {
		j.t.Errorf("%s is given mode %o", full, mode)
	}
	return j.disk.chmod(full, mode)
}

func (j *jealous) rename(from, to string) error {
	err := j.disk.rename(from, to)
	info, statErr := os.Stat(to)
	check(j.t, statErr)
	if content, readErr := os.ReadFile(to); readErr == nil && bytes.Contains(content, j.secret) && info.Mode().Perm()&0o077 != 0 {
		j.t.Errorf("%s appears with mode %v", to, info.Mode())
	}
	return err
}

func TestASecretIsForNobodyElseFromItsFirstByteOn(t *testing.T) {
	secret := []byte("c4n4ry-c4n4ry")
	h := owned(t)
	j := &jealous{disk: h.disk, t: t, secret: secret}
	h.disk = j
	write(t, h, "/etc/theirs", "the owner's "+string(secret), 0o600) // its original is kept
	hidden := mine(plan.Node{Kind: plan.Regular, Mode: 0o600, Content: secret})
	apply(t, h, []want{{"/etc/secret", hidden}, {"/etc/theirs", file("ours")}})
	check(t, h.Commit(context.Background(), nil, map[string][]byte{"Secret/robot": secret}, nil))
	apply(t, h, leaving(t, h))
	if j.writes < 3 {
		t.Errorf("the secret was written %d times: is it looked at?", j.writes)
	}
}

func TestACopyForTheParserIsForNobodyElse(t *testing.T) {
	h := open(t)
	root, done, err := h.Stage(map[string]plan.Node{"/etc/containerd/certs.d/quay.io/hosts.toml": file("c4n4ry")})
	check(t, err)
	defer done()
	paths := 0
	check(t, fs.WalkDir(os.DirFS(root), ".", func(name string, e fs.DirEntry, err error) error {
		paths++
		if info, err := e.Info(); err != nil || info.Mode().Perm()&0o077 != 0 {
			t.Errorf("%s has mode %v, %v", name, info.Mode(), err)
		}
		return err
	}))
	if paths < 6 {
		t.Errorf("only %d paths were looked at", paths)
	}
}

// Two in one process, as two in two: one commits at a time, the other finds that somebody was faster, and nothing is lost or half.
func TestTwoThatCommitAtOnceTakeTurns(t *testing.T) {
	h := owned(t)
	before := tree(t, h)
	hosts := []*Host{beside(t, h), beside(t, h)}
	var done sync.WaitGroup
	for i, each := range hosts {
		done.Go(func() {
			for n := range 50 {
				content := strings.Repeat(string(rune('a'+i)), n+1)
				todo := changes(t, each, []want{{"/etc/one", file(content)}, {"/etc/two", file(content)}})
				if err := each.Commit(context.Background(), todo, nil, nil); err != nil && !errors.Is(err, ErrChanged) {
					t.Error(err)
				}
			}
		})
	}
	done.Wait()
	if one, two := read(t, h, "/etc/one"), read(t, h, "/etc/two"); one != two {
		t.Errorf("one commit wrote %q, another one %q", one, two)
	}
	leave(t, h)
	same(t, h, before)
}
