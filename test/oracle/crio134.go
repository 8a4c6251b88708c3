//go:build !cgo

// With cgo this does not link: two generations of containers/storage bring the same function in C along.

package oracle

import (
	"cmp"
	"context"
	"crypto/tls"
	"errors"
	"fmt"
	"io/fs"
	"net/http"
	"os"
	"path/filepath"
	"strings"

	"github.com/containers/image/v5/docker/reference"
	"github.com/containers/image/v5/pkg/sysregistriesv2"
	"github.com/containers/image/v5/pkg/tlsclientconfig"
	"github.com/containers/image/v5/types"
	"github.com/mirrorlet/mirrorlet/runtimes"
)

// ResolveCRIO134 returns what containers/image v5.35.0, which CRI-O 1.34 links, makes of the tree below root. It takes the place of Resolve in
// a runtimestest.Subject. CA and From stay empty. Trust and Identity are read out of the TLS config that the library made, by trying the
// certificates of the tree on it. An error fails every pull of the image.
func ResolveCRIO134(_ context.Context, _ runtimes.Facts, root string, ref runtimes.Ref) ([]runtimes.Endpoint, error) {
	sysregistriesv2.InvalidateCache()
	if ref.Digest != "" {
		ref.Tag = ""
	}
	named, err := reference.ParseNormalizedNamed(ref.String())
	if err != nil {
		return nil, err
	}
	registry, err := registry134(root, named.Name())
	if err != nil {
		return nil, err
	}
	sources := []sysregistriesv2.PullSource{{Reference: named}}
	if registry != nil {
		if sources, err = registry.PullSourcesFromReference(named); err != nil {
			return nil, err
		}
	}
	var endpoints []runtimes.Endpoint
	for _, s := range sources {
		physical, err := registry134(root, s.Reference.Name())
		if err != nil {
			return nil, err
		}
		if physical != nil && physical.Blocked { // newDockerClient in docker/docker_client.go there
			continue
		}
		e, err := endpoint134(root, s, ref)
		if err != nil {
			return nil, err
		}
		endpoints = append(endpoints, e)
	}
	return endpoints, nil
}

// registry134 finds the entry for a name in the files of the system and in the drop-ins of root, which are read after them: the longest
// prefix, and of two as long the later.
func registry134(root, name string) (*sysregistriesv2.Registry, error) {
	main := filepath.Join(root, "etc/containers/registries.conf")
	if _, err := os.Stat(main); errors.Is(err, fs.ErrNotExist) {
		main = os.DevNull
	}
	system, err := sysregistriesv2.FindRegistry(&types.SystemContext{
		SystemRegistriesConfPath: main, SystemRegistriesConfDirPath: filepath.Join(root, "etc/containers/registries.conf.d"),
	}, name)
	if err != nil {
		return nil, err
	}
	own, err := sysregistriesv2.FindRegistry(&types.SystemContext{
		SystemRegistriesConfPath: os.DevNull, SystemRegistriesConfDirPath: filepath.Join(root, "root/.config/containers/registries.conf.d"),
	}, name)
	if err != nil || own != nil && (system == nil || len(own.Prefix) >= len(system.Prefix)) {
		return own, err
	}
	return system, nil
}

func endpoint134(root string, s sysregistriesv2.PullSource, ref runtimes.Ref) (runtimes.Endpoint, error) {
	host, path := reference.Domain(s.Reference), reference.Path(s.Reference)
	insecure := s.Endpoint.Insecure || runtimes.IsLoopback(ref.Registry) // isSecureIndex in internal/storage/image.go of cri-o v1.34.0
	config := &tls.Config{MinVersion: tls.VersionTLS12}
	folder := certs134(root, host)
	if err := tlsclientconfig.SetupCertificates(folder, config); err != nil {
		return runtimes.Endpoint{}, err
	}
	config.Certificates = config.Certificates[:min(1, len(config.Certificates))] // of several the first that suits
	found, err := credentialsBelow([]string{folder})
	if err != nil {
		return runtimes.Endpoint{}, err
	}
	transport := &http.Transport{TLSClientConfig: config}
	e := runtimes.Endpoint{
		URL:  fmt.Sprintf("https://%s/v2/%s/manifests/%s", runtimes.UpstreamHost(host), path, cmp.Or(ref.Digest, ref.Tag)),
		Kind: runtimes.KindMirror, ResolvesTags: s.Endpoint.PullFromMirror != sysregistriesv2.MirrorByDigestOnly,
		Insecure: insecure, SkipVerify: insecure, OfHost: true, Trust: found.trustedBy(transport), Identity: found.shownBy(transport),
	}
	if insecure && strings.HasSuffix(host, ":80") {
		e.URL, e.PlainHTTP = "http"+strings.TrimPrefix(e.URL, "https"), true
	}
	if s.Reference.Name() == ref.Name() {
		e.Kind = runtimes.KindUpstream
	}
	return e, nil
}

// certs134 is dockerCertDir in docker/docker_client.go there, for a process of root.
func certs134(root, host string) string {
	dir := ""
	for _, folder := range []string{"root/.config/containers/certs.d", "etc/containers/certs.d", "etc/docker/certs.d"} {
		dir = filepath.Join(root, folder, host)
		if _, err := os.Stat(dir); err == nil {
			break
		}
	}
	return dir
}
