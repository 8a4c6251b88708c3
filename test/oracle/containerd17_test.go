package oracle_test

import (
	"context"
	"maps"
	"os"
	"path/filepath"
	"reflect"
	"slices"
	"testing"

	"github.com/mirrorlet/mirrorlet/runtimes"
	"github.com/mirrorlet/mirrorlet/runtimes/containerd"
	"github.com/mirrorlet/mirrorlet/runtimes/runtimestest"
	"github.com/mirrorlet/mirrorlet/test/lab"
	"github.com/mirrorlet/mirrorlet/test/oracle"
)

const certsD = "/etc/containerd/certs.d"

func TestTheLawHoldsUnderTheParserOfContainerd17(t *testing.T) {
	n := 10_000
	if testing.Short() {
		n = 500
	}
	runtimestest.Subject{
		Runtime: containerd.Runtime{},
		Facts:   runtimes.Facts{Runtime: "containerd", Version: "1.7.35", Target: certsD, Roots: []string{certsD}},
		Resolve: oracle.Resolve17,
		// dial_timeout came with containerd 2.1; earlier ones ignore the key.
		Blank: func(e *runtimes.Endpoint) { e.DialTimeout = 0 },
	}.Run(t, 1, n)
}

// TestBothGenerationsOfTheParserAgree holds for files of anybody's hand, except where 1.x and 2.x are known to differ.
func TestBothGenerationsOfTheParserAgree(t *testing.T) {
	for name, files := range handwritten(t) {
		t.Run(name, func(t *testing.T) {
			old, oldErr := resolve(t, oracle.Resolve17, files)
			new, newErr := resolve(t, containerd.Runtime{}.Resolve, files)
			if (oldErr == nil) != (newErr == nil) || !slices.EqualFunc(old, new, same) {
				t.Errorf("1.7: %+v, %v\n2.x: %+v, %v", old, oldErr, new, newErr)
			}
		})
	}
}

func TestTheGenerationsDifferWhereTheyAreKnownTo(t *testing.T) {
	for name, files := range map[string]map[string]string{
		"dotted keys are mirrors in 1.7 only":                    {"r.io/hosts.toml": "host.'https://m.io'.capabilities = ['pull']\n"},
		"an IPv6 address in a table drops the whole file in 1.7": {"r.io/hosts.toml": "[host.'https://[fd00::1]:5000']\n"},
		"referrers drops the whole file in 1.7":                  {"r.io/hosts.toml": "[host.'https://m.io']\ncapabilities = ['pull', 'referrers']\n"},
		"a byte order mark is accepted by 1.7 only":              {"r.io/hosts.toml": "\ufeff[host.'https://m.io']\n"},
	} {
		t.Run(name, func(t *testing.T) {
			old, oldErr := resolve(t, oracle.Resolve17, files)
			new, newErr := resolve(t, containerd.Runtime{}.Resolve, files)
			if oldErr != nil || newErr != nil || len(old) == len(new) {
				t.Errorf("1.7: %+v, %v\n2.x: %+v, %v", old, oldErr, new, newErr)
			}
		})
	}
}

func TestAnEndpointOfTheOracleTellsAllThatTheParserKnows(t *testing.T) {
	files := handwritten(t)["every key"]
	got, err := resolve(t, oracle.Resolve17, files)
	if err != nil || len(got) != 2 {
		t.Fatalf("got %+v, %v", got, err)
	}
	want := runtimes.Endpoint{
		URL: "https://m.io:5000/hub/v2/a/b/manifests/{digest}?ns=r.io", Kind: runtimes.KindMirror, SkipVerify: true,
		Trust:    runtimes.Digests([]byte(files["r.io/ca.pem"])),
		Identity: runtimes.IdentityDigest([]byte(files["r.io/client.pem"]), []byte(files["r.io/client.key"])),
		Header:   runtimes.HeaderDigest(map[string]string{"X-Site": "1, 2"}),
	}
	if !same(got[0], want) || len(want.Trust) != 1 || got[1].Kind != runtimes.KindUpstream || got[1].URL != "https://r.io/v2/a/b/manifests/v1" {
		t.Errorf("got %+v\nwant %+v, and r.io itself", got, want)
	}
}

// handwritten is a handful of folders by name; the paths are below certs.d.
func handwritten(t *testing.T) map[string]map[string]string {
	ca, err := lab.NewCA("an authority")
	if err != nil {
		t.Fatal(err)
	}
	client, err := ca.Client("a client")
	if err != nil {
		t.Fatal(err)
	}
	pems := map[string]string{"r.io/ca.pem": string(ca.PEM), "r.io/client.pem": string(client.Cert), "r.io/client.key": string(client.Key)}
	with := func(toml string) map[string]string {
		all := maps.Clone(pems)
		all["r.io/hosts.toml"] = toml
		return all
	}
	return map[string]map[string]string{
		"nothing at all":                           {},
		"an empty folder":                          {"r.io/.keep": ""},
		"a default for all":                        {"_default/hosts.toml": "[host.'http://10.1.2.3:5000']\n"},
		"an empty folder shadows the default":      {"_default/hosts.toml": "[host.'http://10.1.2.3:5000']\n", "r.io/.keep": ""},
		"order is that of the file":                with("[host.'https://z.io']\n[host.'https://a.io']\n[host.'https://m.io']\n"),
		"a mirror that only pulls":                 with("[host.'https://m.io']\ncapabilities = ['pull']\n"),
		"a server that takes the upstream's place": with("server = 'https://m.io/v2/proxy'\noverride_path = true\n[host.'https://n.io/x']\n"),
		"a single mirror written twice":            with("server = 'https://m.io'\n[host.'https://m.io']\n"),
		"every key": with("[host.'https://m.io:5000/hub']\ncapabilities = ['pull']\nca = 'ca.pem'\nclient = [['client.pem', 'client.key']]\n" +
			"skip_verify = true\ndial_timeout = '1s'\n[host.'https://m.io:5000/hub'.header]\nX-Site = ['1', '2']\n"),
		"certificates in docker's manner": {"r.io/ca.crt": string(ca.PEM), "r.io/client.cert": string(client.Cert), "r.io/client.key": string(client.Key)},
		"a CA that is not there":          {"r.io/hosts.toml": "[host.'https://m.io']\nca = 'gone.pem'\n"},
		"what is no TOML":                 {"r.io/hosts.toml": "this is = not = toml", "r.io/ca.crt": string(ca.PEM)},
		"a folder that is a file":         {"r.io": ""},
	}
}

// parser is what both generations are called by.
type parser func(ctx context.Context, facts runtimes.Facts, root string, ref runtimes.Ref) ([]runtimes.Endpoint, error)

// resolve asks for r.io/a/b:v1 in a tree with these files below certs.d.
func resolve(t *testing.T, by parser, files map[string]string) ([]runtimes.Endpoint, error) {
	t.Helper()
	root := t.TempDir()
	for name, content := range files {
		file := filepath.Join(root, certsD, name)
		if err := os.MkdirAll(filepath.Dir(file), 0o755); err != nil {
			t.Fatal(err)
		}
		if err := os.WriteFile(file, []byte(content), 0o600); err != nil {
			t.Fatal(err)
		}
	}
	facts := runtimes.Facts{Runtime: "containerd", Target: certsD, Roots: []string{certsD}}
	return by(t.Context(), facts, root, runtimes.Ref{Registry: "r.io", Repository: "a/b", Tag: "v1"})
}

// same compares what both generations tell.
func same(a, b runtimes.Endpoint) bool {
	for _, e := range []*runtimes.Endpoint{&a, &b} {
		e.CA, e.From, e.DialTimeout = "", "", 0
	}
	return reflect.DeepEqual(a, b)
}
