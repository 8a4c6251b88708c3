package lab

import (
	"archive/tar"
	"bytes"
	"fmt"
	"io"
	"os"
	"os/exec"
	"path/filepath"
	"runtime"

	"github.com/google/go-containerregistry/pkg/name"
	v1 "github.com/google/go-containerregistry/pkg/v1"
	"github.com/google/go-containerregistry/pkg/v1/empty"
	"github.com/google/go-containerregistry/pkg/v1/mutate"
	"github.com/google/go-containerregistry/pkg/v1/tarball"
)

// SandboxImage is the image of every pod's sandbox, and one that a test may run for a container that does nothing.
const SandboxImage = "lab.invalid/pause:1"

// pause builds the program of the package pause, once in a process, and returns its path.
func pause() (string, error) {
	program := filepath.Join(Scratch(), "pause")
	if _, err := os.Stat(program); err == nil {
		return program, nil
	}
	_, here, _, _ := runtime.Caller(0)
	build := exec.Command("go", "build", "-ldflags=-s -w", "-o", program, "./pause")
	build.Dir, build.Env = filepath.Dir(here), append(os.Environ(), "CGO_ENABLED=0")
	if out, err := build.CombinedOutput(); err != nil {
		return "", fmt.Errorf("build pause: %w: %s", err, out)
	}
	return program, nil
}

// ProgramImage writes an image of one statically linked program, for Worker.Import, to a file of the lab and returns its path.
func (l *Lab) ProgramImage(image, program string) (string, error) {
	data, err := os.ReadFile(program)
	if err != nil {
		return "", err
	}
	made, err := programImage(data)
	if err != nil {
		return "", fmt.Errorf("image %s: %w", image, err)
	}
	tag, err := name.NewTag(image)
	if err != nil {
		return "", err
	}
	folder, err := l.Folder("image")
	if err != nil {
		return "", err
	}
	file := filepath.Join(folder, "image.tar")
	return file, tarball.WriteToFile(file, tag, made)
}

func programImage(program []byte) (v1.Image, error) {
	var files bytes.Buffer
	w := tar.NewWriter(&files)
	if err := w.WriteHeader(&tar.Header{Name: "program", Mode: 0o755, Size: int64(len(program))}); err != nil {
		return nil, err
	}
	if _, err := w.Write(program); err != nil {
		return nil, err
	}
	if err := w.Close(); err != nil {
		return nil, err
	}
	layer, err := tarball.LayerFromOpener(func() (io.ReadCloser, error) { return io.NopCloser(bytes.NewReader(files.Bytes())), nil })
	if err != nil {
		return nil, err
	}
	image, err := mutate.AppendLayers(empty.Image, layer)
	if err != nil {
		return nil, err
	}
	config, err := image.ConfigFile()
	if err != nil {
		return nil, err
	}
	config.OS, config.Architecture = "linux", runtime.GOARCH
	config.Config.Entrypoint = []string{"/program"}
	return mutate.ConfigFile(image, config)
}
