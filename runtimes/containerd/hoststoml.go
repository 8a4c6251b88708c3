package containerd

import (
	"bytes"
	"encoding/json"
	"fmt"
	"maps"
	"slices"
	"strings"
)

// entry is the root or one host table of a hosts.toml. Every field but url and server is a key of it; the zero value writes none.
type entry struct {
	url          string // of the table
	server       string // of the root
	capabilities []string
	ca           []string
	client       [][2]string // certificate and key, "" for a key that is in the certificate's file
	skipVerify   bool
	overridePath bool
	dialTimeout  string
	header       map[string]string
}

// write appends the entry; table is its name, "" for the root.
func (e entry) write(b *strings.Builder, table string) {
	header, indent := "header", ""
	if table != "" {
		fmt.Fprintf(b, "[%s]\n", table)
		header, indent = table+".header", "  "
	}
	line := func(key, value string) { fmt.Fprintf(b, "%s%s = %s\n", indent, key, value) }
	if e.server != "" && table == "" {
		line("server", quote(e.server))
	}
	if len(e.capabilities) > 0 {
		line("capabilities", list(e.capabilities))
	}
	if len(e.ca) > 0 {
		line("ca", list(e.ca))
	}
	if len(e.client) > 0 {
		line("client", clientPairs(e.client))
	}
	if e.skipVerify {
		line("skip_verify", "true")
	}
	if e.overridePath {
		line("override_path", "true")
	}
	if e.dialTimeout != "" {
		line("dial_timeout", quote(e.dialTimeout))
	}
	if len(e.header) == 0 {
		return
	}
	fmt.Fprintf(b, "%s[%s]\n", indent, header)
	for _, key := range slices.Sorted(maps.Keys(e.header)) {
		fmt.Fprintf(b, "%s  %s = %s\n", indent, quote(key), quote(e.header[key]))
	}
}

// clientPairs is the form that names certificate and key in separate files; ["a.cert", "a.key"] would mean two files that hold both
// (spegel-org/spegel#413).
func clientPairs(all [][2]string) string {
	out := make([]string, len(all))
	for i, p := range all {
		if p[1] == "" {
			p[1] = p[0] // one file with both; arrays of mixed types are too new for the parser of 1.6
		}
		out[i] = list(p[:])
	}
	return "[" + strings.Join(out, ", ") + "]"
}

func list(all []string) string {
	out := make([]string, len(all))
	for i, s := range all {
		out[i] = quote(s)
	}
	return "[" + strings.Join(out, ", ") + "]"
}

// quote writes a TOML basic string. What JSON escapes, TOML reads alike; DEL is the one character that JSON lets stand and TOML does not.
func quote(s string) string {
	var b bytes.Buffer
	enc := json.NewEncoder(&b)
	enc.SetEscapeHTML(false)
	_ = enc.Encode(s) // a string always encodes
	return strings.ReplaceAll(strings.TrimSuffix(b.String(), "\n"), "\x7f", `\u007f`)
}
