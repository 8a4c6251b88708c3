package crio_test

import (
	"cmp"
	"fmt"
	"io/fs"
	"os"
	"path/filepath"
	"strconv"
	"strings"
	"testing"
	"testing/fstest"
	"time"

	"github.com/mirrorlet/mirrorlet/runtimes"
	"github.com/mirrorlet/mirrorlet/runtimes/crio"
	"github.com/rogpeppe/go-internal/txtar"
)

// Every process of a case starts an hour after its files were written.
var (
	written = time.Date(2026, 11, 20, 9, 0, 0, 0, time.UTC)
	started = written.Add(time.Hour)
)

// A case of testdata/detect is a txtar file. Its comment says what trap it is about, and holds these lines:
//
//	process: PID EXE [ARG…]    a process; PID 0 is installed and does not run
//	version: TEXT              what the process before prints for --version
//	replaced:                  the binary of the process before was replaced since it started
//	changed: PATH RFC3339      a file that was written at another time
//	denied: PATH               a file that must not be read
//	link: PATH TARGET          a symbolic link
//
// The files are those of the host, without their first slash. "want" is what detection makes of it.
func TestDetectionFindsWhatCRIOReads(t *testing.T) {
	cases, err := filepath.Glob("testdata/detect/*.txtar")
	if err != nil || len(cases) == 0 {
		t.Fatalf("no cases: %v", err)
	}
	for _, file := range cases {
		t.Run(strings.TrimSuffix(filepath.Base(file), ".txtar"), func(t *testing.T) { detectGolden(t, file) })
	}
}

func detectGolden(t *testing.T, file string) {
	archive, err := txtar.ParseFile(file)
	if err != nil {
		t.Fatal(err)
	}
	procs, host, want := detectCase(t, archive)
	got := described(crio.Runtime{}.Detect(procs, host))
	if !*update {
		if got != want {
			t.Errorf("got:\n%s\nwant:\n%s", got, want)
		}
		return
	}
	var given []txtar.File
	for _, f := range archive.Files {
		if f.Name != "want" {
			given = append(given, f)
		}
	}
	archive.Files = append(given, txtar.File{Name: "want", Data: []byte(got)})
	if err := os.WriteFile(file, txtar.Format(archive), 0o644); err != nil {
		t.Fatal(err)
	}
}

// detectCase makes the processes and the host of a case, and returns what it wants.
func detectCase(t testing.TB, archive *txtar.Archive) ([]runtimes.Process, fs.FS, string) {
	t.Helper()
	var procs []runtimes.Process
	files, want, refused := fstest.MapFS{}, "", map[string]bool{}
	for _, f := range archive.Files {
		if f.Name == "want" {
			want = string(f.Data)
			continue
		}
		files[f.Name] = &fstest.MapFile{Data: f.Data, Mode: 0o644, ModTime: written}
	}
	for line := range strings.Lines(string(archive.Comment)) {
		verb, rest, _ := strings.Cut(strings.TrimSpace(line), ": ")
		words := strings.Fields(rest)
		switch verb {
		case "process":
			procs = append(procs, process(t, words))
		case "version":
			procs[len(procs)-1].Version = rest
		case "replaced:":
			procs[len(procs)-1].Exe += " (deleted)"
		case "changed":
			files[strings.TrimPrefix(words[0], "/")].ModTime = moment(t, words[1])
		case "link":
			files[strings.TrimPrefix(words[0], "/")] = &fstest.MapFile{Data: []byte(words[1]), Mode: fs.ModeSymlink | 0o777}
		case "denied":
			refused[strings.TrimPrefix(words[0], "/")] = true
		}
	}
	return procs, denying{files, refused}, want
}

func process(t testing.TB, words []string) runtimes.Process {
	t.Helper()
	pid, err := strconv.Atoi(words[0])
	if err != nil {
		t.Fatal(err)
	}
	p := runtimes.Process{PID: pid, Exe: words[1]}
	if pid > 0 {
		p.Argv, p.Started = words[1:], started
	}
	return p
}

func moment(t testing.TB, text string) time.Time {
	t.Helper()
	at, err := time.Parse(time.RFC3339, text)
	if err != nil {
		t.Fatal(err)
	}
	return at
}

// denying is a host on which some files may not be read.
type denying struct {
	fstest.MapFS
	refused map[string]bool
}

func (d denying) ReadFile(name string) ([]byte, error) {
	if d.refused[name] {
		return nil, &fs.PathError{Op: "open", Path: name, Err: fs.ErrPermission}
	}
	return d.MapFS.ReadFile(name)
}

func (d denying) Open(name string) (fs.File, error) {
	if d.refused[name] {
		return nil, &fs.PathError{Op: "open", Path: name, Err: fs.ErrPermission}
	}
	return d.MapFS.Open(name)
}

// described renders an answer as the golden files have it.
func described(f runtimes.Facts, problems []runtimes.Problem) string {
	var b strings.Builder
	if f.Runtime == "" {
		b.WriteString("nothing\n")
	} else {
		fmt.Fprintf(&b, "%s %q, PID %d, config %s\n", f.Runtime, f.Version, f.Process.PID, f.Config)
		fmt.Fprintf(&b, "socket %s\n", cmp.Or(f.Socket, "unknown"))
		fmt.Fprintf(&b, "target %s, read: %t\n", f.Target, f.Reads())
		for _, root := range f.Roots {
			fmt.Fprintf(&b, "root %q\n", root)
		}
		for _, note := range f.Notes {
			fmt.Fprintf(&b, "note: %s\n", note)
		}
	}
	for _, p := range problems {
		fmt.Fprintf(&b, "%s\n  from %s\n  %s\n", p.Reason, p.From, p.Message)
	}
	return b.String()
}

// A problem is one sentence for a person, about the runtime or about an entry of the owner's, and says where; and whenever our files are not read, there is one.
func TestEveryProblemOfDetectionIsASentenceThatSaysWhere(t *testing.T) {
	cases, _ := filepath.Glob("testdata/detect/*.txtar")
	for _, file := range cases {
		archive, err := txtar.ParseFile(file)
		if err != nil {
			t.Fatal(err)
		}
		procs, host, _ := detectCase(t, archive)
		facts, problems := crio.Runtime{}.Detect(procs, host)
		if facts.Runtime != "" && !facts.Reads() && len(problems) == 0 {
			t.Errorf("%s: nothing is read, and no problem says why", file)
		}
		for _, p := range problems {
			if (p.Registry != "") != (p.Reason == runtimes.FailingEntry) || p.From == "" || strings.HasSuffix(p.Message, ".") || strings.Contains(p.Message, "\n") {
				t.Errorf("%s: %+v", file, p)
			}
			if _, err := os.Stat("../../" + p.Reason.Doc()); err != nil {
				t.Errorf("%s: %v", file, err)
			}
		}
	}
}

func FuzzDetectNeverPanics(f *testing.F) {
	cases, _ := filepath.Glob("testdata/detect/*.txtar")
	for _, file := range cases {
		archive, err := txtar.ParseFile(file)
		if err != nil {
			f.Fatal(err)
		}
		procs, _, _ := detectCase(f, archive)
		var config, dropIn string
		for i, file := range archive.Files {
			if i == 0 {
				config = string(file.Data)
			} else {
				dropIn = string(file.Data)
			}
		}
		for _, p := range procs {
			f.Add(p.Version, strings.Join(p.Argv, "\x00"), config, dropIn)
		}
	}
	f.Fuzz(func(t *testing.T, version, argv, config, dropIn string) {
		host := fstest.MapFS{
			"etc/crio/crio.conf":                        {Data: []byte(config), Mode: 0o644},
			"etc/containers/registries.conf.d/any.conf": {Data: []byte(dropIn), Mode: 0o644},
		}
		p := runtimes.Process{PID: 1, Exe: "/usr/bin/crio", Argv: strings.Split(argv, "\x00"), Version: version, Started: started}
		facts, problems := crio.Runtime{}.Detect([]runtimes.Process{p}, host)
		if facts.Runtime != "" && !facts.Reads() && len(problems) == 0 {
			t.Error("nothing is read, and no problem says why")
		}
	})
}
