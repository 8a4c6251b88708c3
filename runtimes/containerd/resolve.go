package containerd

import (
	"context"
	"fmt"
	"io"
	"net/http"
	"net/url"
	"path/filepath"
	"reflect"
	"strings"

	"github.com/containerd/containerd/v2/core/remotes/docker"
	"github.com/containerd/containerd/v2/core/remotes/docker/config"
	"github.com/containerd/errdefs"
	"github.com/containerd/log"
	"github.com/mirrorlet/mirrorlet/runtimes"
	"github.com/sirupsen/logrus"
)

// Resolve asks containerd's own parser what it makes of the tree below root, through the folders that the daemon of facts searches.
// An error is what fails every pull of the registry, such as a CA file that is not there; a file that containerd drops with a line in
// its log is no error, but said in From.
func (Runtime) Resolve(ctx context.Context, facts runtimes.Facts, root string, ref runtimes.Ref) ([]runtimes.Endpoint, error) {
	dir, err := hostDir(root, facts.Roots, ref.Registry)
	if err != nil {
		return nil, err
	}
	quiet := logrus.New()
	quiet.Out = io.Discard
	hosts, err := config.ConfigureHosts(log.WithLogger(ctx, logrus.NewEntry(quiet)), config.HostOptions{
		HostDir: func(string) (string, error) { return dir, nil },
	})(ref.Registry)
	if err != nil {
		return nil, fmt.Errorf("containerd fails every pull from %s: %w", ref.Registry, err)
	}
	told := []reading{{from: "containerd's default"}}
	if dir != "" {
		told = readings(dir, shown(root, []string{dir}))
	}
	if len(told) != len(hosts) { // it parses as TOML, and yet the parser dropped it: an unknown capability, a time without a unit
		told = []reading{certReading(dir, shown(root, []string{dir}))}
		told[0].from += " (hosts.toml is ignored: containerd does not know a value in it)"
	}
	if len(told) != len(hosts) { // the file is read twice, by containerd's parser and by us
		return nil, fmt.Errorf("%s was changed, or could not be read, while it was looked at; try again", shown(root, []string{dir}))
	}
	endpoints := make([]runtimes.Endpoint, len(hosts))
	for i, h := range hosts {
		endpoints[i] = endpoint(h, told[i], facts, root, ref)
	}
	return withoutDouble(endpoints), nil
}

// hostDir is the folder that containerd chooses: in the first root that has any for the registry. A root is taken literally; a daemon
// that splits a list of them has several roots in its Facts. Source: containerd v2.4.2 internal/cri/server/images/image_pull.go
// hostDirFromRoots.
func hostDir(root string, roots []string, registry string) (string, error) {
	for _, r := range roots {
		dir, err := config.HostDirFromRoot(filepath.Join(root, r))(registry)
		if dir != "" {
			return dir, nil
		}
		if err != nil && !errdefs.IsNotFound(err) {
			return "", fmt.Errorf("containerd fails every pull from %s: %w", registry, err)
		}
	}
	return "", nil
}

func endpoint(h docker.RegistryHost, told reading, facts runtimes.Facts, root string, ref runtimes.Ref) runtimes.Endpoint {
	resolves := h.Capabilities.Has(docker.HostCapabilityResolve)
	e := runtimes.Endpoint{
		URL:  runtimes.ManifestURL(h.Scheme+"://"+h.Host+h.Path, ref, resolves) + namespace(h.Host, ref.Registry),
		Kind: runtimes.KindMirror, ResolvesTags: resolves, PlainHTTP: h.Scheme == "http",
		CA: shown(root, told.ca), Trust: told.trust(), Identity: told.identity(), Header: header(h.Header), From: told.from,
		SkipVerify: told.skipVerify,
	}
	if transport, ok := h.Client.Transport.(*http.Transport); ok {
		e.SkipVerify = transport.TLSClientConfig.InsecureSkipVerify
	} else if told.url == "" {
		e.SkipVerify = true // the fall-back to plain HTTP of a loopback registry, whose certificate containerd does not verify
	}
	if h.Host == runtimes.UpstreamHost(ref.Registry) && h.Path == "/v2" {
		e.Kind = runtimes.KindUpstream
	}
	if !older(facts.Version, 2, 1) { // dial_timeout came with 2.1 (containerd/containerd#11106); earlier ones ignore it
		e.DialTimeout = told.dialTimeout
	}
	return e
}

// namespace is the query by which a mirror learns which registry is meant. Source: containerd v2.4.2 core/remotes/docker/registry.go
// isProxy, resolver.go addNamespace.
func namespace(host, registry string) string {
	if host == runtimes.UpstreamHost(registry) || host == registry {
		return ""
	}
	return "?" + url.Values{"ns": {registry}}.Encode()
}

func header(h http.Header) string {
	flat := map[string]string{}
	for key, values := range h {
		flat[key] = strings.Join(values, ", ")
	}
	return runtimes.HeaderDigest(flat)
}

// withoutDouble removes the last endpoint where it repeats the one before it: Render writes a single mirror both as server and as
// table.
func withoutDouble(all []runtimes.Endpoint) []runtimes.Endpoint {
	if len(all) < 2 {
		return all
	}
	a, b := all[len(all)-2], all[len(all)-1]
	a.From, b.From, a.Kind, b.Kind = "", "", "", ""
	if reflect.DeepEqual(a, b) {
		return all[:len(all)-1]
	}
	return all
}
