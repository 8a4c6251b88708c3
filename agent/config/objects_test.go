package config_test

import (
	"encoding/json"
	"fmt"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"testing"

	"gopkg.in/yaml.v3"

	"github.com/mirrorlet/mirrorlet/agent/config"
)

// asObject is a document as an API server has it; false where it is none that could be made there.
func asObject(t *testing.T, data []byte) (name string, object []byte, ok bool) {
	t.Helper()
	var o map[string]any
	if err := yaml.Unmarshal(data, &o); err != nil {
		t.Fatal(err)
	}
	metadata, _ := o["metadata"].(map[string]any)
	name, ok = metadata["name"].(string)
	if !ok || strings.Contains(string(data), "\n---") || o["kind"] != "MirrorConfig" {
		return "", nil, false
	}
	metadata["uid"], metadata["managedFields"], metadata["fieldOfALaterKubernetes"] = "x", []any{map[string]any{"manager": "kubectl"}}, 1
	o["status"] = map[string]any{"anything": true}
	object, err := json.Marshal(o)
	if err != nil {
		t.Fatal(err)
	}
	return name, object, true
}

func TestAnObjectMeansWhatItsFileMeans(t *testing.T) {
	files, err := filepath.Glob("testdata/corpus/good/*.yaml")
	if err != nil {
		t.Fatal(err)
	}
	tried := 0
	for _, file := range files {
		data, err := os.ReadFile(file)
		if err != nil {
			t.Fatal(err)
		}
		name, object, ok := asObject(t, data)
		if !ok {
			continue
		}
		tried++
		labels := map[string]string{"kubernetes.io/arch": "amd64"}
		d, errs := config.FromObjects(map[string][]byte{name: object})
		f, _ := config.Parse(file, data)
		got, want := d.Compile(config.Options{Now: today(), Labels: labels}), f.Compile(config.Options{Now: today(), Labels: labels})
		if len(errs) > 0 || fmt.Sprint(got.Intent, got.Problems) != fmt.Sprint(want.Intent, want.Problems) {
			t.Errorf("%s: %v\nobject %v\n  file %v", file, errs, got, want)
		}
	}
	if tried < 30 {
		t.Errorf("only %d documents were tried", tried)
	}
}

func TestABrokenObjectSaysItsNameAndNoLine(t *testing.T) {
	for object, want := range map[string]string{
		`{"apiVersion": "mirrorlet.dev/v1alpha1", "kind": "MirrorConfig", "metadata": {"name": "a"}, "spec": {"registry": []}}`:                         "MirrorConfig/a: spec.registry: there is no such field",
		`{"apiVersion": "mirrorlet.dev/v1alpha1", "kind": "MirrorConfig", "metadata": {"name": "a"}, "spec": {"registries": [{"prefix": "r.io/v2:"}]}}`: "MirrorConfig/a: spec.registries[0].prefix: ",
		`{"apiVersion": "mirrorlet.dev/v1beta1", "kind": "MirrorConfig", "metadata": {"name": "a"}, "spec": {}}`:                                        "MirrorConfig/a: apiVersion: ",
		`{"apiVersion": "mirrorlet.dev/v1alpha1", "kind": "MirrorConfig", "metadata": {"name": "a"}}`:                                                   "MirrorConfig/a: spec: is missing",
		`[]`:   "MirrorConfig/a: is not an object in JSON",
		`null`: "MirrorConfig/a: is not an object in JSON",
		`{`:    "MirrorConfig/a: is not an object in JSON",
	} {
		d, errs := config.FromObjects(map[string][]byte{"a": []byte(object)})
		if len(errs) != 1 || !strings.HasPrefix(errs[0].Error(), want) || !d.Refused() || errs[0].Remedy == "" || errs[0].Line != 0 {
			t.Errorf("%s:\n%v", object, errs)
		}
	}
}

func TestAnEntryOfAnObjectIsHeldAsOneOfAFile(t *testing.T) {
	d, errs := config.FromObjects(map[string][]byte{"a": []byte(`{"apiVersion": "mirrorlet.dev/v1alpha1", "kind": "MirrorConfig", "metadata": {"name": "a"},
		"spec": {"nodeSelector": {"x": "y"}, "registries": [{"prefix": "r.io", "mirrors": [{"location": "ftp://m"}]}]}}`)})
	if len(errs) != 1 || errs[0].Registry != "r.io" || d.Refused() {
		t.Errorf("got %v", errs)
	}
	if r := d.Compile(config.Options{Labels: map[string]string{"x": "y"}}); !slices.Equal(r.Intent.Held, []string{"r.io"}) || len(r.Errors) != 1 {
		t.Errorf("for a node that is selected: %+v", r)
	}
	if r := d.Compile(config.Options{}); len(r.Errors) > 0 {
		t.Errorf("for another: %v", r.Errors)
	}
}

func TestTheSameEssenceIsTheSameWish(t *testing.T) {
	essence := func(more, spec string) string {
		got, err := config.Essence([]byte(`{"kind": "MirrorConfig", "metadata": {"name": "a", "generation": 2` + more + `}, "spec": ` + spec + `}`))
		if err != nil {
			t.Fatal(err)
		}
		return string(got)
	}
	plain := essence("", "{}")
	if got := essence(`, "resourceVersion": "7", "annotations": {"kubectl.kubernetes.io/last-applied-configuration": "{}"}`, "{}"); got != plain {
		t.Errorf("got %s, not %s", got, plain)
	}
	if essence("", `{"hosts": []}`) == plain || essence(`, "annotations": {"mirrorlet.dev/paused": ""}`, "{}") == plain {
		t.Error("another wish has the same essence")
	}
}

func TestReferencesAreThoseOfTheNode(t *testing.T) {
	object := func(name, selector string) []byte {
		return []byte(`{"apiVersion": "mirrorlet.dev/v1alpha1", "kind": "MirrorConfig", "metadata": {"name": "` + name + `"}, "spec": {"nodeSelector": {` + selector + `},
			"registries": [{"prefix": "r.io", "upstream": {"ca": {"configMapRef": {"name": "bundle-` + name + `"}}, "clientCert": {"secretRef": {"name": "tls"}}},
				"mirrors": [{"location": "https://m", "ca": {"secretRef": {"name": "tls"}}, "auth": {"secretRef": {"name": "robot"}}}]}],
			"hosts": [{"names": ["h.io"], "service": {"namespace": "n", "name": "s"}}]}}`)
	}
	d, errs := config.FromObjects(map[string][]byte{"a": object("a", ""), "b": object("b", `"x": "y"`)})
	if len(errs) > 0 {
		t.Fatal(errs)
	}
	common := []config.Reference{{Kind: "Secret", Name: "robot"}, {Kind: "Secret", Name: "tls"}, {Kind: "Service", Namespace: "n", Name: "s"}}
	a, b := config.Reference{Kind: "ConfigMap", Name: "bundle-a"}, config.Reference{Kind: "ConfigMap", Name: "bundle-b"}
	if got := d.References(nil); !slices.Equal(got, append([]config.Reference{a}, common...)) {
		t.Errorf("got %v", got)
	}
	if got := d.References(map[string]string{"x": "y"}); !slices.Equal(got, append([]config.Reference{a, b}, common...)) {
		t.Errorf("for the other node: %v", got)
	}
}

func TestValuesAreUsedUnderTheirKeys(t *testing.T) {
	ca := authority(t)
	d, _ := config.FromObjects(map[string][]byte{"a": []byte(`{"apiVersion": "mirrorlet.dev/v1alpha1", "kind": "MirrorConfig", "metadata": {"name": "a"}, "spec": {
		"registries": [{"prefix": "r.io", "mirrors": [{"location": "https://m", "ca": {"secretRef": {"name": "ca"}}}]}],
		"hosts": [{"names": ["h.io"], "service": {"namespace": "n", "name": "s"}}]}}`)})
	r := d.With(map[string][]byte{"Secret/ca/ca.crt": []byte(ca.cert), "Service/n/s/" + config.ClusterIPs: []byte("10.0.0.1 fd00::1")}).Compile(config.Options{})
	if len(r.Problems) > 0 || string(r.Intent.Registries[0].Mirrors[0].TLS.CA) != ca.cert || !slices.Equal(r.Intent.Hosts[0].Addresses, []string{"10.0.0.1", "fd00::1"}) {
		t.Errorf("got %+v", r)
	}
	if r := d.Compile(config.Options{}); len(r.Problems) == 0 {
		t.Error("the documents without values have got them too")
	}
}
