package containerd

import (
	"crypto/sha256"
	"encoding/hex"
	"fmt"
	"io/fs"
	"path"
	"strings"

	"github.com/mirrorlet/mirrorlet/runtimes"
)

// Render returns a folder per registry below facts.Target: hosts.toml, and before it the certificates that it mentions.
// No file of it needs more than to be there: containerd reads them at every pull.
func (Runtime) Render(facts runtimes.Facts, host fs.FS, intent runtimes.Intent) ([]runtimes.File, []runtimes.Problem) {
	var files []runtimes.File
	var problems []runtimes.Problem
	for _, r := range intent.Registries {
		f, p := render(facts, host, intent, r)
		files, problems = append(files, f...), append(problems, p...)
	}
	return files, problems
}

// render is Render for one registry.
func render(facts runtimes.Facts, host fs.FS, intent runtimes.Intent, r runtimes.Registry) ([]runtimes.File, []runtimes.Problem) {
	if strings.Contains(r.Prefix, "/") {
		return nil, []runtimes.Problem{problem(r, runtimes.PathPrefix, "containerd has no path prefixes; not applied")}
	}
	if n := len(folderName(r.Prefix)); n > maxName {
		return nil, []runtimes.Problem{problem(r, runtimes.Unwritable, fmt.Sprintf("its folder would have a name of %d bytes, and a file system holds %d; not applied, give the registry a shorter name", n, maxName))}
	}
	found := find(host, roots(facts), r.Prefix)
	if message := conflict(found, r); message != "" {
		return nil, []runtimes.Problem{problem(r, runtimes.Conflict, message)}
	}
	var problems []runtimes.Problem
	if r.Prefix == "*" {
		var covered bool
		if covered, problems = reach(facts, host, intent, r); !covered {
			return nil, problems
		}
	}
	g := newRendering(facts, found, r)
	files := g.files()
	if g.unreadable != "" {
		return nil, append(problems, problem(r, runtimes.MirrorAddress, g.unreadable))
	}
	return files, problems
}

// maxName is how long a name in a folder can be, in bytes (NAME_MAX of linux/limits.h).
const maxName = 255

// conflict says why the owner's entry stands in the way; empty when it does not.
func conflict(found folder, r runtimes.Registry) string {
	name, of := path.Join(path.Base(found.path), "hosts.toml"), ""
	if found.owner != "" {
		of = " of " + found.owner
	}
	switch {
	case found.hostsToml == broken:
		return fmt.Sprintf("%s cannot be read as a folder with a hosts.toml file, so containerd fails every pull of this registry; remove it", found.path)
	case found.hostsToml == absent || r.OnExisting == runtimes.Replace:
		return ""
	case r.OnExisting == runtimes.Prepend:
		return name + of + " was there before and is kept; this version cannot prepend to it yet, onExisting: Replace takes it over"
	case found.hostsToml == malformed:
		return name + of + " was there before and is kept, though containerd cannot parse it and ignores it; mend it, or take it over by onExisting: Replace"
	case path.Base(found.path) == defaultFolder && r.Prefix != "*":
		return name + of + ", which containerd takes for this registry, was there before and is kept; to merge or take over see onExisting"
	default:
		return "hosts.toml" + of + " was there before and is kept; to merge or take over see onExisting"
	}
}

// reach says which registries "*" does not reach, because they have a folder of the owner's; and whether it may be written at all: a
// _default in the first root would hide the folders in the roots after it.
func reach(facts runtimes.Facts, host fs.FS, intent runtimes.Intent, r runtimes.Registry) (bool, []runtimes.Problem) {
	claimed := map[string]bool{}
	for _, other := range intent.Registries {
		claimed[other.Prefix] = true
	}
	for _, held := range intent.Held {
		claimed[held] = true
	}
	var problems []runtimes.Problem
	for i, root := range roots(facts) {
		entries, _ := fs.ReadDir(host, inFS(root))
		for _, e := range entries {
			registry := registryName(e.Name())
			if strings.HasPrefix(e.Name(), "_") || strings.HasPrefix(e.Name(), ".") || claimed[registry] {
				continue
			}
			if i > 0 && find(host, roots(facts)[:i], registry).path == "" {
				message := fmt.Sprintf("a %s in %s would hide %s from containerd; not applied", defaultFolder, facts.Target, path.Join(root, e.Name()))
				return false, []runtimes.Problem{problem(r, runtimes.CatchAll, message)}
			}
			p := problem(r, runtimes.CatchAll, fmt.Sprintf("has the folder %s, so * does not reach it; give it an entry of its own", path.Join(root, e.Name())))
			p.Registry = registry
			problems = append(problems, p)
		}
	}
	return true, problems
}

func problem(r runtimes.Registry, reason runtimes.Reason, message string) runtimes.Problem {
	return runtimes.Problem{Registry: r.Prefix, Reason: reason, Message: message, From: r.From}
}

// rendering is the work on one registry's folder.
type rendering struct {
	dir      string
	registry runtimes.Registry
	carried  pairs // of the owner, as dir mentions them
	inPlace  bool  // the folder has no hosts.toml, and what it carries is in it
	certs    []runtimes.File
	secret   bool
	version  string
	// unreadable says why this version of containerd would drop the file; nothing of it is written then.
	unreadable string
}

func newRendering(facts runtimes.Facts, found folder, r runtimes.Registry) *rendering {
	target := facts.Target
	g := &rendering{registry: r, version: facts.Version, dir: path.Join(target, folderName(r.Prefix))}
	if r.Prefix == "*" {
		g.dir = path.Join(target, defaultFolder)
	}
	if own := path.Base(found.path); path.Dir(found.path) == target && (own != defaultFolder || r.Prefix == "*") {
		g.dir = found.path
	}
	g.carried = found.carried.from(found.path, g.dir)
	g.inPlace = found.path == "" || found.path == g.dir && found.hostsToml == absent || len(found.carried.ca)+len(found.carried.client) == 0 && found.hostsToml == absent
	return g
}

// files are the registry's certificates and then its hosts.toml. A registry of which only a CA is known gets no hosts.toml: a
// docker-style file does the same in every version, and 1.6 drops a hosts.toml without a host table.
func (g *rendering) files() []runtimes.File {
	up := g.registry.Upstream
	if len(g.registry.Mirrors)+len(up.ClientCert) == 0 && !up.SkipVerify && g.inPlace && !runtimes.IsLoopback(g.registry.Prefix) {
		if len(up.CA) > 0 {
			g.cert(dockerCA, up.CA, false)
		}
		return g.certs
	}
	content := g.hostsToml()
	return append(g.certs, g.file("hosts.toml", content, g.secret))
}

// dockerCA is the name of a docker-style CA: always the same, so that a new CA takes the place of the old one in one step. containerd lists
// such files and then opens them, so a name that comes and goes fails the pull that has just listed it. That cannot be had for a
// certificate and its key, which are two files: they need a hosts.toml.
const dockerCA = "mirrorlet.crt"

// hostsToml is the file in the grammar that holds for 1.6 to 2.4: explicit tables in order, each subtable right after its table, root
// keys for the last host that is asked.
func (g *rendering) hostsToml() string {
	r := g.registry
	root, tables := entry{}, []entry(nil)
	for _, m := range r.Mirrors {
		tables = append(tables, g.mirror(m))
	}
	if r.Fallback == runtimes.Never {
		// The last mirror takes the upstream's place. A single one keeps its table as well, because 1.6 drops a file without tables.
		root = tables[len(tables)-1]
		root.server = root.url
		if len(tables) > 1 {
			tables = tables[:len(tables)-1]
		}
	} else {
		root = g.upstream()
		if len(tables) == 0 && g.needsTable() {
			self := root
			self.url = "https://" + runtimes.UpstreamHost(r.Prefix)
			tables = []entry{self}
		}
	}
	g.readable(tables)
	var b strings.Builder
	b.WriteString(g.comment())
	root.write(&b, "")
	for _, t := range tables {
		b.WriteString("\n")
		t.write(&b, "host."+quote(t.url))
	}
	return b.String()
}

// needsTable says that a registry without mirrors gets a table for itself, because 1.6 drops a file without tables; Resolve removes the
// double. Where 1.7 could not read the table, it does without.
func (g *rendering) needsTable() bool {
	unreadable := strings.Contains(g.registry.Prefix, "[") && !older(g.version, 1, 7)
	return g.registry.Prefix != "*" && !unreadable
}

// readable finds tables that make containerd 1.x drop the file with a line in its log: its parser, go-toml v1.9.5, takes the first "]"
// for the end of a table's name, in quotes too, so an IPv6 address ends it. An unknown version is taken for such a one.
func (g *rendering) readable(tables []entry) {
	if g.version != "" && !older(g.version, 2, 0) {
		return
	}
	for _, t := range tables {
		if strings.Contains(t.url, "[") {
			g.unreadable = fmt.Sprintf("containerd before 2.0 cannot read a table for %s, an IPv6 address, and would ignore the whole file; not applied, give that host a name", t.url)
		}
	}
}

// upstream is the registry itself, whose keys stand at the root: its own TLS, and the owner's certificate files, which a hosts.toml
// switches off. Only a loopback registry needs its server spelled out, because containerd would not verify it otherwise.
func (g *rendering) upstream() entry {
	up := g.registry.Upstream
	e := g.tls(up)
	e.ca = append(append([]string(nil), g.carried.ca...), e.ca...)
	e.client = append(append([][2]string(nil), g.carried.client...), e.client...)
	if !up.IsZero() && runtimes.IsLoopback(g.registry.Prefix) {
		e.server = "https://" + g.registry.Prefix
	}
	return e
}

func (g *rendering) mirror(m runtimes.Mirror) entry {
	e := g.tls(m.TLS)
	e.url, e.capabilities = m.Base(), []string{"pull", "resolve"}
	if m.DigestOnly {
		e.capabilities = []string{"pull"}
	}
	if m.Path != "" || m.APIRoot != "" {
		e.url, e.overridePath = m.Root(), true
	}
	if m.DialTimeout > 0 {
		e.dialTimeout = m.DialTimeout.String()
	}
	e.header = m.AllHeaders()
	g.secret = g.secret || m.Authorization != ""
	return e
}

// tls writes the files that the terms need and returns the keys that mention them. Names carry a digest of the content, so a hosts.toml
// always finds the very files it was written with; and they end in .pem, which containerd never takes up by itself.
func (g *rendering) tls(t runtimes.TLS) entry {
	e := entry{skipVerify: t.SkipVerify}
	if len(t.CA) > 0 {
		name := "ca-" + short(t.CA) + ".pem"
		g.cert(name, t.CA, false)
		e.ca = []string{name}
	}
	if len(t.ClientCert) > 0 {
		name := "client-" + short(t.ClientCert, t.ClientKey)
		g.cert(name+".pem", t.ClientCert, false)
		g.cert(name+".key.pem", t.ClientKey, true)
		e.client = [][2]string{{name + ".pem", name + ".key.pem"}}
	}
	return e
}

// cert adds a file of the folder, once.
func (g *rendering) cert(name string, pem []byte, secret bool) {
	for _, f := range g.certs {
		if path.Base(f.Path) == name {
			return
		}
	}
	g.certs = append(g.certs, g.file(name, g.comment()+string(pem), secret))
}

func (g *rendering) file(name, content string, secret bool) runtimes.File {
	f := runtimes.File{
		Path: path.Join(g.dir, name), Content: []byte(content), Mode: 0o644, Secret: secret,
		Registry: g.registry.Prefix, From: g.registry.From,
	}
	if secret {
		f.Mode = 0o600
	}
	return f
}

func (g *rendering) comment() string {
	return fmt.Sprintf("# Written by Mirrorlet from %s; edits here are undone, edit that instead.\n# mirrorlet uninstall gives back what was here before.\n", g.registry.From)
}

// short is a name for a content: the first eight hexadecimal digits of its SHA-256.
func short(parts ...[]byte) string {
	h := sha256.New()
	for _, p := range parts {
		h.Write(p)
	}
	return hex.EncodeToString(h.Sum(nil))[:8]
}
