package site

import (
	"io/fs"
	"os"
	"path/filepath"
	"runtime"
)

// Clone copies the source of the project into a folder, as a clone of the repository has it: without what was built or downloaded.
func Clone(to string) error {
	_, here, _, _ := runtime.Caller(0) // test/site/clone.go
	root := filepath.Join(filepath.Dir(here), "../..")
	return filepath.WalkDir(root, func(p string, e fs.DirEntry, err error) error {
		if err != nil {
			return err
		}
		name, err := filepath.Rel(root, p)
		if err != nil {
			return err
		}
		switch {
		case e.IsDir() && (name == ".git" || name == ".cache" || name == "bin"):
			return fs.SkipDir
		case e.IsDir():
			return os.MkdirAll(filepath.Join(to, name), 0o755)
		case !e.Type().IsRegular() || name == ".git": // a file in what git worktree makes
			return nil
		}
		data, err := os.ReadFile(p)
		if err != nil {
			return err
		}
		return os.WriteFile(filepath.Join(to, name), data, 0o644)
	})
}
