package main

import (
	"archive/tar"
	"bytes"
	"encoding/json"
	"io"
	"log"
	"net/http/httptest"
	"os"
	"path/filepath"
	"strings"
	"testing"

	"github.com/google/go-containerregistry/pkg/name"
	"github.com/google/go-containerregistry/pkg/registry"
	v1 "github.com/google/go-containerregistry/pkg/v1"
	"github.com/google/go-containerregistry/pkg/v1/layout"
	"github.com/google/go-containerregistry/pkg/v1/remote"
	"github.com/google/go-containerregistry/pkg/v1/tarball"
	"github.com/google/go-containerregistry/pkg/v1/validate"
)

// built makes the image of a small program, from a copy of its source in a folder of its own.
func built(t *testing.T, epoch string, args ...string) (order, v1.ImageIndex) {
	t.Helper()
	folder := filepath.Join(t.TempDir(), "source")
	must(t, os.CopyFS(folder, os.DirFS("testdata/module")))
	o, err := parse(append([]string{"-source", folder, "-version", "v1.2.3", "-revision", "abc"}, args...), epoch)
	must(t, err)
	index, err := build(t.Context(), o)
	must(t, err)
	return o, index
}

func must(t *testing.T, err error) {
	t.Helper()
	if err != nil {
		t.Fatal(err)
	}
}

func TestTwoBuildsInDifferentFoldersAreTheSameBytes(t *testing.T) {
	var archives [2][]byte
	for i := range archives {
		o, index := built(t, "")
		out := filepath.Join(t.TempDir(), "image.tar")
		must(t, save(index, o.name, out))
		archives[i], _ = os.ReadFile(out)
	}
	if len(archives[0]) == 0 || !bytes.Equal(archives[0], archives[1]) {
		t.Errorf("%d and %d bytes differ", len(archives[0]), len(archives[1]))
	}
}

func TestTheImageIsOneStaticProgramThatRunsAsRootAndSaysWhatItIs(t *testing.T) {
	_, index := built(t, "1700000000")
	manifest, err := index.IndexManifest()
	must(t, err)
	var platforms []string
	for _, m := range manifest.Manifests {
		platforms = append(platforms, m.Platform.String())
		image, err := index.Image(m.Digest)
		must(t, err)
		checkImage(t, image, m.Platform)
	}
	if got := strings.Join(platforms, " "); got != "linux/amd64 linux/arm64" {
		t.Errorf("platforms are %s", got)
	}
}

func checkImage(t *testing.T, image v1.Image, platform *v1.Platform) {
	t.Helper()
	config, err := image.ConfigFile()
	must(t, err)
	c := config.Config
	if config.OS != platform.OS || config.Architecture != platform.Architecture {
		t.Errorf("the config says %s/%s for %s", config.OS, config.Architecture, platform)
	}
	if c.User != "0:0" || strings.Join(c.Entrypoint, " ") != "/mirrorlet" || len(c.Env) != 0 || config.Created.Unix() != 1700000000 {
		t.Errorf("the config is %+v, created %s", c, config.Created)
	}
	if l := c.Labels; l["org.opencontainers.image.version"] != "v1.2.3" || l["org.opencontainers.image.revision"] != "abc" {
		t.Errorf("labels are %v", l)
	}
	files := tar.NewReader(contents(t, image))
	h, err := files.Next()
	must(t, err)
	if h.Name != "mirrorlet" || h.Mode != 0o755 || h.Uid != 0 || h.ModTime.Unix() != 1700000000 {
		t.Errorf("the program is %+v", h)
	}
	program, err := io.ReadAll(files)
	must(t, err)
	if machine := map[string]byte{"amd64": 62, "arm64": 183}[platform.Architecture]; len(program) < 20 || program[18] != machine { // e_machine of elf(5)
		t.Errorf("%s has a program for another machine", platform)
	}
	if bytes.Contains(program, []byte("/ld-linux")) || !bytes.Contains(program, []byte("v1.2.3")) {
		t.Error("the program needs a loader, or does not know its version")
	}
	if _, err := files.Next(); err != io.EOF {
		t.Errorf("there is more than the program: %v", err)
	}
}

func contents(t *testing.T, image v1.Image) io.Reader {
	t.Helper()
	layers, err := image.Layers()
	must(t, err)
	if len(layers) != 1 {
		t.Fatalf("%d layers", len(layers))
	}
	r, err := layers[0].Uncompressed()
	must(t, err)
	t.Cleanup(func() { _ = r.Close() })
	return r
}

func TestAnArchiveIsReadAsALayoutAndAsDockerSavesIt(t *testing.T) {
	o, index := built(t, "", "-image", "registry.example.com:5000/mirrorlet:v1")
	out := filepath.Join(t.TempDir(), "folder", "image.tar")
	must(t, save(index, o.name, out))
	tag, err := name.NewTag("registry.example.com:5000/mirrorlet:v1")
	must(t, err)
	image, err := tarball.ImageFromPath(out, &tag)
	must(t, err)
	must(t, validate.Image(image))
	config, err := image.ConfigFile()
	must(t, err)
	if config.Architecture != "amd64" {
		t.Errorf("docker load finds the image for %s", config.Architecture)
	}
	folder := filepath.Join(t.TempDir(), "layout")
	must(t, save(index, o.name, folder))
	checkLayout(t, folder, index)
}

func checkLayout(t *testing.T, folder string, want v1.ImageIndex) {
	t.Helper()
	top, err := layout.ImageIndexFromPath(folder)
	must(t, err)
	must(t, validate.Index(top))
	manifest, err := top.IndexManifest()
	must(t, err)
	digest, err := want.Digest()
	must(t, err)
	if len(manifest.Manifests) != 1 || manifest.Manifests[0].Digest != digest {
		t.Fatalf("index.json leads to %+v", manifest.Manifests)
	}
	names, _ := json.Marshal(manifest.Manifests[0].Annotations)
	if got := string(names); got != `{"io.containerd.image.name":"registry.example.com:5000/mirrorlet:v1","org.opencontainers.image.ref.name":"v1"}` {
		t.Errorf("it is named %s", got)
	}
}

func TestWhatIsPushedHasTheDigestThatWasBuilt(t *testing.T) {
	server := httptest.NewServer(registry.New(registry.Logger(log.New(io.Discard, "", 0))))
	defer server.Close()
	host := strings.TrimPrefix(server.URL, "http://")
	o, index := built(t, "", "-image", host+"/tools/mirrorlet:v1", "-platforms", "linux/amd64")
	must(t, push(t.Context(), index, o.name))
	tag, err := name.NewTag(o.name.String())
	must(t, err)
	there, err := remote.Head(tag)
	must(t, err)
	if want, _ := index.Digest(); there.Digest != want {
		t.Errorf("the registry has %s, built was %s", there.Digest, want)
	}
}

func TestARegistryThatCannotBeReachedIsNamedWithWhatToDo(t *testing.T) {
	server := httptest.NewServer(nil)
	server.Close()
	o, index := built(t, "", "-image", strings.TrimPrefix(server.URL, "http://")+"/mirrorlet:v1", "-platforms", "linux/amd64")
	err := push(t.Context(), index, o.name)
	if err == nil || !strings.Contains(err.Error(), o.name.String()) || !strings.Contains(err.Error(), "docker login") {
		t.Errorf("the error is %v", err)
	}
}

func TestAShortNameIsWhatRuntimesMakeOfIt(t *testing.T) {
	o, err := parse(nil, "")
	must(t, err)
	if o.name.String() != "docker.io/library/mirrorlet:devel" {
		t.Errorf("mirrorlet:devel is %s", o.name)
	}
}

func TestWhatIsNoOrderIsRefusedWithTheRightForm(t *testing.T) {
	for _, c := range []struct{ flag, value, epoch, remedy string }{
		{"-image", "mirrorlet", "", "registry.example.com/mirrorlet:v1"},
		{"-image", "Mirrorlet:v1", "", "registry.example.com/mirrorlet:v1"},
		{"-image", "mirrorlet:v1@sha256:" + strings.Repeat("a", 64), "", "registry.example.com/mirrorlet:v1"},
		{"-platforms", "linux/amd64,", "", "linux/amd64,linux/arm64"},
		{"-platforms", "windows/amd64", "", "linux/amd64,linux/arm64"},
		{"-out", "x.tar", "yesterday", "seconds since 1970"},
	} {
		_, err := parse([]string{c.flag, c.value}, c.epoch)
		if err == nil || !strings.Contains(err.Error(), c.remedy) {
			t.Errorf("%s %s with SOURCE_DATE_EPOCH=%q: the error is %v", c.flag, c.value, c.epoch, err)
		}
	}
}
