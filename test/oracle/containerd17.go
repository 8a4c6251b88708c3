// Package oracle judges by other generations of the runtimes' parsers than the one that the production module links. The law of
// runtimes/runtimestest runs through them with the same generated intents.
package oracle

import (
	"context"
	"fmt"
	"io"
	"net/http"
	"net/url"
	"path/filepath"
	"reflect"
	"strings"

	"github.com/containerd/containerd/errdefs"
	"github.com/containerd/containerd/remotes/docker"
	"github.com/containerd/containerd/remotes/docker/config"
	"github.com/containerd/log"
	"github.com/mirrorlet/mirrorlet/runtimes"
	"github.com/sirupsen/logrus"
)

// Resolve17 returns what the parser of containerd 1.7.35 makes of the tree below root, through the folders facts.Roots, as its CRI puts
// the parser together. It takes the place of Resolve in a runtimestest.Subject. The parser has no dial timeout and no lines: DialTimeout,
// CA and From stay empty. Trust and Identity are read out of the HTTP client that the parser made, by trying the certificates of the
// folder on it. An error fails every pull of the registry.
func Resolve17(ctx context.Context, facts runtimes.Facts, root string, ref runtimes.Ref) ([]runtimes.Endpoint, error) {
	roots := make([]string, len(facts.Roots))
	for i, r := range facts.Roots {
		roots[i] = filepath.Join(root, r)
	}
	quiet := logrus.New()
	quiet.Out = io.Discard
	hosts, err := config.ConfigureHosts(log.WithLogger(ctx, logrus.NewEntry(quiet)), config.HostOptions{
		HostDir: hostDirFromRoots(roots),
	})(ref.Registry)
	if err != nil {
		return nil, fmt.Errorf("containerd 1.7 fails every pull from %s: %w", ref.Registry, err)
	}
	found, err := credentialsBelow(roots)
	if err != nil {
		return nil, err
	}
	endpoints := make([]runtimes.Endpoint, len(hosts))
	for i, h := range hosts {
		endpoints[i] = endpoint17(h, found, ref)
	}
	return withoutDouble(endpoints), nil
}

// hostDirFromRoots asks one root after the other until one has a folder. Source: containerd v1.7.35 pkg/cri/server/image_pull.go, where
// the function of that name is not exported.
func hostDirFromRoots(roots []string) func(string) (string, error) {
	return func(host string) (string, error) {
		for _, r := range roots {
			dir, err := config.HostDirFromRoot(r)(host)
			if dir != "" || err != nil && !errdefs.IsNotFound(err) {
				return dir, err
			}
		}
		return "", errdefs.ErrNotFound
	}
}

func endpoint17(h docker.RegistryHost, found credentials, ref runtimes.Ref) runtimes.Endpoint {
	resolves := h.Capabilities.Has(docker.HostCapabilityResolve)
	e := runtimes.Endpoint{
		URL:  runtimes.ManifestURL(h.Scheme+"://"+h.Host+h.Path, ref, resolves),
		Kind: runtimes.KindMirror, ResolvesTags: resolves, PlainHTTP: h.Scheme == "http", Header: header(h.Header),
	}
	if isProxy(h.Host, ref.Registry) {
		e.URL += "?" + url.Values{"ns": {ref.Registry}}.Encode()
	}
	if h.Host == runtimes.UpstreamHost(ref.Registry) && h.Path == "/v2" {
		e.Kind = runtimes.KindUpstream
	}
	if transport, ok := h.Client.Transport.(*http.Transport); ok {
		e.SkipVerify = transport.TLSClientConfig.InsecureSkipVerify
		e.Trust, e.Identity = found.trustedBy(transport), found.shownBy(transport)
	} else {
		// The fall-back from TLS to plain HTTP hides its transport. It is there for http:// with TLS keys, which Mirrorlet does not
		// write, and for the registry itself on the loopback, which containerd never verifies.
		e.SkipVerify = true
	}
	return e
}

// isProxy says whether containerd sends ?ns=. Source: containerd v1.7.35 remotes/docker/registry.go, where the method of that name is
// not exported.
func isProxy(host, registry string) bool {
	return registry != host && (registry != "docker.io" || host != "registry-1.docker.io")
}

func header(h http.Header) string {
	flat := map[string]string{}
	for key, values := range h {
		flat[key] = strings.Join(values, ", ")
	}
	return runtimes.HeaderDigest(flat)
}

// withoutDouble removes the last endpoint where it repeats the one before it: a single mirror without fallback is written both as table
// and as server, because containerd 1.6 ignores a file without tables.
func withoutDouble(all []runtimes.Endpoint) []runtimes.Endpoint {
	if n := len(all); n > 1 && reflect.DeepEqual(all[n-2], all[n-1]) {
		return all[:n-1]
	}
	return all
}
