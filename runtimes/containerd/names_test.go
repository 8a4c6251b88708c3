package containerd_test

import (
	"context"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"testing"

	"github.com/mirrorlet/mirrorlet/agent/config"
	"github.com/mirrorlet/mirrorlet/runtimes"
	"github.com/mirrorlet/mirrorlet/runtimes/containerd"
	"github.com/pelletier/go-toml/v2"
	"gopkg.in/yaml.v3"
)

// names are the words that a user puts into a document and that reach a file or a file's name.
type names struct{ prefix, location, apiRoot, header, value, password string }

// hostile is what could break out of a file, its name, or a line.
var hostile = []string{
	"../etc", "..", ".", "/", "_default", "_backup", "a/../../b", "quay.io\x00", "quay.io\n[host.\"https://evil\"]", "quay.io\"]\nserver = \"https://evil\"",
	`quay.io"]`, "quay.io']", "quay.io\\", "quay.io\r\n", "quäy.io", "quay.io\u2028x", "quay.io\u202e", "xn--quy-qla.io", "quay.io:443", "quay.io:0", "quay.io:99999",
	"quay.io:5000_", "quay.io_5000_", "[::1]", "[::1]:5000", "[fe80::1%eth0]", "::1", "[::ffff:1.2.3.4]:5000", "1.2.3.4:5000", "QUAY.IO", "quay.io.", ".quay.io",
	"*", "**", "*.io", "localhost", "localhost:5000", "$(id)", "`id`", "a b", "a\tb", "#", "a#b", "a=b", "\ufeffquay.io", "hosts.toml", "docker.io", "index.docker.io",
	strings.Repeat("a.", 120) + "io", strings.Repeat("a", 300), "-a.io", "a-.io", "a..io", "%2e%2e", "%00", "quay.io?x=y", "quay.io#f", "user:pw@quay.io", "https://quay.io",
}

// document writes the names as YAML, so that every one of them arrives as it is.
func (n names) document() []byte {
	mirror := map[string]any{"headers": map[string]string{n.header: n.value}, "auth": map[string]any{"secretRef": map[string]string{"name": "robot"}}}
	if n.apiRoot != "" {
		mirror["apiRoot"] = n.apiRoot
	} else {
		mirror["location"] = n.location
	}
	config, err := yaml.Marshal(map[string]any{
		"apiVersion": "mirrorlet.dev/v1alpha1", "kind": "MirrorConfig", "metadata": map[string]string{"name": "cluster"},
		"spec": map[string]any{"registries": []any{map[string]any{"prefix": n.prefix, "mirrors": []any{mirror}}}},
	})
	secret, err2 := yaml.Marshal(map[string]any{
		"apiVersion": "v1", "kind": "Secret", "metadata": map[string]string{"name": "robot"},
		"stringData": map[string]string{"username": "robot", "password": n.password},
	})
	if err != nil || err2 != nil {
		return nil // no YAML can say it
	}
	return slices.Concat(config, []byte("---\n"), secret)
}

// staysInside checks that whatever is made of the names is one registry's folder, with a hosts.toml that says what was meant and no more.
func staysInside(t *testing.T, n names, version string) {
	t.Helper()
	documents, _ := config.Parse("config.yaml", n.document())
	intent := documents.Compile(config.Options{}).Intent
	facts, root := reading(version), t.TempDir()
	files, problems := containerd.Runtime{}.Render(facts, os.DirFS(root), intent)
	folders := map[string]bool{}
	for _, f := range files {
		if filepath.Clean(f.Path) != f.Path || filepath.Dir(filepath.Dir(f.Path)) != facts.Target || strings.ContainsAny(f.Path, "\x00\n") {
			t.Fatalf("%q leads to %q", n, f.Path)
		}
		folders[filepath.Dir(f.Path)] = true
		must(t, os.MkdirAll(filepath.Join(root, filepath.Dir(f.Path)), 0o755))
		must(t, os.WriteFile(filepath.Join(root, f.Path), f.Content, 0o600))
		if filepath.Base(f.Path) == "hosts.toml" {
			says(t, n, f)
		}
	}
	if len(folders) > len(intent.Registries) {
		t.Fatalf("%q: %d folders for %d registries", n, len(folders), len(intent.Registries))
	}
	for _, r := range intent.Registries {
		obeyed(t, n, facts, root, intent, r, problems)
	}
}

// says checks that a file has the tables and headers of one mirror, as values, and nothing else.
func says(t *testing.T, n names, f runtimes.File) {
	t.Helper()
	var all map[string]any
	if err := toml.Unmarshal(f.Content, &all); err != nil {
		t.Fatalf("%q makes a file that is no TOML: %v\n%s", n, err, f.Content)
	}
	hosts, _ := all["host"].(map[string]any)
	if len(all) != 1 || len(hosts) != 1 {
		t.Fatalf("%q makes more than one table:\n%s", n, f.Content)
	}
	for _, h := range hosts {
		header, _ := h.(map[string]any)["header"].(map[string]any)
		if len(header) > 2 || len(header) == 2 && header[n.header] != n.value {
			t.Fatalf("%q makes the headers %q", n, header)
		}
	}
}

// obeyed asks containerd's parser, for which a name in its own file is not another one's either.
func obeyed(t *testing.T, n names, facts runtimes.Facts, root string, intent runtimes.Intent, r runtimes.Registry, problems []runtimes.Problem) {
	t.Helper()
	name := r.Prefix
	if name == "*" {
		name = "registry.invalid"
	}
	ref, err := runtimes.ParseRef(name + "/a/b:c")
	if err != nil || len(problems) > 0 && slices.ContainsFunc(problems, func(p runtimes.Problem) bool { return p.Reason.Effect() != runtimes.Noted }) {
		return
	}
	got, err := containerd.Runtime{}.Resolve(context.Background(), facts, root, ref)
	if err == nil {
		err = runtimes.Obeys(ref, got, intent.Endpoints(ref))
	}
	if err != nil {
		t.Fatalf("%q: %v", n, err)
	}
}

func must(t *testing.T, err error) {
	t.Helper()
	if err != nil {
		t.Fatal(err)
	}
}

// at puts one hostile word at each place where a name can stand.
func at(word string) []names {
	plain := names{"quay.io", "https://m.example.com", "", "X-A", "a", "secret"}
	var out []names
	for _, set := range []func(n *names){
		func(n *names) { n.prefix = word },
		func(n *names) { n.location = word },
		func(n *names) { n.location = "https://" + word },
		func(n *names) { n.location = "https://m.example.com/" + word },
		func(n *names) { n.apiRoot = "https://m.example.com/" + word + "/v2" },
		func(n *names) { n.header = word },
		func(n *names) { n.value = word },
		func(n *names) { n.password = word },
	} {
		n := plain
		set(&n)
		out = append(out, n)
	}
	return out
}

func TestNoNameBreaksOutOfItsFile(t *testing.T) {
	for _, word := range hostile {
		for _, n := range at(word) {
			staysInside(t, n, "2.4.2")
			staysInside(t, n, "1.7.35")
		}
	}
}

func FuzzNoNameBreaksOutOfItsFile(f *testing.F) {
	for _, word := range hostile {
		for _, n := range at(word) {
			f.Add(n.prefix, n.location, n.apiRoot, n.header, n.value, n.password)
		}
	}
	f.Fuzz(func(t *testing.T, prefix, location, apiRoot, header, value, password string) {
		staysInside(t, names{prefix, location, apiRoot, header, value, password}, "2.4.2")
	})
}
