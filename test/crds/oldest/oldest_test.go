// Package oldest asks the code of the oldest Kubernetes that we promise, 1.30, whether it takes the CRDs: which functions CEL has there,
// and what rules may cost. It is a module of its own, because that code cannot be linked together with today's.
package oldest

import (
	"context"
	"os"
	"path/filepath"
	"strings"
	"testing"

	"k8s.io/apiextensions-apiserver/pkg/apis/apiextensions"
	v1 "k8s.io/apiextensions-apiserver/pkg/apis/apiextensions/v1"
	crdvalidation "k8s.io/apiextensions-apiserver/pkg/apis/apiextensions/validation"
	"k8s.io/apiextensions-apiserver/pkg/apiserver/schema"
	"k8s.io/apiextensions-apiserver/pkg/apiserver/schema/cel"
	"k8s.io/apiextensions-apiserver/pkg/apiserver/schema/defaulting"
	"k8s.io/apiextensions-apiserver/pkg/apiserver/schema/listtype"
	"k8s.io/apiextensions-apiserver/pkg/apiserver/schema/pruning"
	"k8s.io/apiextensions-apiserver/pkg/apiserver/validation"
	"k8s.io/apimachinery/pkg/util/validation/field"
	apicel "k8s.io/apiserver/pkg/apis/cel"
	"sigs.k8s.io/yaml"
)

const (
	crds   = "../../../manifests/base/crds/mirrorlet.dev_"
	corpus = "../../../agent/config/testdata/corpus/"
)

func read(t *testing.T, name string) apiextensions.CustomResourceDefinition {
	t.Helper()
	data, err := os.ReadFile(crds + name + ".yaml")
	if err != nil {
		t.Fatal(err)
	}
	var crd v1.CustomResourceDefinition
	if err := yaml.UnmarshalStrict(data, &crd); err != nil {
		t.Fatal(err)
	}
	v1.SetDefaults_CustomResourceDefinition(&crd)
	v1.SetDefaults_CustomResourceDefinitionSpec(&crd.Spec)
	crd.Status.StoredVersions = []string{crd.Spec.Versions[0].Name}
	var in apiextensions.CustomResourceDefinition
	if err := v1.Convert_v1_CustomResourceDefinition_To_apiextensions_CustomResourceDefinition(&crd, &in, nil); err != nil {
		t.Fatal(err)
	}
	return in
}

func TestKubernetes130TakesTheCRDs(t *testing.T) {
	for _, name := range []string{"mirrorconfigs", "mirrornodes"} {
		crd := read(t, name)
		for _, err := range crdvalidation.ValidateCustomResourceDefinition(context.Background(), &crd) {
			t.Errorf("%s: %v", name, err)
		}
	}
}

// differ lists the documents that no API server refuses.
const differ = "../testdata/differ.txt"

// badName is refused by the API server's rules for names, which are not the schema's.
const badName = "bad/a-name-with-upper-case-letters"

func TestKubernetes130JudgesTheCorpusAsCheckDoes(t *testing.T) {
	crd := read(t, "mirrorconfigs")
	judge := newJudge(t, crd.Spec.Validation.OpenAPIV3Schema)
	files, err := filepath.Glob(corpus + "*/*.yaml")
	if err != nil || len(files) < 200 {
		t.Fatalf("found %d documents, %v", len(files), err)
	}
	listed, err := os.ReadFile(differ)
	if err != nil {
		t.Fatal(err)
	}
	judged := 0
	for _, file := range files {
		object := mirrorConfig(t, file)
		if object == nil {
			continue
		}
		judged++
		name := strings.TrimSuffix(strings.TrimPrefix(filepath.ToSlash(file), corpus), ".yaml")
		good := strings.HasPrefix(name, "good/") || name == badName || strings.Contains(string(listed), "\n"+name+" ")
		if errs := judge.errors(object); (len(errs) == 0) != good {
			t.Errorf("%s: %v", name, errs)
		}
	}
	if judged < 200 {
		t.Errorf("only %d documents are MirrorConfigs", judged)
	}
}

// mirrorConfig reads a document, if it is YAML, and a MirrorConfig with a name.
func mirrorConfig(t *testing.T, file string) map[string]any {
	t.Helper()
	data, err := os.ReadFile(file)
	if err != nil {
		t.Fatal(err)
	}
	var object map[string]any
	if err := yaml.UnmarshalStrict(data, &object); err != nil {
		return nil
	}
	metadata, _ := object["metadata"].(map[string]any)
	if object["kind"] != "MirrorConfig" || object["apiVersion"] != "mirrorlet.dev/v1alpha1" || metadata["name"] == nil {
		return nil
	}
	return object
}

// judge does with an object what an API server does before it stores it.
type judge struct {
	structural *schema.Structural
	schema     validation.SchemaValidator
	rules      *cel.Validator
}

func newJudge(t *testing.T, of *apiextensions.JSONSchemaProps) judge {
	t.Helper()
	structural, err := schema.NewStructural(of)
	if err != nil {
		t.Fatal(err)
	}
	validator, _, err := validation.NewSchemaValidator(of)
	if err != nil {
		t.Fatal(err)
	}
	return judge{structural, validator, cel.NewValidator(structural, true, apicel.PerCallLimit)}
}

func (j judge) errors(object map[string]any) field.ErrorList {
	var errs field.ErrorList
	unknown := pruning.PruneWithOptions(object, j.structural, true, schema.UnknownFieldPathOptions{TrackUnknownFieldPaths: true})
	for _, path := range unknown {
		errs = append(errs, field.Forbidden(field.NewPath(path), "unknown"))
	}
	defaulting.PruneNonNullableNullsWithoutDefaults(object, j.structural)
	defaulting.Default(object, j.structural)
	errs = append(errs, validation.ValidateCustomResource(nil, object, j.schema)...)
	errs = append(errs, listtype.ValidateListSetsAndMaps(nil, j.structural, object)...)
	if len(errs) > 0 {
		return errs
	}
	broken, _ := j.rules.Validate(context.Background(), nil, j.structural, object, nil, apicel.RuntimeCELCostBudget)
	return broken
}
