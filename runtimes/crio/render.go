package crio

import (
	"fmt"
	"io/fs"
	"path"
	"slices"
	"strings"

	"github.com/mirrorlet/mirrorlet/runtimes"
)

// Render returns one drop-in of registries.conf per registry, and before it the certificates of the hosts that are asked. CRI-O takes a
// drop-in up when it is told to reload; certificates are read at every pull.
func (Runtime) Render(_ runtimes.Facts, host fs.FS, intent runtimes.Intent) ([]runtimes.File, []runtimes.Problem) {
	var files []runtimes.File
	var problems []runtimes.Problem
	for _, r := range intent.Registries {
		g := &rendering{host: host, intent: intent, registry: r, conf: look(host, fileName(r.Prefix))}
		if g.possible() {
			g.render()
		}
		files, problems = append(files, g.files...), append(problems, g.problems...)
	}
	return files, problems
}

// maxName is how long a name in a folder can be, in bytes (NAME_MAX of linux/limits.h).
const maxName = 255

// fileName is the drop-in of a prefix: cr.example.io_5000+library for cr.example.io:5000/library, which no other prefix has. It sorts after
// what others call theirs, since a later file wins, and r.io before r.io:5000. A colon in it would end a name in file:line.
func fileName(prefix string) string {
	host, rest, deeper := strings.Cut(prefix, "/")
	name := strings.ReplaceAll(host, ":", "_")
	if deeper {
		name += "+" + strings.ReplaceAll(rest, "/", "+")
	}
	return "zz-mirrorlet-" + name + ".conf"
}

// rendering is the work on one registry.
type rendering struct {
	host     fs.FS
	intent   runtimes.Intent
	registry runtimes.Registry
	conf     view // of the owner
	files    []runtimes.File
	problems []runtimes.Problem
}

func (g *rendering) problem(reason runtimes.Reason, format string, args ...any) {
	g.problems = append(g.problems, runtimes.Problem{
		Registry: g.registry.Prefix, Reason: reason, Message: fmt.Sprintf(format, args...), From: g.registry.From,
	})
}

// render writes the certificates and then the drop-in.
func (g *rendering) render() {
	r := g.registry
	if r.Fallback != runtimes.Never {
		g.certs(registryHost(r.Prefix), r.Upstream)
	}
	for _, m := range r.Mirrors {
		g.certs(mirrorHost(m), m.TLS)
	}
	if g.needsDropIn() {
		g.addDropIn()
	}
	g.notes()
}

// needsDropIn says that the registry may be asked otherwise without an entry of ours: there is something to say, or another entry, of the
// owner or for a shorter prefix of ours, would claim it.
func (g *rendering) needsDropIn() bool {
	r := g.registry
	theirs, found := g.conf.find(r.Prefix)
	return len(r.Mirrors) > 0 || r.Upstream.SkipVerify || found && theirs.says() || strings.ContainsAny(r.Prefix, ":/")
}

// endpoint is what registries.conf says of one place: a location, how far it is trusted, and when it is asked.
type endpoint struct {
	location             string
	insecure, digestOnly bool
}

func (g *rendering) addDropIn() {
	r := g.registry
	last := endpoint{location: r.Prefix, insecure: r.Upstream.SkipVerify}
	var mirrors []endpoint
	for _, m := range r.Mirrors {
		mirrors = append(mirrors, mirror(m))
	}
	if r.Fallback == runtimes.Never { // the last mirror takes the registry's place
		last, mirrors = mirrors[len(mirrors)-1], mirrors[:len(mirrors)-1]
	}
	var b strings.Builder
	b.WriteString(g.comment())
	fmt.Fprintf(&b, "[[registry]]\nprefix = %s\n", quote(r.Prefix))
	last.write(&b)
	for _, m := range mirrors {
		b.WriteString("\n[[registry.mirror]]\n")
		m.write(&b)
	}
	for _, name := range g.neighbours() {
		fmt.Fprintf(&b, "\n# Another registry, which %s would claim as well.\n[[registry]]\nprefix = %s\nlocation = %s\n", r.Prefix, quote(name), quote(name))
	}
	g.add(path.Join(dropIns, fileName(r.Prefix)), b.String())
	g.files[len(g.files)-1].Action = runtimes.Reload
}

// neighbours are registries on other ports of the same host, as far as somebody has put certificates for them on the node. The parser
// takes r.io:5000/a for an image of r.io, and would ask the mirror's host at port 5000 for it, or fail the pull; an entry of their own
// keeps them as they were.
func (g *rendering) neighbours() []string {
	if strings.ContainsAny(g.registry.Prefix, "/:") {
		return nil
	}
	var out []string
	for _, port := range ports(g.host, g.registry.Prefix) {
		name := g.registry.Prefix + ":" + port
		if _, theirs := g.conf.entries[name]; !theirs && !slices.Contains(out, name) {
			out = append(out, name)
		}
	}
	slices.Sort(out)
	return out
}

func (e endpoint) write(b *strings.Builder) {
	fmt.Fprintf(b, "location = %s\n", quote(e.location))
	if e.insecure {
		b.WriteString("insecure = true\n")
	}
	if e.digestOnly {
		b.WriteString("pull-from-mirror = \"digest-only\"\n")
	}
}

// mirror is a mirror as registries.conf has it. insecure means plain HTTP or TLS that nobody verifies.
func mirror(m runtimes.Mirror) endpoint {
	e := endpoint{location: mirrorHost(m), insecure: m.Scheme == "http" || m.TLS.SkipVerify, digestOnly: m.DigestOnly}
	if p, _ := repositoryPath(m); p != "" {
		e.location += "/" + p
	}
	return e
}

// mirrorHost is the mirror's host as a location has it. The port of plain HTTP is spelled out, because TLS is tried first, at port 443
// otherwise; and that of a host without a dot, which would not pass for a host (canonical).
func mirrorHost(m runtimes.Mirror) string {
	switch {
	case strings.Contains(m.Host, ":"):
		return m.Host
	case m.Scheme == "http":
		return m.Host + ":80"
	case !strings.Contains(m.Host, ".") && m.Host != "localhost":
		return m.Host + ":443"
	default:
		return m.Host
	}
}

// registryHost is the host[:port] of a prefix.
func registryHost(prefix string) string {
	host, _, _ := strings.Cut(prefix, "/")
	return host
}

// repositoryPath is what stands before the repository's name at a mirror. An API root that is no more than /v2/P is the location P.
func repositoryPath(m runtimes.Mirror) (string, bool) {
	if m.APIRoot == "" || m.APIRoot == "/v2" {
		return m.Path, true
	}
	rest, found := strings.CutPrefix(m.APIRoot, "/v2/")
	return rest, found && canonical("host.invalid/"+rest)
}

func (g *rendering) comment() string {
	return fmt.Sprintf("# Written by Mirrorlet from %s; edits here are undone, edit that instead.\n# mirrorlet uninstall gives back what was here before.\n", g.registry.From)
}

func (g *rendering) addSecret(file, content string) {
	g.add(file, content)
	f := &g.files[len(g.files)-1]
	f.Mode, f.Secret = 0o600, true
}

// add adds a file, once.
func (g *rendering) add(file, content string) {
	g.files = slices.DeleteFunc(g.files, func(f runtimes.File) bool { return f.Path == file })
	g.files = append(g.files, runtimes.File{
		Path: file, Content: []byte(content), Mode: 0o644, Registry: g.registry.Prefix, From: g.registry.From,
	})
}

// quote writes a TOML basic string. Prefixes and locations are printable ASCII without quotes and backslashes, as the documents' reader has
// made sure; whatever else came would be escaped.
func quote(s string) string { return fmt.Sprintf("%q", s) }
