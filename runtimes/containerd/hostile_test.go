package containerd

import (
	"context"
	"io"
	"os"
	"path/filepath"
	"testing"

	"github.com/containerd/containerd/v2/core/remotes/docker/config"
	"github.com/containerd/log"
	"github.com/mirrorlet/mirrorlet/runtimes"
	"github.com/sirupsen/logrus"
)

// A hosts.toml of the owner can hold anything. Reading one never panics, and finds as many endpoints as containerd's own parser.
func FuzzAnyHostsTomlIsReadAsContainerdReadsIt(f *testing.F) {
	for _, seed := range []string{
		"", "server = \"https://quay.io\"\n", "\ufeffserver = \"https://quay.io\"\n", "[host]\n", "[host.\"https://a\"]\n[host.\"https://b\"]\n[host.\"https://a\".header]\nx = \"y\"\n",
		"[host.\"https://a\"]\ncapabilities = [\"pull\", \"referrers\"]\n", "[host.\"https://a\"]\ncapabilities = [\"fly\"]\n", "[host.\"https://a\"]\ndial_timeout = 1\n",
		"[host.\"https://a\"]\ndial_timeout = \"1\"\n", "[[host.\"https://a\"]]\n", "host.\"https://a\".capabilities = [\"pull\"]\n", "[host]\n\"https://a\" = {capabilities = [\"pull\"]}\n",
		"[host.a.b.c]\n", "[host.'http://10.0.0.1:30020']\ndial_timeout = '200ms'\n", "[host.\"https://[::1]:5000/v2\"]\noverride_path = true\n", "ca = [1, \"a\"]\n", "client = [[\"a\"], [\"a\", \"b\", \"c\"]]\n",
		"[host.\"https://a\"]\nskip_verify = \"true\"\n", "[host.\"httpcache.local:5000\"]\n", "[host.\"\"]\n", "[host.\"https://a\"]\n[host.\"https://a\"]\n", "server = \"://\"\n", "[host.\"%\"]\n",
		"[host.\"https://a\"]\r\ncapabilities = [\"pull\"]\r\n", "[host . \"https://a\"]\n[host.\"https://a\".header]\n[host.\"https://b\"]\n", "x = 1\n[y]\nz = 2\n",
	} {
		f.Add([]byte(seed))
	}
	f.Fuzz(func(t *testing.T, content []byte) {
		root := t.TempDir()
		dir := filepath.Join(root, "certs.d", "quay.io")
		if err := os.MkdirAll(dir, 0o755); err != nil {
			t.Fatal(err)
		}
		if err := os.WriteFile(filepath.Join(dir, "hosts.toml"), content, 0o600); err != nil {
			t.Fatal(err)
		}
		quiet := logrus.New()
		quiet.Out = io.Discard
		ctx := log.WithLogger(context.Background(), logrus.NewEntry(quiet))
		hosts, refused := config.ConfigureHosts(ctx, config.HostOptions{HostDir: func(string) (string, error) { return dir, nil }})("quay.io")

		ref, err := runtimes.ParseRef("quay.io/a/b:c")
		if err != nil {
			t.Fatal(err)
		}
		got, err := Runtime{}.Resolve(ctx, runtimes.Facts{Roots: []string{"/certs.d"}, Target: "/certs.d", Version: "2.4.2"}, root, ref)
		if (err == nil) != (refused == nil) {
			t.Fatalf("containerd says %v, we say %v", refused, err)
		}
		if n := len(hosts); err == nil && len(got) != n && len(got) != n-1 { // without the double
			t.Fatalf("containerd finds %d endpoints, we find %d", n, len(got))
		}
		told := readings(dir, "/certs.d/quay.io")
		if dropped := len(hosts) == 1; refused == nil && !dropped && len(told) != len(hosts) {
			t.Fatalf("containerd finds %d endpoints, the reading %d", len(hosts), len(told))
		}
		if read(os.DirFS(root), "/certs.d/quay.io").hostsToml == malformed && refused == nil && len(hosts) > 1 {
			t.Fatal("containerd reads it, and we call it malformed")
		}
	})
}
