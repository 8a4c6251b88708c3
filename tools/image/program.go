package main

import (
	"context"
	"fmt"
	"os"
	"os/exec"
	"path/filepath"
	"strings"

	v1 "github.com/google/go-containerregistry/pkg/v1"
)

// source is what the program is made from.
type source struct {
	dir       string // of the module
	version   string
	platforms []v1.Platform
}

// program builds the program for a platform and returns its bytes. Settings of the user's own Go environment that would show in the
// result do not count, and neither does the state of a repository around the source.
func (s source) program(ctx context.Context, platform v1.Platform) ([]byte, error) {
	folder, err := os.MkdirTemp("", "image-")
	if err != nil {
		return nil, err
	}
	defer os.RemoveAll(folder)
	file := filepath.Join(folder, "mirrorlet")
	cmd := exec.CommandContext(ctx, "go", "build", "-tags=grpcnotrace", "-trimpath", "-buildvcs=false", "-ldflags", "-s -w -X main.release="+s.version,
		"-o", file, "./cmd/mirrorlet")
	cmd.Dir = s.dir
	cmd.Env = append(os.Environ(), "CGO_ENABLED=0", "GOFLAGS=", "GOWORK=off", "GOEXPERIMENT=", "GOAMD64=v1", "GOARM64=v8.0", "GODEBUG=",
		"GOOS="+platform.OS, "GOARCH="+platform.Architecture)
	if out, err := cmd.CombinedOutput(); err != nil {
		return nil, fmt.Errorf("build mirrorlet for %s in %s: %w\n%s", platform, s.dir, err, strings.TrimSpace(string(out)))
	}
	return os.ReadFile(file)
}
