package containerd_test

import (
	"encoding/pem"
	"net/http"
	"net/http/httptest"
	"os"
	"path/filepath"
	"strings"
	"testing"

	"github.com/containerd/containerd/v2/core/remotes/docker/config"
	"github.com/rogpeppe/go-internal/txtar"

	"github.com/mirrorlet/mirrorlet/runtimes"
	"github.com/mirrorlet/mirrorlet/runtimes/containerd"
)

// The very client that containerd would use shakes hands with a real server: with the mirror's CA it trusts it, without it does not.
func TestTheCAOfAMirrorIsProvenByAHandshake(t *testing.T) {
	server := httptest.NewTLSServer(http.NotFoundHandler())
	defer server.Close()
	own := pem.EncodeToMemory(&pem.Block{Type: "CERTIFICATE", Bytes: server.Certificate().Raw})
	for name, c := range map[string]struct {
		tls   runtimes.TLS
		never runtimes.Fallback
		trust bool
	}{
		"a mirror with its CA is trusted":                       {tls: runtimes.TLS{CA: own}, trust: true},
		"a mirror with its CA in the server's place is trusted": {tls: runtimes.TLS{CA: own}, never: runtimes.Never, trust: true},
		"a mirror that is not verified is trusted":              {tls: runtimes.TLS{SkipVerify: true}, trust: true},
		"a mirror without its CA is not trusted":                {},
	} {
		t.Run(name, func(t *testing.T) {
			root, facts := t.TempDir(), reading("2.4.2")
			files, _ := containerd.Runtime{}.Render(facts, os.DirFS(root), runtimes.Intent{Registries: []runtimes.Registry{{
				Prefix: "quay.io", Fallback: c.never, From: "a test",
				Mirrors: []runtimes.Mirror{{Scheme: "https", Host: strings.TrimPrefix(server.URL, "https://"), TLS: c.tls}},
			}}})
			for _, f := range files {
				place(t, filepath.Join(root, f.Path), txtar.File{Name: f.Path, Data: f.Content})
			}
			hosts, err := config.ConfigureHosts(t.Context(), config.HostOptions{HostDir: config.HostDirFromRoot(root + certsD)})("quay.io")
			if err != nil {
				t.Fatal(err)
			}
			answer, err := hosts[0].Client.Get(server.URL)
			if err == nil {
				answer.Body.Close()
			}
			if (err == nil) != c.trust {
				t.Errorf("the handshake: %v", err)
			}
		})
	}
}
