package crio

import (
	"cmp"
	"errors"
	"fmt"
	"io/fs"
	"path"
	"slices"
	"strings"

	"github.com/BurntSushi/toml"

	"github.com/mirrorlet/mirrorlet/runtimes"
)

// settings are what crio.conf and its drop-ins say, as far as it matters here; nil where none does. Source: tomlConfig in
// pkg/config/config.go of cri-o v1.34.0.
type settings struct {
	Crio struct {
		API struct {
			Listen *string `toml:"listen"`
		} `toml:"api"`
		Image struct {
			AutoReload *bool     `toml:"auto_reload_registries"`
			Insecure   *[]string `toml:"insecure_registries"`
			AuthFile   *string   `toml:"global_auth_file"`
		} `toml:"image"`
	} `toml:"crio"`
}

// readSettings reads the main file and then every file of the folder and the folders in it, whatever its name, in the order of names; a
// later one wins key by key. A file that cannot be understood stops the start and every reload of CRI-O. Source: mergeConfig in
// internal/criocli/criocli.go, UpdateFromPath in pkg/config/config.go there.
func readSettings(host fs.FS, f flags) (settings, []string, []runtimes.Problem) {
	var s settings
	var read []string
	var problems []runtimes.Problem
	for _, file := range settingsFiles(host, f) {
		data, err := fs.ReadFile(host, strings.TrimPrefix(file, "/"))
		if errors.Is(err, fs.ErrNotExist) {
			continue
		}
		if err == nil {
			err = toml.Unmarshal(data, &s)
		}
		if err != nil {
			wrong := syntax(file, err)
			problems = append(problems, runtimes.Problem{
				Reason: runtimes.UnreadableConfig, From: at(wrong.file, wrong.line),
				Message: fmt.Sprintf("CRI-O cannot read this, so it takes no reload and does not start: %s; mend it", wrong.what),
			})
			continue
		}
		read = append(read, file)
	}
	return s, read, problems
}

func settingsFiles(host fs.FS, f flags) []string {
	var out []string
	if path.IsAbs(f.config) { // a relative one begins where the daemon was started, which is not known
		out = append(out, path.Clean(f.config))
	}
	if !path.IsAbs(f.folder) || path.Clean(f.folder) == "/" {
		return out
	}
	_ = fs.WalkDir(host, path.Clean(f.folder)[1:], func(name string, e fs.DirEntry, err error) error {
		if err == nil && !e.IsDir() {
			out = append(out, "/"+name)
		}
		return nil // a folder that is not there has no files, and one that cannot be read is the owner's to mend
	})
	return slices.Compact(out)
}

// socket is where the CRI is served: the flag wins.
func (s settings) socket(f flags) string {
	listen := ""
	if s.Crio.API.Listen != nil {
		listen = *s.Crio.API.Listen
	}
	address := strings.TrimPrefix(cmp.Or(f.listen, listen, defaultSocket), "unix://")
	if !path.IsAbs(address) {
		return ""
	}
	return path.Clean(address)
}

// notes say in short what was found.
func (s settings) notes(f flags, read []string) []string {
	notes := []string{"no config file, so the built-in defaults hold"}
	if len(read) > 0 {
		notes = []string{"reads " + strings.Join(read, ", ")}
	}
	image := s.Crio.Image
	if f.autoReload || image.AutoReload != nil && *image.AutoReload {
		notes = append(notes, "auto_reload_registries: it reads drop-ins when they change, if their folder was there at its start")
	}
	if image.Insecure != nil && len(*image.Insecure) > 0 {
		notes = append(notes, fmt.Sprintf("insecure_registries: no TLS is verified for images of %s, at mirrors neither", strings.Join(*image.Insecure, ", ")))
	}
	if image.AuthFile != nil && *image.AuthFile != "" {
		notes = append(notes, "credentials from "+*image.AuthFile)
	}
	return notes
}
