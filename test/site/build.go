package site

import (
	"fmt"
	"os"
	"os/exec"
	"path/filepath"
	"runtime"
)

// Build builds the program under test, as make build does, into a folder and returns its path. Go's cache makes it quick the second
// time.
func Build(folder string) (string, error) {
	_, here, _, _ := runtime.Caller(0) // test/site/build.go
	program := filepath.Join(folder, "mirrorlet")
	cmd := exec.Command("go", "build", "-o", program, "./cmd/mirrorlet")
	cmd.Dir, cmd.Env = filepath.Join(filepath.Dir(here), "../.."), append(os.Environ(), "CGO_ENABLED=0")
	if out, err := cmd.CombinedOutput(); err != nil {
		return "", fmt.Errorf("build mirrorlet: %w: %s", err, out)
	}
	return program, nil
}
