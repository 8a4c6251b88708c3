package main

import (
	"archive/tar"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"os"
	"path/filepath"
	"strings"
	"time"

	"github.com/distribution/reference"
	v1 "github.com/google/go-containerregistry/pkg/v1"
	"github.com/google/go-containerregistry/pkg/v1/types"
)

// file is one file of an image on disk.
type file struct {
	name    string
	content []byte
}

// save writes an index to a file that ends in .tar, or else to a folder. Both are OCI layouts, which containerd, CRI-O's tools and crane
// read; they have a manifest.json as well, by which `docker load` without containerd's image store finds the first of the platforms.
func save(index v1.ImageIndex, name reference.NamedTagged, out string) error {
	files, err := filesOf(index, name)
	if err != nil {
		return err
	}
	if strings.HasSuffix(out, ".tar") {
		err = saveTar(files, out)
	} else {
		err = saveFolder(files, out)
	}
	if err != nil {
		return fmt.Errorf("write the image to %s: %w", out, err)
	}
	return nil
}

// filesOf returns the files of an OCI layout, in an order that does not change.
func filesOf(index v1.ImageIndex, name reference.NamedTagged) ([]file, error) {
	manifest, err := index.IndexManifest()
	if err != nil {
		return nil, err
	}
	top, err := top(index, name)
	if err != nil {
		return nil, err
	}
	var loadable []byte
	var blobs []file
	for i, m := range manifest.Manifests {
		image, err := index.Image(m.Digest)
		if err != nil {
			return nil, err
		}
		its, err := blobsOf(image)
		if err != nil {
			return nil, err
		}
		blobs = append(blobs, its...)
		if i > 0 {
			continue
		}
		if loadable, err = dockerManifest(image, name); err != nil {
			return nil, err
		}
	}
	return append([]file{
		{"oci-layout", []byte(`{"imageLayoutVersion":"1.0.0"}`)}, {"index.json", top.layout}, {"manifest.json", loadable}, {blob(top.digest), top.index},
	}, blobs...), nil
}

// heading is the index, and the index.json of a layout that leads to it.
type heading struct {
	digest        v1.Hash
	index, layout []byte
}

// top gives the index its name: the first annotation is the one that containerd reads, in full (containerd v2.4.2
// core/images/annotations.go), the second is the specification's, where tools such as skopeo expect the tag.
func top(index v1.ImageIndex, name reference.NamedTagged) (heading, error) {
	raw, err := index.RawManifest()
	if err != nil {
		return heading{}, err
	}
	digest, err := index.Digest()
	if err != nil {
		return heading{}, err
	}
	layout, err := json.Marshal(v1.IndexManifest{
		SchemaVersion: 2, MediaType: types.OCIImageIndex,
		Manifests: []v1.Descriptor{{
			MediaType: types.OCIImageIndex, Digest: digest, Size: int64(len(raw)),
			Annotations: map[string]string{"io.containerd.image.name": name.String(), "org.opencontainers.image.ref.name": name.Tag()},
		}},
	})
	return heading{digest, raw, layout}, err
}

// blobsOf are the manifest, the config and the layers of one image.
func blobsOf(image v1.Image) ([]file, error) {
	manifest, err := image.RawManifest()
	if err != nil {
		return nil, err
	}
	digest, err := image.Digest()
	if err != nil {
		return nil, err
	}
	config, err := image.RawConfigFile()
	if err != nil {
		return nil, err
	}
	configName, err := image.ConfigName()
	if err != nil {
		return nil, err
	}
	blobs := []file{{blob(digest), manifest}, {blob(configName), config}}
	layers, err := image.Layers()
	if err != nil {
		return nil, err
	}
	for _, layer := range layers {
		f, err := layerFile(layer)
		if err != nil {
			return nil, err
		}
		blobs = append(blobs, f)
	}
	return blobs, nil
}

func layerFile(layer v1.Layer) (file, error) {
	digest, err := layer.Digest()
	if err != nil {
		return file{}, err
	}
	r, err := layer.Compressed()
	if err != nil {
		return file{}, err
	}
	defer r.Close()
	content, err := io.ReadAll(r)
	return file{blob(digest), content}, err
}

// dockerManifest is the manifest.json of `docker save`, which names files of the layout.
func dockerManifest(image v1.Image, name reference.NamedTagged) ([]byte, error) {
	manifest, err := image.Manifest()
	if err != nil {
		return nil, err
	}
	var layers []string
	for _, l := range manifest.Layers {
		layers = append(layers, blob(l.Digest))
	}
	return json.Marshal([]struct {
		Config   string
		RepoTags []string
		Layers   []string
	}{{blob(manifest.Config.Digest), []string{reference.FamiliarString(name)}, layers}})
}

func blob(digest v1.Hash) string { return "blobs/" + digest.Algorithm + "/" + digest.Hex }

// saveTar leaves the old file where the new one cannot be written whole.
func saveTar(files []file, out string) error {
	if err := os.MkdirAll(filepath.Dir(out), 0o755); err != nil {
		return err
	}
	f, err := os.CreateTemp(filepath.Dir(out), ".image-")
	if err != nil {
		return err
	}
	defer os.RemoveAll(f.Name()) // after the rename there is none
	err = errors.Join(writeTar(f, files), f.Chmod(0o644), f.Close())
	if err != nil {
		return err
	}
	return os.Rename(f.Name(), out)
}

func writeTar(w io.Writer, files []file) error {
	t := tar.NewWriter(w)
	for _, f := range files {
		header := &tar.Header{Typeflag: tar.TypeReg, Name: f.name, Mode: 0o644, Size: int64(len(f.content)), ModTime: time.Unix(0, 0), Format: tar.FormatUSTAR}
		if err := t.WriteHeader(header); err != nil {
			return err
		}
		if _, err := t.Write(f.content); err != nil {
			return err
		}
	}
	return t.Close()
}

func saveFolder(files []file, out string) error {
	for _, f := range files {
		path := filepath.Join(out, f.name)
		if err := os.MkdirAll(filepath.Dir(path), 0o755); err != nil {
			return err
		}
		if err := os.WriteFile(path, f.content, 0o644); err != nil {
			return err
		}
	}
	return nil
}
