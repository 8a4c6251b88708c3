package containerd

import (
	"bytes"
	"fmt"
	"os"
	"path/filepath"
	"strings"
	"time"

	"github.com/mirrorlet/mirrorlet/runtimes"
	"github.com/pelletier/go-toml/v2"
	"github.com/pelletier/go-toml/v2/unstable"
)

// hostsFile is hosts.toml as containerd decodes it; unknown keys do not count. Source: containerd v2.4.2
// core/remotes/docker/config/hosts.go hostFileConfig.
type hostsFile struct {
	hostKeys
	Server string              `toml:"server"`
	Host   map[string]hostKeys `toml:"host"`
}

type hostKeys struct {
	Capabilities []string       `toml:"capabilities"`
	CA           any            `toml:"ca"`
	Client       any            `toml:"client"`
	SkipVerify   *bool          `toml:"skip_verify"`
	Header       map[string]any `toml:"header"`
	OverridePath bool           `toml:"override_path"`
	DialTimeout  string         `toml:"dial_timeout"`
}

// reading is what containerd's parser does not tell of one endpoint: which files it trusts, and which line said so.
type reading struct {
	from        string
	url         string
	skipVerify  bool
	ca          []string    // absolute paths, in the tree that is read
	client      [][2]string // likewise
	dialTimeout time.Duration
}

// readings reads a folder as containerd does: one reading per endpoint, in its order, the last host at the end. A hosts.toml that
// containerd drops counts as absent, as there; where says so.
func readings(dir, show string) []reading {
	file := filepath.Join(dir, "hosts.toml")
	data, err := os.ReadFile(file)
	if err != nil || len(data) == 0 {
		return []reading{certReading(dir, show)}
	}
	var h hostsFile
	if err := toml.Unmarshal(data, &h); err != nil {
		r := certReading(dir, show)
		r.from = fmt.Sprintf("%s (ignored: %v)", filepath.Join(show, "hosts.toml"), err)
		return []reading{r}
	}
	lines := tableLines(data)
	out := make([]reading, 0, len(lines)+1)
	for _, l := range lines {
		out = append(out, h.Host[l.url].reading(dir, l.url, fmt.Sprintf("%s:%d", filepath.Join(show, "hosts.toml"), l.line)))
	}
	return append(out, h.reading(dir, h.Server, filepath.Join(show, "hosts.toml")))
}

func (k hostKeys) reading(dir, url, from string) reading {
	r := reading{from: from, url: url, skipVerify: k.SkipVerify != nil && *k.SkipVerify}
	for _, ca := range stringsOf(k.CA) {
		r.ca = append(r.ca, absolute(dir, ca))
	}
	pairs, _ := k.Client.([]any)
	if one, ok := k.Client.(string); ok {
		pairs = []any{one}
	}
	for _, p := range pairs {
		switch files := stringsOf(p); len(files) {
		case 1:
			r.client = append(r.client, [2]string{absolute(dir, files[0]), absolute(dir, files[0])})
		case 2:
			r.client = append(r.client, [2]string{absolute(dir, files[0]), absolute(dir, files[1])})
		}
	}
	r.dialTimeout, _ = time.ParseDuration(k.DialTimeout) // what cannot be parsed makes containerd drop the file
	return r
}

func certReading(dir, show string) reading {
	r := reading{from: show}
	found := certFiles(os.DirFS(dir), "/")
	for _, ca := range found.ca {
		r.ca = append(r.ca, filepath.Join(dir, ca))
	}
	for _, c := range found.client {
		if c[1] == "" {
			c[1] = c[0]
		}
		r.client = append(r.client, [2]string{filepath.Join(dir, c[0]), filepath.Join(dir, c[1])})
	}
	return r
}

// tableLine is a host table and where it begins.
type tableLine struct {
	url  string
	line int
}

// tableLines lists the host tables in file order. Only explicit tables count, and a subtable of the table before it is not one.
// Source: containerd v2.4.2 core/remotes/docker/config/hosts.go getSortedHosts.
func tableLines(data []byte) []tableLine {
	var out []tableLine
	p := unstable.Parser{}
	p.Reset(data)
	last := ""
	for p.NextExpression() {
		e := p.Expression()
		if e.Kind != unstable.Table {
			continue
		}
		var parts []string
		var raw unstable.Range
		for it := e.Key(); it.Next(); {
			parts, raw = append(parts, string(it.Node().Data)), it.Node().Raw
		}
		if len(parts) < 2 || parts[0] != "host" || parts[1] == last {
			continue
		}
		last = parts[1]
		out = append(out, tableLine{last, 1 + bytes.Count(data[:raw.Offset], []byte("\n"))})
	}
	return out
}

// trust returns the digests of all certificates in the files.
func (r reading) trust() []string {
	var all []byte
	for _, f := range r.ca {
		data, _ := os.ReadFile(f) // a file that cannot be read fails the parser, which is asked first
		all = append(append(all, data...), '\n')
	}
	return runtimes.Digests(all)
}

// identity is the digest of the client certificate; of several the last, which is the one that was added to the others.
func (r reading) identity() string {
	if len(r.client) == 0 {
		return ""
	}
	last := r.client[len(r.client)-1]
	cert, _ := os.ReadFile(last[0])
	key, _ := os.ReadFile(last[1])
	return runtimes.IdentityDigest(cert, key)
}

func stringsOf(v any) []string {
	switch v := v.(type) {
	case string:
		return []string{v}
	case []any:
		var out []string
		for _, e := range v {
			if s, ok := e.(string); ok {
				out = append(out, s)
			}
		}
		return out
	default:
		return nil
	}
}

func absolute(dir, file string) string {
	if filepath.IsAbs(file) {
		return file
	}
	return filepath.Join(dir, file)
}

// shown joins the paths as the host sees them.
func shown(root string, files []string) string {
	out := make([]string, len(files))
	for i, f := range files {
		out[i] = strings.TrimPrefix(f, strings.TrimSuffix(root, "/"))
	}
	return strings.Join(out, ", ")
}
