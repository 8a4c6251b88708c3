package parts

import (
	"context"
	"errors"
	"io"
	"os"
	"path/filepath"
	"strings"
	"sync"
	"sync/atomic"
	"testing"
)

func TestEveryLineOfVersionsIsAPartThatCanBeFound(t *testing.T) {
	all, err := List()
	if err != nil || len(all) == 0 {
		t.Fatal(all, err)
	}
	for _, p := range all {
		found, err := Find(p.Name)
		if err != nil || found.Version() == "" || found.program() == "." || found.Settings["seconds"] == "" {
			t.Errorf("%s: %+v, %v", p.Name, found, err)
		}
	}
}

func TestAWrongLineIsNamed(t *testing.T) {
	for text, want := range map[string]string{
		"# a\n\nlonely\n":     "versions.txt:3: a part needs a name and a recipe",
		"a go version\n":      `versions.txt:1: "version" is not key=value`,
		"a\tbrew version=1\n": `versions.txt:1: no recipe is called "brew"`,
	} {
		if _, err := parse(text); err == nil || err.Error() != want {
			t.Errorf("%q: got %v, want %s", text, err, want)
		}
	}
}

func TestAPartThatNobodyKnowsIsAnsweredWithThoseThatThereAre(t *testing.T) {
	if _, err := Find("nginx"); err == nil || !strings.Contains(err.Error(), "containerd-2.4") {
		t.Error(err)
	}
}

func TestAPartThatIsNotThereIsAnsweredWithTheCommandThatGetsIt(t *testing.T) {
	t.Setenv("MIRRORLET_CACHE", t.TempDir())
	if _, err := Path("containerd-2.4"); err == nil || !strings.Contains(err.Error(), "go run ./cmd/parts containerd-2.4") {
		t.Error(err)
	}
}

func TestAPartIsMadeOnceEvenByManyAtTheSameTime(t *testing.T) {
	p, cache := Part{Name: "x", Settings: map[string]string{"package": "a/x"}}, t.TempDir()
	var made atomic.Int32
	slow := func(_ context.Context, _ Part, _, target string) error {
		made.Add(1)
		return os.WriteFile(target, []byte("x"), 0o755)
	}
	var all sync.WaitGroup
	for range 8 {
		all.Go(func() {
			if err := p.ensure(t.Context(), io.Discard, cache, slow); err != nil {
				t.Error(err)
			}
		})
	}
	all.Wait()
	if _, err := os.Stat(filepath.Join(p.folder(cache), "x")); err != nil || made.Load() != 1 {
		t.Errorf("made %d times, %v", made.Load(), err)
	}
}

func TestARecipeThatFailsLeavesNothing(t *testing.T) {
	p, cache := Part{Name: "x", Settings: map[string]string{"package": "a/x"}}, t.TempDir()
	broken := func(_ context.Context, _ Part, _, target string) error {
		return errors.Join(os.WriteFile(target, []byte("half"), 0o755), errors.New("the disk is full"))
	}
	if err := p.ensure(t.Context(), io.Discard, cache, broken); err == nil {
		t.Error("no error")
	}
	left, err := os.ReadDir(cache)
	if err != nil || len(left) != 1 || left[0].Name() != "x.lock" {
		t.Errorf("left: %v, %v", left, err)
	}
}

func TestAnEditOfALineIsAnotherPartUnlessItIsTheExpectedTime(t *testing.T) {
	folder := func(line string) string {
		all, err := parse(line)
		if err != nil {
			t.Fatal(err)
		}
		return all[0].folder("/c")
	}
	if a, b := folder("x go version=1"), folder("x go version=1 package=y"); a == b {
		t.Errorf("both are %s", a)
	}
	if a, b := folder("x go version=1"), folder("x  go version=1 seconds=5"); a != b {
		t.Errorf("%s and %s", a, b)
	}
}

func TestTheFileOfAPartHasTheNameThatItHasEverywhere(t *testing.T) {
	for line, want := range map[string]string{
		"x go package=a/b/ctr":              "ctr",
		"x go package=a/server/v3 as=etcd":  "etcd",
		"x debian package=b path=usr/bin/c": "c",
	} {
		all, err := parse(line)
		if err != nil {
			t.Fatal(err)
		}
		if got := all[0].program(); got != want {
			t.Errorf("%s: got %s, want %s", line, got, want)
		}
	}
}

func TestAProgramOfAnotherVersionIsNotThePart(t *testing.T) {
	program := filepath.Join(t.TempDir(), "x")
	if err := os.WriteFile(program, []byte("#!/bin/sh\ntest \"$1 $2\" = 'version --client' && echo v1.2.3\n"), 0o755); err != nil {
		t.Fatal(err)
	}
	p := Part{Settings: map[string]string{"ask": "version,--client"}}
	if err := prints(t.Context(), p, program, "1.2.3"); err != nil {
		t.Error(err)
	}
	if err := prints(t.Context(), p, program, "1.2.4"); err == nil || !strings.Contains(err.Error(), "without 1.2.4") {
		t.Errorf("got %v", err)
	}
	if err := prints(t.Context(), Part{}, program, "1.2.3"); err == nil {
		t.Error("it does not know --version, and no error says so")
	}
}
