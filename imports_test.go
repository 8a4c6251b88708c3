package mirrorlet_test

import (
	"go/parser"
	"go/token"
	"io/fs"
	"path/filepath"
	"strconv"
	"strings"
	"testing"
)

// impure is what a package that only decides has no use for.
var impure = []string{"os", "os/exec", "net", "net/http", "log", "log/slog", "syscall", "golang.org/x/sys"}

// rules say what the files of a folder may not import, with the same meaning as depguard's in .golangci.yml. A name forbids what is
// below it too, except that net leaves net/url and net/netip.
var rules = []struct {
	folder string
	but    []string // files that are the other side of the folder, or folders below it
	deny   []string
}{
	{folder: "agent/plan", but: []string{"witness.go"}, deny: impure}, // it tells error numbers apart, and calls nothing
	{folder: "agent/config", deny: impure},
	{folder: "runtimes", deny: impure},
	{folder: "runtimes/owners", deny: impure},
	{folder: "runtimes/containerd", but: []string{"resolve.go", "reading.go"}, deny: impure},
	{folder: "runtimes/crio", but: []string{"resolve.go"}, deny: impure},
	{folder: "agent/host", deny: []string{"github.com/mirrorlet/mirrorlet/agent/config", "github.com/mirrorlet/mirrorlet/runtimes/containerd", "github.com/mirrorlet/mirrorlet/runtimes/crio", "k8s.io", "net/http"}},
	{folder: ".", but: []string{"agent/cluster"}, deny: []string{"k8s.io/client-go"}},
	{folder: ".", but: []string{"agent/probe"}, deny: []string{"k8s.io/cri-api", "google.golang.org/grpc"}},
	{folder: ".", but: []string{"hosts.go", "hostsentries.go"}, deny: []string{"github.com/txn2/txeh"}}, // in agent/plan
	{folder: ".", but: []string{"agent/host"}, deny: []string{"github.com/coreos/go-systemd", "github.com/godbus/dbus"}},
	{folder: ".", deny: []string{"github.com/mirrorlet/mirrorlet/cmd"}},
}

func TestWhoMayImportWhat(t *testing.T) {
	files := 0
	err := filepath.WalkDir(".", func(file string, e fs.DirEntry, err error) error {
		if e.IsDir() && (file == "test" || file == "tools" || strings.HasPrefix(e.Name(), ".") && file != ".") {
			return fs.SkipDir
		}
		if err != nil || filepath.Ext(file) != ".go" || strings.HasSuffix(file, "_test.go") {
			return err
		}
		files++
		return check(t, file)
	})
	if err != nil || files < 30 {
		t.Fatalf("%d files read: %v", files, err)
	}
}

func check(t *testing.T, file string) error {
	parsed, err := parser.ParseFile(token.NewFileSet(), file, nil, parser.ImportsOnly)
	if err != nil {
		return err
	}
	for _, rule := range rules {
		if rule.folder != "." && rule.folder != filepath.Dir(file) || contains(rule.but, filepath.Base(file)) || contains(rule.but, filepath.Dir(file)) {
			continue
		}
		for _, i := range parsed.Imports {
			name, _ := strconv.Unquote(i.Path.Value)
			if denied(rule.deny, name) {
				t.Errorf("%s imports %s (see docs/flow.md)", file, name)
			}
		}
	}
	return nil
}

func denied(deny []string, name string) bool {
	if name == "net/url" || name == "net/netip" {
		return false
	}
	for _, d := range deny {
		if name == d || d != "net" && d != "os" && d != "log" && strings.HasPrefix(name, d+"/") {
			return true
		}
	}
	return false
}

func contains(all []string, s string) bool {
	for _, a := range all {
		if a == s {
			return true
		}
	}
	return false
}
