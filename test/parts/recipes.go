package parts

import (
	"context"
	"errors"
	"fmt"
	"os"
	"os/exec"
	"path/filepath"
	"strings"
)

// A recipe makes the program of a part at the path target. It works in the scratch folder, which is removed afterwards.
type recipe func(ctx context.Context, p Part, scratch, target string) error

// recipeOf is nil where there is none of that name.
func recipeOf(p Part) recipe {
	switch p.Recipe {
	case "go":
		return buildGo
	case "kubernetes":
		return buildKubernetes
	case "make":
		return runMake
	case "debian":
		return unpackDebian
	default:
		return nil
	}
}

// buildGo builds through a module of its own that requires the part's. `go install` is simpler and refuses modules with an exclude in
// their go.mod, such as containerd 1.7.
func buildGo(ctx context.Context, p Part, scratch, target string) error {
	ldflags := "-s -w"
	if stamp := p.Settings["stamp"]; stamp != "" {
		ldflags += fmt.Sprintf(" -X %s=%s", stamp, p.Version())
	}
	return build(ctx, p, scratch, target, ldflags)
}

// build makes the module, with these other modules in it, and builds the program.
func build(ctx context.Context, p Part, scratch, target, ldflags string, others ...string) error {
	if err := copySums(ctx, p, scratch); err != nil {
		return err
	}
	for _, argv := range [][]string{
		{"go", "mod", "init", "part"},
		append([]string{"go", "get", p.Settings["package"] + "@v" + p.Version()}, others...),
		{"go", "build", "-trimpath", "-tags", p.Settings["tags"], "-ldflags", ldflags, "-o", target, p.Settings["package"]},
	} {
		if _, err := run(ctx, scratch, argv...); err != nil {
			return err
		}
	}
	return prints(ctx, p, target, p.Version())
}

// copySums begins the module with the sums of the part's own, where its line names that: a requirement of cri-o has sums that the checksum
// database does not know.
func copySums(ctx context.Context, p Part, scratch string) error {
	if p.Settings["module"] == "" {
		return nil
	}
	dir, err := source(ctx, p, scratch)
	if err != nil {
		return err
	}
	sums, err := os.ReadFile(filepath.Join(dir, "go.sum"))
	if err != nil {
		return err
	}
	return os.WriteFile(filepath.Join(scratch, "go.sum"), sums, 0o644)
}

// source is the folder of the part's module, which nobody may write to.
func source(ctx context.Context, p Part, scratch string) (string, error) {
	var module struct{ Dir string }
	err := printed(ctx, &module, scratch, "go", "mod", "download", "-json", p.Settings["module"]+"@v"+p.Version())
	return module.Dir, err
}

// runMake builds a program in C that a Go module brings along, in a copy of that module's folder, by its Makefile.
func runMake(ctx context.Context, p Part, scratch, target string) error {
	dir, err := source(ctx, p, scratch)
	if err != nil {
		return err
	}
	tree := filepath.Join(scratch, "tree")
	if err := os.CopyFS(filepath.Join(tree, p.Settings["package"]), os.DirFS(filepath.Join(dir, p.Settings["package"]))); err != nil {
		return err
	}
	if _, err := run(ctx, filepath.Join(tree, p.Settings["package"]), "make"); err != nil {
		return err
	}
	return os.Rename(filepath.Join(tree, p.Settings["path"]), target)
}

// unpackDebian takes the program out of a package, in the version that the machine's own package sources have.
func unpackDebian(ctx context.Context, p Part, scratch, target string) error {
	name, tree := p.Settings["package"], filepath.Join(scratch, "tree")
	file, err := download(ctx, scratch, name)
	if err != nil {
		return err
	}
	version, err := run(ctx, scratch, "dpkg-deb", "-f", file, "Version")
	if err != nil {
		return err
	}
	if !strings.HasPrefix(version, p.Version()+".") {
		return fmt.Errorf("the package sources have %s %s, and %s.* is wanted: that is in another Debian", name, version, p.Version())
	}
	if _, err := run(ctx, scratch, "dpkg-deb", "-x", file, tree); err != nil {
		return err
	}
	if p.Settings["with"] != "" {
		return withLibraries(ctx, p, scratch, target, tree)
	}
	if err := os.Rename(filepath.Join(tree, p.Settings["path"]), target); err != nil {
		return err
	}
	return prints(ctx, p, target, p.Version()+".")
}

// download fetches a package and returns its file.
func download(ctx context.Context, scratch, name string) (string, error) {
	_, err := run(ctx, scratch, "apt-get", "download", name)
	if err != nil && os.Geteuid() == 0 { // on a new machine the lists of packages are missing, on an old one they are out of date
		if _, err = run(ctx, scratch, "apt-get", "update"); err == nil {
			_, err = run(ctx, scratch, "apt-get", "download", name)
		}
	}
	if err != nil {
		return "", fmt.Errorf("%w\nthe lists of packages may be missing or old: apt-get update", err)
	}
	files, err := filepath.Glob(filepath.Join(scratch, name+"_*.deb"))
	if err != nil || len(files) != 1 {
		return "", fmt.Errorf("apt-get download %s left %d files: %v", name, len(files), err)
	}
	return files[0], nil
}

// started runs the program of a part with the libraries that lie beside it.
const started = `#!/bin/sh
here=$(dirname "$0")
LD_LIBRARY_PATH="$here/lib" exec "$here/bin/${0##*/}" "$@"
`

// withLibraries is for a program with libraries that a machine need not have: they come from packages of their own, and lie beside it.
func withLibraries(ctx context.Context, p Part, scratch, target, tree string) error {
	for _, name := range strings.Split(p.Settings["with"], ",") {
		file, err := download(ctx, scratch, name)
		if err != nil {
			return err
		}
		if _, err := run(ctx, scratch, "dpkg-deb", "-x", file, tree); err != nil {
			return err
		}
	}
	folders, err := filepath.Glob(filepath.Join(tree, "usr/lib/*-linux-gnu*"))
	if err != nil || len(folders) != 1 {
		return fmt.Errorf("%s: %d folders of libraries: %v", p.Settings["with"], len(folders), err)
	}
	made := filepath.Dir(target)
	if err := errors.Join(
		os.Rename(folders[0], filepath.Join(made, "lib")),
		os.Mkdir(filepath.Join(made, "bin"), 0o755),
		os.Rename(filepath.Join(tree, p.Settings["path"]), filepath.Join(made, "bin", p.program())),
		os.WriteFile(target, []byte(started), 0o755),
	); err != nil {
		return err
	}
	return prints(ctx, p, target, p.Version()+".")
}

// prints makes sure that what was made runs here and is what was asked for. Where its version is asked for by anything else than
// --version, the line of the part says by what, in the setting ask.
func prints(ctx context.Context, p Part, program, version string) error {
	ask := []string{"--version"}
	if p.Settings["ask"] != "" {
		ask = strings.Split(p.Settings["ask"], ",")
	}
	out, err := run(ctx, filepath.Dir(program), append([]string{program}, ask...)...)
	if err != nil {
		return err
	}
	if !strings.Contains(out, version) {
		return fmt.Errorf("%s prints %q, without %s", strings.Join(ask, " "), out, version)
	}
	return nil
}

// run returns what a command printed to its standard output. Settings of the user's own Go environment do not count.
func run(ctx context.Context, dir string, argv ...string) (string, error) {
	cmd := exec.CommandContext(ctx, argv[0], argv[1:]...)
	cmd.Dir = dir
	cmd.Env = append(os.Environ(), "CGO_ENABLED=0", "GOFLAGS=", "GOWORK=off", "GO111MODULE=on")
	var stderr strings.Builder
	cmd.Stderr = &stderr
	out, err := cmd.Output()
	if err != nil {
		return "", fmt.Errorf("%s: %w\n%s", strings.Join(argv, " "), err, tail(stderr.String()))
	}
	return strings.TrimSpace(string(out)), nil
}

// tail is the end of what a command complained: a compiler repeats itself for each package.
func tail(text string) string {
	const most = 2000
	if len(text) > most {
		text = "…" + text[len(text)-most:]
	}
	return strings.TrimSpace(text)
}
