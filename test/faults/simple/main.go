// Simple writes files in the three ways that are usual, to be compared with a commit under the same faults:
//
//	simple truncate|clear|rename --root HOST --wanted FOLDER
//
// Every file below FOLDER is written to the same place below HOST.
package main

import (
	"flag"
	"fmt"
	"io/fs"
	"maps"
	"os"
	"path/filepath"
	"slices"
	"strings"
)

// writers are the ways, by name.
var writers = map[string]func(root string, files map[string][]byte) error{
	"truncate": truncate, "clear": clearFirst, "rename": rename,
}

func main() {
	if err := run(os.Args[1:]); err != nil {
		fmt.Fprintln(os.Stderr, "simple:", err)
		os.Exit(1)
	}
}

func run(args []string) error {
	if len(args) == 0 || writers[args[0]] == nil {
		return fmt.Errorf("say how: truncate, clear or rename")
	}
	flags := flag.NewFlagSet(args[0], flag.ContinueOnError)
	root, wanted := flags.String("root", "", "the host"), flags.String("wanted", "", "the files")
	if err := flags.Parse(args[1:]); err != nil {
		return err
	}
	files := map[string][]byte{}
	err := filepath.WalkDir(*wanted, func(full string, e fs.DirEntry, err error) error {
		if err == nil && e.Type().IsRegular() {
			files[strings.TrimPrefix(full, *wanted)], err = os.ReadFile(full)
		}
		return err
	})
	if err != nil {
		return err
	}
	return writers[args[0]](*root, files)
}

// truncate opens each file, which empties it, and writes it.
func truncate(root string, files map[string][]byte) error {
	for _, path := range slices.Sorted(maps.Keys(files)) {
		if err := os.MkdirAll(filepath.Dir(root+path), 0o755); err != nil {
			return err
		}
		if err := os.WriteFile(root+path, files[path], 0o644); err != nil {
			return err
		}
	}
	return nil
}

// clearFirst empties certs.d, so that nothing stays which is no longer wanted.
func clearFirst(root string, files map[string][]byte) error {
	if err := os.RemoveAll(root + "/etc/containerd/certs.d"); err != nil {
		return err
	}
	return truncate(root, files)
}

// rename writes and syncs each file beside its place and renames it. It does not sync the folder.
func rename(root string, files map[string][]byte) error {
	for _, path := range slices.Sorted(maps.Keys(files)) {
		if err := os.MkdirAll(filepath.Dir(root+path), 0o755); err != nil {
			return err
		}
		if err := replace(root+path, files[path]); err != nil {
			return err
		}
	}
	return nil
}

func replace(full string, content []byte) error {
	f, err := os.Create(full + ".tmp")
	if err != nil {
		return err
	}
	_, err = f.Write(content)
	if err == nil {
		err = f.Sync()
	}
	if closed := f.Close(); err == nil {
		err = closed
	}
	if err != nil {
		return err
	}
	return os.Rename(full+".tmp", full)
}
