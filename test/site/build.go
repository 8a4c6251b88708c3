package site

import (
	"fmt"
	"os"
	"os/exec"
	"path/filepath"
	"runtime"
)

// Build builds the program under test into a folder and returns its path. Go's cache makes it quick the second time.
func Build(folder string) (string, error) { return build(folder, "mirrorlet") }

// BuildRelease builds it as make build does: stripped.
func BuildRelease(folder string) (string, error) {
	return build(folder, "mirrorlet-release", "-trimpath", "-ldflags=-s -w")
}

func build(folder, name string, flags ...string) (string, error) {
	_, here, _, _ := runtime.Caller(0) // test/site/build.go
	program := filepath.Join(folder, name)
	cmd := exec.Command("go", append(append([]string{"build", "-tags=grpcnotrace"}, flags...), "-o", program, "./cmd/mirrorlet")...)
	cmd.Dir, cmd.Env = filepath.Join(filepath.Dir(here), "../.."), append(os.Environ(), "CGO_ENABLED=0")
	if out, err := cmd.CombinedOutput(); err != nil {
		return "", fmt.Errorf("build mirrorlet: %w: %s", err, out)
	}
	return program, nil
}
