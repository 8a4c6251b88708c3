package crds_test

import (
	"os"
	"os/exec"
	"path/filepath"
	"testing"
)

const types = "../../api/v1alpha1"

func TestWhatIsGeneratedIsUpToDate(t *testing.T) {
	made := t.TempDir()
	command := exec.Command("go", "tool", "-modfile=../../tools/go.mod", "controller-gen", "object", "crd", "paths=.",
		"output:crd:dir="+made, "output:object:dir="+made)
	command.Dir = types
	if out, err := command.CombinedOutput(); err != nil {
		t.Fatalf("%v: %s", err, out)
	}
	files, err := os.ReadDir(made)
	if err != nil || len(files) != 3 {
		t.Fatalf("made %v, %v", files, err)
	}
	for _, file := range files {
		folder := crds
		if filepath.Ext(file.Name()) == ".go" {
			folder = types
		}
		want, err := os.ReadFile(filepath.Join(made, file.Name()))
		if err != nil {
			t.Fatal(err)
		}
		if got, err := os.ReadFile(filepath.Join(folder, file.Name())); err != nil || string(got) != string(want) {
			t.Errorf("%s is not what api/v1alpha1 says, run make generate: %v", filepath.Join(folder, file.Name()), err)
		}
	}
	if old, err := os.ReadDir(crds); err != nil || len(old) != len(files)-1 {
		t.Errorf("%s holds more than is generated: %v, %v", crds, old, err)
	}
}
