// Package parts gets the third-party programs that the lab runs: it builds or downloads each once, into a folder that git ignores,
// and installs nothing on the machine. What there is, and in which version, is in versions.txt.
package parts

import (
	"context"
	"crypto/sha256"
	_ "embed"
	"fmt"
	"io"
	"maps"
	"os"
	"path"
	"path/filepath"
	"runtime"
	"strings"
	"time"
)

//go:embed versions.txt
var versions string // what //go:embed fills cannot be a constant

// Part is one line of versions.txt.
type Part struct {
	Name, Recipe string
	Settings     map[string]string
}

// List returns all parts, in the order of the file.
func List() ([]Part, error) { return parse(versions) }

func parse(text string) ([]Part, error) {
	var all []Part
	number := 0
	for line := range strings.Lines(text) {
		number++
		fields := strings.Fields(line)
		if len(fields) == 0 || strings.HasPrefix(fields[0], "#") {
			continue
		}
		if len(fields) < 2 {
			return nil, fmt.Errorf("versions.txt:%d: a part needs a name and a recipe", number)
		}
		p := Part{Name: fields[0], Recipe: fields[1], Settings: map[string]string{}}
		for _, f := range fields[2:] {
			key, value, found := strings.Cut(f, "=")
			if !found {
				return nil, fmt.Errorf("versions.txt:%d: %q is not key=value", number, f)
			}
			p.Settings[key] = value
		}
		if recipeOf(p) == nil {
			return nil, fmt.Errorf("versions.txt:%d: no recipe is called %q", number, p.Recipe)
		}
		all = append(all, p)
	}
	return all, nil
}

// Find returns the part of that name.
func Find(name string) (Part, error) {
	all, err := List()
	if err != nil {
		return Part{}, err
	}
	var names []string
	for _, p := range all {
		if p.Name == name {
			return p, nil
		}
		names = append(names, p.Name)
	}
	return Part{}, fmt.Errorf("no part is called %q; versions.txt has %s", name, strings.Join(names, ", "))
}

// Path returns the program of a part. An error says that it was not built or downloaded yet, and the command that does it.
func Path(name string) (string, error) {
	p, err := Find(name)
	if err != nil {
		return "", err
	}
	program := filepath.Join(p.folder(Cache()), p.program())
	if _, err := os.Stat(program); err != nil {
		return "", fmt.Errorf("%s %s is not there yet; in test/: go run ./cmd/parts %s", name, p.Version(), name)
	}
	return program, nil
}

// program is the name of what the recipe makes, in the folder of the part. It is the name that it has everywhere, because what runs is
// recognised by it.
func (p Part) program() string {
	if name := p.Settings["as"]; name != "" {
		return name
	}
	if file := p.Settings["path"]; file != "" {
		return path.Base(file)
	}
	return path.Base(p.Settings["package"])
}

// Version is the pinned one; for a Debian package only its beginning.
func (p Part) Version() string { return p.Settings["version"] }

// folder is named after the version, and after all else that stands in the line but the time: an edit there makes another part.
func (p Part) folder(cache string) string {
	settings := maps.Clone(p.Settings)
	delete(settings, "seconds")
	sum := sha256.Sum256(fmt.Append(nil, p.Recipe, settings, runtime.GOOS, runtime.GOARCH)) // a map is printed in the order of its keys
	return filepath.Join(cache, fmt.Sprintf("%s@%s-%x", p.Name, p.Version(), sum[:4]))
}

// Cache is the folder of all parts: $MIRRORLET_CACHE, or .cache/parts of the repository that the working directory is in, or else one
// of the user's.
func Cache() string {
	if dir := os.Getenv("MIRRORLET_CACHE"); dir != "" {
		return dir
	}
	wd, err := os.Getwd()
	for dir := wd; err == nil; dir = filepath.Dir(dir) {
		if _, err := os.Stat(filepath.Join(dir, "test", "parts", "versions.txt")); err == nil {
			return filepath.Join(dir, ".cache", "parts")
		}
		if dir == filepath.Dir(dir) {
			break
		}
	}
	dir, err := os.UserCacheDir()
	if err != nil {
		dir = os.TempDir()
	}
	return filepath.Join(dir, "mirrorlet", "parts")
}

// Ensure gets the parts that are not there yet, one after the other, and says on out what it does. It may run twice at the same time:
// the second waits for the first, and finds what that made.
func Ensure(ctx context.Context, out io.Writer, names ...string) error {
	for _, name := range names {
		if _, err := Path(name); err == nil {
			continue
		}
		p, err := Find(name)
		if err != nil {
			return err
		}
		if err := p.ensure(ctx, out, Cache(), recipeOf(p)); err != nil {
			return fmt.Errorf("%s: %w", name, err)
		}
	}
	return nil
}

func (p Part) ensure(ctx context.Context, out io.Writer, cache string, make recipe) error {
	if err := os.MkdirAll(cache, 0o755); err != nil {
		return err
	}
	unlock, err := lock(ctx, out, filepath.Join(cache, p.Name+".lock"))
	if err != nil {
		return err
	}
	defer unlock()
	target := p.folder(cache)
	if _, err := os.Stat(target); err == nil {
		return nil // another process made it while this one waited
	}
	scratch, err := os.MkdirTemp(cache, ".making-")
	if err != nil {
		return err
	}
	defer os.RemoveAll(scratch)
	made := filepath.Join(scratch, "part")
	if err := os.Mkdir(made, 0o755); err != nil {
		return err
	}
	done := p.announce(out)
	err = make(ctx, p, scratch, filepath.Join(made, p.program()))
	done(err)
	if err != nil {
		return err
	}
	return os.Rename(made, target)
}

// announce says what begins and how long it takes, then every ten seconds that it goes on. The function it returns ends that.
func (p Part) announce(out io.Writer) (done func(error)) {
	start := time.Now()
	elapsed := func() int { return int(time.Since(start).Seconds()) }
	fmt.Fprintf(out, "%s: get version %s (%s), about %s s\n", p.Name, p.Version(), p.Recipe, p.Settings["seconds"])
	end, ended := make(chan struct{}), make(chan struct{})
	go func() {
		defer close(ended)
		tick := time.NewTicker(10 * time.Second)
		defer tick.Stop()
		for {
			select {
			case <-tick.C:
				fmt.Fprintf(out, "%s: %d s of about %s s\n", p.Name, elapsed(), p.Settings["seconds"])
			case <-end:
				return
			}
		}
	}()
	return func(err error) {
		close(end)
		<-ended
		if err == nil {
			fmt.Fprintf(out, "%s: done in %d s\n", p.Name, elapsed())
		}
	}
}
