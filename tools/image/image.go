package main

import (
	"archive/tar"
	"bytes"
	"compress/gzip"
	"io"
	"time"

	v1 "github.com/google/go-containerregistry/pkg/v1"
	"github.com/google/go-containerregistry/pkg/v1/empty"
	"github.com/google/go-containerregistry/pkg/v1/mutate"
	"github.com/google/go-containerregistry/pkg/v1/tarball"
	"github.com/google/go-containerregistry/pkg/v1/types"
)

// labels say what the image is, by the keys of the OCI image specification (opencontainers/image-spec annotations.md).
func labels(version, revision string) map[string]string {
	l := map[string]string{
		"org.opencontainers.image.title":       "mirrorlet",
		"org.opencontainers.image.description": "Makes the container runtime of each node use your registry mirrors, and proves it",
		"org.opencontainers.image.source":      "https://github.com/mirrorlet/mirrorlet",
		"org.opencontainers.image.licenses":    "Apache-2.0",
		"org.opencontainers.image.version":     version,
	}
	if revision != "" {
		l["org.opencontainers.image.revision"] = revision
	}
	return l
}

// newImage is the image of one platform: the program at /mirrorlet, and nothing else. It runs as root, because the agent is the
// root of a node in all that it does.
func newImage(program []byte, platform v1.Platform, labels map[string]string, created time.Time) (v1.Image, error) {
	layer, err := newLayer(program, created)
	if err != nil {
		return nil, err
	}
	base := mutate.ConfigMediaType(mutate.MediaType(empty.Image, types.OCIManifestSchema1), types.OCIConfigJSON)
	base, err = mutate.ConfigFile(base, &v1.ConfigFile{
		OS: platform.OS, Architecture: platform.Architecture, Created: v1.Time{Time: created},
		RootFS: v1.RootFS{Type: "layers"},
		Config: v1.Config{User: "0:0", WorkingDir: "/", Entrypoint: []string{"/mirrorlet"}, Labels: labels},
	})
	if err != nil {
		return nil, err
	}
	return mutate.Append(base, mutate.Addendum{
		Layer: layer, History: v1.History{Created: v1.Time{Time: created}, CreatedBy: "make image"}, MediaType: types.OCILayer,
	})
}

func newLayer(program []byte, created time.Time) (v1.Layer, error) {
	var b bytes.Buffer
	w := tar.NewWriter(&b)
	header := &tar.Header{Typeflag: tar.TypeReg, Name: "mirrorlet", Mode: 0o755, Size: int64(len(program)), ModTime: created, Format: tar.FormatUSTAR}
	if err := w.WriteHeader(header); err != nil {
		return nil, err
	}
	if _, err := w.Write(program); err != nil {
		return nil, err
	}
	if err := w.Close(); err != nil {
		return nil, err
	}
	open := func() (io.ReadCloser, error) { return io.NopCloser(bytes.NewReader(b.Bytes())), nil }
	return tarball.LayerFromOpener(open, tarball.WithMediaType(types.OCILayer), tarball.WithCompressionLevel(gzip.BestCompression), tarball.WithCompressedCaching)
}

// newIndex is one image for all platforms. It is an index even of one, so that all who handle it meet one form.
func newIndex(images []v1.Image, platforms []v1.Platform) v1.ImageIndex {
	var all []mutate.IndexAddendum
	for i, image := range images {
		all = append(all, mutate.IndexAddendum{Add: image, Descriptor: v1.Descriptor{Platform: &platforms[i]}})
	}
	return mutate.AppendManifests(mutate.IndexMediaType(empty.Index, types.OCIImageIndex), all...)
}
