package crio

import (
	"bytes"
	"errors"
	"fmt"
	"regexp"
	"slices"
	"strings"

	"github.com/BurntSushi/toml"
	"github.com/pelletier/go-toml/v2/unstable"
	"go.podman.io/image/v5/docker/reference"
)

// confFile is registries.conf as containers/image decodes it, as far as it decides who is asked; unknown keys do not count. Source:
// V2RegistriesConf and V1RegistriesConf in pkg/sysregistriesv2/system_registries_v2.go of go.podman.io/image v5.39.3.
type confFile struct {
	Registry   []confRegistry `toml:"registry"`
	Search     []string       `toml:"unqualified-search-registries"`
	Helpers    []string       `toml:"credential-helpers"`
	ShortNames string         `toml:"short-name-mode"`
	V1         confV1         `toml:"registries"`
}

type confRegistry struct {
	Prefix     string       `toml:"prefix"`
	Location   string       `toml:"location"`
	Insecure   bool         `toml:"insecure"`
	Blocked    bool         `toml:"blocked"`
	DigestOnly bool         `toml:"mirror-by-digest-only"`
	PullFrom   string       `toml:"pull-from-mirror"`
	Mirror     []confMirror `toml:"mirror"`
}

type confMirror struct {
	Location string `toml:"location"`
	Insecure bool   `toml:"insecure"`
	PullFrom string `toml:"pull-from-mirror"`
}

// confV1 is the form of before 2018, which the main file may still have.
type confV1 struct {
	Search, Insecure, Block confV1List
}

func (v confV1) isThere() bool {
	return v.Search.Registries != nil || v.Insecure.Registries != nil || v.Block.Registries != nil
}

type confV1List struct {
	Registries []string `toml:"registries"`
}

// entry is one [[registry]] of one file.
type entry struct {
	confRegistry
	file        string
	line        int   // 0: written in a form that has none
	mirrorLines []int // of each mirror, likewise
	late        bool  // its file is read after ours would be
}

// where is the entry as a person looks it up.
func (e entry) where() string { return at(e.file, e.line) }

// whereOf is where a location of the entry stands.
func (e entry) whereOf(location string) string {
	for i, m := range e.Mirror {
		if m.Location == location && i < len(e.mirrorLines) {
			return at(e.file, e.mirrorLines[i])
		}
	}
	return e.where()
}

func at(file string, line int) string {
	if line == 0 {
		return file
	}
	return fmt.Sprintf("%s:%d", file, line)
}

// says that the entry changes anything about the images that it matches.
func (e entry) says() bool {
	return e.Blocked || e.Insecure || len(e.Mirror) > 0 || e.Location != e.Prefix && e.Location != ""
}

// bad is a file with which containers/image loads nothing at all.
type bad struct {
	file string
	line int
	what string
}

// Error says what and where.
func (b *bad) Error() string { return at(b.file, b.line) + ": " + b.what }

// readConf reads one file. A drop-in must have the present form.
func readConf(file string, data []byte, dropIn bool) ([]entry, *bad) {
	var c confFile
	if err := toml.Unmarshal(data, &c); err != nil { // with the library of the parser, which lets other things pass than others
		return nil, syntax(file, err)
	}
	if c.V1.isThere() {
		return c.old(file, dropIn)
	}
	for _, registry := range c.Search {
		if !isHost(strings.TrimRight(registry, "/")) {
			return nil, &bad{file: file, what: fmt.Sprintf("unqualified-search-registries has %q, which is no host", registry)}
		}
	}
	if c.ShortNames != "" && c.ShortNames != "enforcing" && c.ShortNames != "permissive" && c.ShortNames != "disabled" {
		return nil, &bad{file: file, what: fmt.Sprintf("short-name-mode = %q is none of enforcing, permissive and disabled", c.ShortNames)}
	}
	lines := tableLines(data)
	var all []entry
	for i, r := range c.Registry {
		e := entry{confRegistry: r, file: file}
		if len(lines) == len(c.Registry) {
			e.line, e.mirrorLines = lines[i].line, lines[i].mirrors
		}
		if what := e.normalise(); what != "" {
			return nil, &bad{file, e.line, what}
		}
		all = append(all, e)
	}
	return all, contradiction(all)
}

func syntax(file string, err error) *bad {
	var parse toml.ParseError
	if errors.As(err, &parse) {
		what := parse.Message
		if what == "" { // it is in the text, after the line and the key
			_, what, _ = strings.Cut(strings.TrimPrefix(err.Error(), "toml: "), ": ")
		}
		return &bad{file, parse.Position.Line, what}
	}
	return &bad{file: file, what: strings.TrimPrefix(err.Error(), "toml: ")}
}

// isHost says that the parser takes a name for a host. Source: anchoredDomainRegexp there.
func isHost(name string) bool {
	return regexp.MustCompile("^" + reference.DomainRegexp.String() + "$").MatchString(name)
}

// old converts the form of before 2018.
func (c confFile) old(file string, dropIn bool) ([]entry, *bad) {
	if dropIn {
		return nil, &bad{file: file, what: "[registries.…] is the form of before 2018, which a drop-in must not have; write [[registry]]"}
	}
	if c.Registry != nil || c.Search != nil || c.Helpers != nil {
		return nil, &bad{file: file, what: "[registries.…], the form of before 2018, and the present one do not mix; write [[registry]]"}
	}
	var all []entry
	for _, name := range append(slices.Clone(c.V1.Block.Registries), c.V1.Insecure.Registries...) {
		name = strings.TrimRight(name, "/")
		e := entry{confRegistry: confRegistry{Prefix: name, Location: name}, file: file}
		e.Blocked, e.Insecure = slices.Contains(c.V1.Block.Registries, name), slices.Contains(c.V1.Insecure.Registries, name)
		all = append(all, e)
	}
	return all, nil
}

// normalise fills in what is left out, and says what makes the file unusable. Source: postProcessRegistries and loadConfigFile there.
func (e *entry) normalise() (wrong string) {
	if what := trim(&e.Prefix, &e.Location); what != "" {
		return what
	}
	wildcard := strings.HasPrefix(e.Prefix, "*.")
	switch {
	case e.Prefix == "" && e.Location == "":
		return "[[registry]] has neither prefix nor location"
	case e.Location == "" && !wildcard:
		return fmt.Sprintf("[[registry]] with prefix = %q has no location", e.Prefix)
	case wildcard && strings.ContainsAny(e.Prefix, "/@:"):
		return fmt.Sprintf("prefix = %q: nothing may follow the host name of a pattern", e.Prefix)
	case e.PullFrom != "":
		return "pull-from-mirror belongs into a [[registry.mirror]]"
	case e.Prefix == "":
		e.Prefix = e.Location
	}
	for i := range e.Mirror {
		m := &e.Mirror[i]
		if what := trim(&m.Location); what != "" {
			return what
		}
		switch {
		case m.Location == "":
			return fmt.Sprintf("a mirror of %s has no location", e.Prefix)
		case e.DigestOnly && m.PullFrom != "":
			return fmt.Sprintf("pull-from-mirror of the mirror %s and mirror-by-digest-only of %s exclude each other", m.Location, e.Prefix)
		case m.PullFrom != "" && m.PullFrom != "all" && m.PullFrom != "digest-only" && m.PullFrom != "tag-only":
			return fmt.Sprintf("pull-from-mirror = %q is none of all, digest-only and tag-only", m.PullFrom)
		}
	}
	return ""
}

func trim(locations ...*string) (wrong string) {
	for _, l := range locations {
		*l = strings.TrimRight(*l, "/")
		if strings.HasPrefix(*l, "http://") || strings.HasPrefix(*l, "https://") {
			return fmt.Sprintf("%q has a scheme, which registries.conf does not know; leave it out, and write insecure = true for plain HTTP", *l)
		}
	}
	return ""
}

// contradiction finds two entries of one file with one location that do not agree on how it may be asked.
func contradiction(all []entry) *bad {
	first := map[string]entry{}
	for _, e := range all {
		key := e.Location
		if key == "" {
			key = e.Prefix
		}
		other, known := first[key]
		if known && (other.Insecure != e.Insecure || other.Blocked != e.Blocked) {
			return &bad{e.file, e.line, fmt.Sprintf("%s is there twice, and once insecure or blocked and once not", key)}
		}
		if !known {
			first[key] = e
		}
	}
	return nil
}

// tables are where an entry stands: the lines of its [[registry]] and of each [[registry.mirror]].
type tables struct {
	line    int
	mirrors []int
}

// tableLines are the tables of all entries, in order.
func tableLines(data []byte) []tables {
	var out []tables
	p := unstable.Parser{}
	p.Reset(bytes.TrimPrefix(data, []byte("\ufeff")))
	for p.NextExpression() {
		e := p.Expression()
		if e.Kind != unstable.ArrayTable {
			continue
		}
		var key []string
		line := 0
		for it := e.Key(); it.Next(); {
			key = append(key, strings.ToLower(string(it.Node().Data)))
			line = 1 + bytes.Count(p.Data()[:it.Node().Raw.Offset], []byte("\n"))
		}
		switch name := strings.Join(key, "."); {
		case name == "registry":
			out = append(out, tables{line: line})
		case name == "registry.mirror" && len(out) > 0:
			last := &out[len(out)-1]
			last.mirrors = append(last.mirrors, line)
		}
	}
	return out
}
