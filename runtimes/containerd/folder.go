package containerd

import (
	"errors"
	"io/fs"
	"path"
	"strings"

	"github.com/mirrorlet/mirrorlet/runtimes"
	"github.com/mirrorlet/mirrorlet/runtimes/owners"
	"github.com/pelletier/go-toml/v2"
)

const defaultFolder = "_default"

// folder is what containerd finds for one registry when it looks through its roots.
type folder struct {
	path      string    // absolute; "" where it finds none
	hostsToml hostsToml // what is to be made of hosts.toml in it
	carried   pairs     // certificate files that count there now
	owner     string    // the program that wrote hosts.toml, where a mark tells
}

// hostsToml says what a hosts.toml is to containerd.
type hostsToml int

const (
	absent    hostsToml = iota // not there, or empty: certificate files count
	malformed                  // dropped with a line in the log: certificate files count
	effective
	broken // a directory, or a folder that is a file: every pull of the registry fails
)

// pairs are docker-style certificate files, as paths relative to the folder that mentions them.
type pairs struct {
	ca     []string
	client [][2]string
}

// folderName is how containerd names a registry's folder: host_port_ for a host with a port. That form is looked for first, so nothing
// can shadow it. Source: containerd v2.4.2 core/remotes/docker/config/hosts.go hostDirectory.
func folderName(registry string) string {
	if i := strings.LastIndex(registry, ":"); i > 0 {
		return registry[:i] + "_" + registry[i+1:] + "_"
	}
	return registry
}

// registryName is the registry that a folder of that name is for.
func registryName(folder string) string {
	host, found := strings.CutSuffix(folder, "_")
	if i := strings.LastIndex(host, "_"); found && i > 0 {
		return host[:i] + ":" + host[i+1:]
	}
	return folder
}

// lookups are the names under which a registry is looked for in one root, in order. Source: hosts.go hostPaths.
func lookups(registry string) []string {
	if registry == "*" {
		return []string{defaultFolder}
	}
	names := []string{folderName(registry)}
	if names[0] != registry {
		names = append(names, registry)
	}
	return append(names, defaultFolder)
}

// find returns the folder that containerd would choose for a registry: the first that exists, even if it is empty.
func find(host fs.FS, roots []string, registry string) folder {
	for _, root := range roots {
		for _, name := range lookups(registry) {
			dir := path.Join(root, name)
			info, err := fs.Stat(host, inFS(dir))
			if errors.Is(err, fs.ErrNotExist) {
				continue
			}
			if err != nil || !info.IsDir() {
				return folder{path: dir, hostsToml: broken}
			}
			return read(host, dir)
		}
	}
	return folder{}
}

func read(host fs.FS, dir string) folder {
	f := folder{path: dir}
	switch data, err := fs.ReadFile(host, inFS(path.Join(dir, "hosts.toml"))); {
	case errors.Is(err, fs.ErrNotExist) || err == nil && len(data) == 0:
	case err != nil:
		f.hostsToml = broken
	case toml.Unmarshal(data, &hostsFile{}) != nil:
		f.hostsToml = malformed
	default:
		f.hostsToml = effective
	}
	if f.hostsToml != absent {
		f.owner = owners.Of(host, path.Join(dir, "hosts.toml"))
	}
	if f.hostsToml == absent || f.hostsToml == malformed {
		f.carried = certFiles(host, dir)
	}
	return f
}

// certFiles lists the docker-style files of a folder: *.crt is a CA, *.cert (with the .key of the same name) a client certificate.
// Source: hosts.go loadCertFiles.
func certFiles(host fs.FS, dir string) pairs {
	var p pairs
	entries, _ := fs.ReadDir(host, inFS(dir))
	for _, e := range entries {
		switch name := e.Name(); {
		case e.IsDir():
		case path.Ext(name) == ".crt":
			p.ca = append(p.ca, name)
		case path.Ext(name) == ".cert":
			key := strings.TrimSuffix(name, ".cert") + ".key"
			if _, err := fs.Stat(host, inFS(path.Join(dir, key))); err != nil {
				key = ""
			}
			p.client = append(p.client, [2]string{name, key})
		}
	}
	return p
}

// from returns the pairs as another folder mentions them.
func (p pairs) from(dir, other string) pairs {
	if dir == other {
		return p
	}
	var out pairs
	for _, ca := range p.ca {
		out.ca = append(out.ca, relative(other, path.Join(dir, ca)))
	}
	for _, c := range p.client {
		if c[1] != "" {
			c[1] = relative(other, path.Join(dir, c[1]))
		}
		out.client = append(out.client, [2]string{relative(other, path.Join(dir, c[0])), c[1]})
	}
	return out
}

// relative is the way from a folder to a file, both absolute. containerd joins it to the folder by name alone (hosts.go makeAbsPath),
// so symbolic links on the way do no harm.
func relative(dir, file string) string {
	up, rest := "", dir
	for rest != "/" && !strings.HasPrefix(file, rest+"/") {
		up, rest = up+"../", path.Dir(rest)
	}
	return up + strings.TrimPrefix(strings.TrimPrefix(file, rest), "/")
}

// roots are the folders that are looked through for the owner's entries: those of the daemon, or the one that we write to where
// the daemon does not read that yet.
func roots(facts runtimes.Facts) []string {
	if facts.Reads() {
		return facts.Roots
	}
	return []string{facts.Target}
}

// inFS is the name of a host's path in its fs.FS.
func inFS(p string) string {
	if p = strings.TrimPrefix(path.Clean(p), "/"); p == "" {
		return "."
	}
	return p
}
