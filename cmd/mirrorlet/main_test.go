package main

import (
	"fmt"
	"io/fs"
	"os"
	"path/filepath"
	"strings"
	"syscall"
	"testing"
	"time"

	"github.com/rogpeppe/go-internal/testscript"
)

func TestMain(m *testing.M) {
	testscript.Main(m, map[string]func(){"mirrorlet": func() { os.Exit(run(os.Args[1:])) }})
}

// Each file of testdata tells what one verb, or one promise, is to a user, on a pretended host.
func TestStories(t *testing.T) {
	testscript.Run(t, testscript.Params{
		Dir: "testdata", UpdateScripts: os.Getenv("UPDATE") != "", RequireExplicitExec: true, RequireUniqueNames: true,
		Setup: func(e *testscript.Env) error { e.Values["canaries"] = &canaries{}; return nil },
		Cmds: map[string]func(*testscript.TestScript, bool, []string){
			"snapshot": snapshot, "same": same, "append": appendTo, "secrets": secrets, "hidden": hidden, "until": until,
		},
	})
}

// snapshot NAME DIR remembers a tree: names, kinds, modes, owners, links and bytes.
func snapshot(ts *testscript.TestScript, _ bool, args []string) {
	ts.Check(os.WriteFile(ts.MkAbs(args[0]), []byte(tree(ts, args[1])), 0o600))
}

// same NAME DIR says that a tree is as it was; ! same, that it is not.
func same(ts *testscript.TestScript, not bool, args []string) {
	before, now := ts.ReadFile(args[0]), tree(ts, args[1])
	if (before == now) == not {
		ts.Fatalf("before:\n%s\nnow:\n%s", before, now)
	}
}

// append FILE TEXT adds a line to a file in place, as a person with an editor might.
func appendTo(ts *testscript.TestScript, _ bool, args []string) {
	file := ts.MkAbs(args[0])
	data, err := os.ReadFile(file)
	ts.Check(err)
	ts.Check(os.WriteFile(file, append(data, strings.Join(args[1:], " ")+"\n"...), 0o644))
}

// until FILE TEXT waits until a file holds a text; the time-out of the test says that it never did. The file may come and go with its
// folders, which no watch follows, so it is looked at again and again.
func until(ts *testscript.TestScript, _ bool, args []string) {
	for tick := range time.Tick(5 * time.Millisecond) {
		if data, err := os.ReadFile(ts.MkAbs(args[0])); err == nil && strings.Contains(string(data), args[1]) {
			ts.Logf("at %v", tick)
			return
		}
	}
}

func tree(ts *testscript.TestScript, dir string) string {
	var b strings.Builder
	ts.Check(filepath.WalkDir(ts.MkAbs(dir), func(p string, e fs.DirEntry, err error) error {
		if err != nil {
			return err
		}
		info, err := e.Info()
		if err != nil {
			return err
		}
		name, _ := filepath.Rel(ts.MkAbs(dir), p)
		if name == "var/lib/mirrorlet/lock" { // it names its last holder
			return nil
		}
		st := info.Sys().(*syscall.Stat_t)
		fmt.Fprintf(&b, "%s %v %d:%d", name, info.Mode(), st.Uid, st.Gid)
		switch {
		case info.Mode().IsRegular():
			data, err := os.ReadFile(p)
			fmt.Fprintf(&b, " %q", data)
			ts.Check(err)
		case info.Mode()&fs.ModeSymlink != 0:
			target, err := os.Readlink(p)
			fmt.Fprintf(&b, " -> %s", target)
			ts.Check(err)
		}
		b.WriteByte('\n')
		return nil
	}))
	return b.String()
}
