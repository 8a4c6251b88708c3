package containerd

import (
	"errors"
	"fmt"
	"io"
	"io/fs"
	"path"
	"slices"
	"strings"
	"time"

	"github.com/pelletier/go-toml/v2"
)

// maxConfigSize bounds what is read of one file, in bytes. Real ones have a few thousand.
const maxConfigSize = 1 << 20

// document is one config file, as it is written.
type document struct {
	path       string
	version    int // 0: none is said
	imports    []string
	disabled   []string
	required   []string
	address    string // of [grpc], where versions 1 to 3 have it
	plugins    map[string]any
	lastChange time.Time
}

// unreadable says why containerd does not start with a config, or why we cannot tell what it says.
type unreadable struct {
	file string
	line int    // 0: no line in particular
	what string // a sentence without a full stop: what is wrong and what to do
}

func (u *unreadable) Error() string { return u.from() + ": " + u.what }

func (u *unreadable) from() string {
	if u.line == 0 {
		return u.file
	}
	return fmt.Sprintf("%s:%d", u.file, u.line)
}

// readDocument reads and decodes one file. A key that we need and that has the wrong type is an error, as it is for containerd.
func readDocument(host fs.FS, file string) (document, error) {
	data, changed, err := readBounded(host, file)
	if err != nil {
		return document{}, err
	}
	tree := map[string]any{}
	if err := toml.Unmarshal(data, &tree); err != nil {
		u := &unreadable{file: file, what: fmt.Sprintf("%v: correct it, because containerd may not start with it", err)}
		var at *toml.DecodeError
		if errors.As(err, &at) {
			u.line, _ = at.Position()
		}
		return document{}, u
	}
	top := section{file: file, values: tree}
	d := document{
		path: file, lastChange: changed, version: top.integer("version", 0), imports: top.texts("imports"),
		disabled: top.texts("disabled_plugins"), required: top.texts("required_plugins"),
		address: top.table("grpc").text("address"), plugins: top.table("plugins").values,
	}
	return d, top.err()
}

// devNull is the usual name for an empty config.
const devNull = "/dev/null"

// readBounded reads a regular file.
func readBounded(host fs.FS, file string) ([]byte, time.Time, error) {
	if file == devNull {
		return nil, time.Time{}, nil
	}
	f, err := openRegular(host, file)
	if err != nil {
		return nil, time.Time{}, err
	}
	defer f.Close()
	info, err := f.Stat()
	if err != nil {
		return nil, time.Time{}, cannotRead(file, err)
	}
	data, err := io.ReadAll(io.LimitReader(f, maxConfigSize+1))
	switch {
	case err != nil:
		return nil, time.Time{}, cannotRead(file, err)
	case len(data) > maxConfigSize:
		return nil, time.Time{}, &unreadable{file: file, what: "this is larger than 1 MiB and not read; move what is not config out of it"}
	}
	return data, info.ModTime(), nil
}

// openRegular looks before it opens, because opening a pipe would wait for a writer.
func openRegular(host fs.FS, file string) (fs.File, error) {
	name := inFS("/" + file)
	info, err := fs.Stat(host, name)
	switch {
	case err != nil:
		return nil, cannotRead(file, err)
	case !info.Mode().IsRegular():
		return nil, &unreadable{file: file, what: "this is not a regular file, so containerd does not start with it: put a config file there"}
	}
	f, err := host.Open(name)
	if err != nil {
		return nil, cannotRead(file, err)
	}
	return f, nil
}

// cannotRead keeps only the last part of an error: the path in it is one of the fs.FS and not of the host.
func cannotRead(file string, err error) error {
	if errors.Is(err, fs.ErrNotExist) {
		return &unreadable{file: file, what: "this file is not there, and containerd does not start without it: put it back, or name it neither in --config nor in imports"}
	}
	var inner *fs.PathError
	if errors.As(err, &inner) {
		err = inner.Err
	}
	return &unreadable{file: file, what: fmt.Sprintf("this file cannot be read (%v): make it readable", err)}
}

// merged is a config with all that it imports, as one release takes it.
type merged struct {
	main      string     // whether or not it exists
	documents []document // in the order of loading: later ones win
	version   int
	disabled  []string
	required  []string
	address   string // of [grpc]; what takes its place in version 4 is among the plugins
	plugins   map[string]any
}

// load reads the main file and then its imports, breadth first, each path once: LoadConfig in services/server/config/config.go of
// 1.6.38 and 1.7.35, in cmd/containerd/server/config/config.go of 2.0.5 to 2.4.2.
func load(host fs.FS, d daemon, r release) (merged, error) {
	m := merged{main: d.config, version: 1, plugins: map[string]any{}}
	if r.since(2, 0, 0) {
		m.version = r.maxConfig()
	}
	if !d.explicit && !there(host, d.config) {
		return m, nil
	}
	loaded := map[string]bool{}
	for pending := []string{d.config}; len(pending) > 0; pending = pending[1:] {
		if loaded[pending[0]] {
			continue
		}
		doc, err := readDocument(host, pending[0])
		if err != nil {
			return m, m.imported(err)
		}
		if err := m.add(doc, r); err != nil {
			return m, err
		}
		imports, err := resolveImports(host, doc)
		if err != nil {
			return m, err
		}
		loaded[doc.path] = true
		pending = append(pending, imports...)
	}
	return m, m.finish(r)
}

// imported adds to an error about an import who asked for it: without that nobody can take its name away.
func (m merged) imported(err error) error {
	var u *unreadable
	if !errors.As(err, &u) {
		return err
	}
	for _, d := range m.documents {
		if slices.Contains(literals(d), u.file) {
			return &unreadable{file: u.file, line: u.line, what: u.what + " (" + d.path + " imports it)"}
		}
	}
	return err
}

// resolveImports returns the files that a document imports. Only an asterisk makes a pattern, whose matches come in lexical order;
// what it does not match is no error, while a plain path must be there.
func resolveImports(host fs.FS, d document) ([]string, error) {
	var out []string
	for _, p := range literals(d) {
		if !strings.Contains(p, "*") {
			out = append(out, p)
			continue
		}
		matches, err := fs.Glob(host, inFS("/"+p))
		if err != nil {
			return nil, &unreadable{file: d.path, what: fmt.Sprintf("imports has %q, which is no valid pattern, so containerd does not start: correct it", p)}
		}
		for _, match := range matches {
			out = append(out, "/"+match)
		}
	}
	return out, nil
}

// literals are the imports of a document as paths and patterns of the host: relative ones start at the importing file.
func literals(d document) []string {
	var out []string
	for _, p := range d.imports {
		p = path.Clean(p)
		if !path.IsAbs(p) {
			p = path.Join(path.Dir(d.path), p)
		}
		out = append(out, p)
	}
	return out
}
