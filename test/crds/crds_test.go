// Package crds holds the CRDs of manifests/base/crds to agent/config: a real API server comes to the same verdict as check, and says the
// remedy too.
package crds_test

import (
	"bytes"
	"encoding/json"
	"flag"
	"io"
	"net/http"
	"os"
	"path/filepath"
	"strings"
	"testing"

	"github.com/mirrorlet/mirrorlet/test/lab"
)

const (
	crds   = "../../manifests/base/crds"
	corpus = "../../agent/config/testdata/corpus"
)

var update = flag.Bool("update", false, "write the golden files")

func TestMain(m *testing.M) { lab.Main(m) }

// server is an API server with our CRDs.
type server struct {
	*lab.APIServer
	client *http.Client
}

func start(t *testing.T) server {
	t.Helper()
	lab.NeedAPIServer(t)
	s, err := lab.Start(t).APIServer(lab.APIServerConfig{})
	if err != nil {
		t.Fatal(err)
	}
	client, err := s.Client("admin", "system:masters")
	if err != nil {
		t.Fatal(err)
	}
	for _, args := range [][]string{
		{"apply", "--filename=" + crds},
		{"wait", "--for=condition=Established", "--timeout=30s", "crd/mirrorconfigs.mirrorlet.dev", "crd/mirrornodes.mirrorlet.dev"},
	} {
		if out, err := s.Kubectl(args...); err != nil {
			t.Fatalf("%s%v", out, err)
		}
	}
	return server{s, client}
}

func TestARealAPIServer(t *testing.T) {
	s := start(t) // one for all, as each costs seconds
	for _, c := range []struct {
		name string
		test func(*testing.T, server)
	}{
		{"and check come to the same verdict", sameVerdict},
		{"says no secret back", secrets},
		{"takes a document at its limits", limits},
		{"refuses the usual mistakes with their remedy", usualMistakes},
		{"tells the remedy to a person at kubectl", person},
		{"fills in the defaults", defaults},
		{"keeps every field that a node reports", everyField},
		{"shows in columns where a node stands", columns},
		{"takes the report of an agent that is newer than the CRD", newerAgent},
		{"takes no status by the way", byTheWay},
	} {
		t.Run(c.name, func(t *testing.T) { c.test(t, s) })
	}
}

// create asks for a MirrorConfig to be made as kubectl asks for it, strictly, but only to be told whether it would be. What is said is
// empty where it would.
func (s server) create(t *testing.T, document []byte) (refusal string) {
	t.Helper()
	answer, err := s.client.Post(s.URL+"/apis/mirrorlet.dev/v1alpha1/mirrorconfigs?dryRun=All&fieldValidation=Strict", "application/yaml", bytes.NewReader(document))
	if err != nil {
		t.Fatal(err)
	}
	defer answer.Body.Close()
	body, err := io.ReadAll(answer.Body)
	if err != nil {
		t.Fatal(err)
	}
	if answer.StatusCode == http.StatusCreated {
		return ""
	}
	said := struct{ Kind, Message string }{}
	if err := json.Unmarshal(body, &said); err != nil || said.Kind != "Status" || said.Message == "" || answer.StatusCode >= 500 || answer.StatusCode == http.StatusNotFound {
		t.Fatalf("this is no verdict: %s: %s", answer.Status, body)
	}
	return said.Message
}

// documents calls back for each document of the corpus, with its name, such as bad/an-empty-prefix.
func documents(t *testing.T, each func(name string, document []byte)) {
	t.Helper()
	files, err := filepath.Glob(corpus + "/*/*.yaml")
	if err != nil || len(files) < 200 {
		t.Fatalf("found %d documents, %v", len(files), err)
	}
	for _, file := range files {
		name := filepath.Base(filepath.Dir(file)) + "/" + strings.TrimSuffix(filepath.Base(file), ".yaml")
		each(name, document(t, name))
	}
}

func document(t *testing.T, name string) []byte {
	t.Helper()
	data, err := os.ReadFile(filepath.Join(corpus, name+".yaml"))
	if err != nil {
		t.Fatal(err)
	}
	if bytes.Contains(data, []byte("\n---")) {
		t.Fatalf("%s holds several documents, and an API server takes one at a time", name)
	}
	return data
}

// golden compares a text with a file of testdata, or writes it with -update.
func golden(t *testing.T, name, got string) {
	t.Helper()
	file := filepath.Join("testdata", name)
	if *update {
		if err := os.WriteFile(file, []byte(got), 0o644); err != nil {
			t.Fatal(err)
		}
	}
	want, err := os.ReadFile(file)
	if err != nil {
		t.Fatal(err)
	}
	if got != string(want) {
		t.Errorf("not what %s says; run the test with -update and read the diff. Got:\n%s", file, got)
	}
}

// lines are those of a file of testdata that are not comments, each as its first word and the rest.
func lines(t *testing.T, name string) map[string]string {
	t.Helper()
	data, err := os.ReadFile(filepath.Join("testdata", name))
	if err != nil {
		t.Fatal(err)
	}
	all := map[string]string{}
	for line := range strings.Lines(string(data)) {
		first, rest, _ := strings.Cut(strings.TrimSpace(line), " ")
		if first == "" || first[0] == '#' {
			continue
		}
		if rest = strings.TrimSpace(rest); rest == "" {
			t.Errorf("%s: %s has no reason", name, first)
		}
		if _, twice := all[first]; twice {
			t.Errorf("%s: %s is there twice", name, first)
		}
		all[first] = rest
	}
	return all
}

func verdict(refused bool) string {
	if refused {
		return "refuses"
	}
	return "accepts"
}
