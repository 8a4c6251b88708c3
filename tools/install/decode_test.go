package main

import (
	"bufio"
	"bytes"
	"io"
	"os"
	"slices"
	"testing"

	admission "k8s.io/api/admissionregistration/v1"
	apps "k8s.io/api/apps/v1"
	core "k8s.io/api/core/v1"
	rbac "k8s.io/api/rbac/v1"
	crd "k8s.io/apiextensions-apiserver/pkg/apis/apiextensions/v1"
	"k8s.io/apimachinery/pkg/api/meta"
	"k8s.io/apimachinery/pkg/runtime"
	"k8s.io/apimachinery/pkg/runtime/serializer"
	"k8s.io/apimachinery/pkg/util/yaml"
)

// objects are what the manifests come to, decoded strictly: a field that Kubernetes does not have is an error.
type objects []runtime.Object

func built(t *testing.T, components ...string) objects {
	t.Helper()
	text, err := render(os.DirFS("../../manifests"), "registry.example.com/mirrorlet:v1", components)
	if err != nil {
		t.Fatal(err)
	}
	scheme := runtime.NewScheme()
	for _, add := range []func(*runtime.Scheme) error{admission.AddToScheme, apps.AddToScheme, core.AddToScheme, rbac.AddToScheme, crd.AddToScheme} {
		if err := add(scheme); err != nil {
			t.Fatal(err)
		}
	}
	decoder := serializer.NewCodecFactory(scheme, serializer.EnableStrict).UniversalDeserializer()
	documents := yaml.NewYAMLReader(bufio.NewReader(bytes.NewReader(text)))
	var all objects
	for {
		document, err := documents.Read()
		if err == io.EOF {
			return all
		}
		if err != nil {
			t.Fatal(err)
		}
		object, _, err := decoder.Decode(document, nil, nil)
		if err != nil {
			t.Fatalf("%v\n%s", err, document) // an object of our own is none that the scheme knows
		}
		all = append(all, object)
	}
}

// names are all objects as "Kind namespace/name", sorted.
func (o objects) names(t *testing.T) []string {
	t.Helper()
	var all []string
	for _, object := range o {
		m, err := meta.Accessor(object)
		if err != nil {
			t.Fatal(err)
		}
		name := m.GetName()
		if m.GetNamespace() != "" {
			name = m.GetNamespace() + "/" + name
		}
		all = append(all, object.GetObjectKind().GroupVersionKind().Kind+" "+name)
	}
	slices.Sort(all)
	return all
}

// only returns the one object of a type and a name.
func only[T runtime.Object](t *testing.T, all objects, name string) T {
	t.Helper()
	var found []T
	for _, object := range all {
		of, ok := object.(T)
		if m, err := meta.Accessor(object); ok && err == nil && m.GetName() == name {
			found = append(found, of)
		}
	}
	if len(found) != 1 {
		t.Fatalf("there are %d %T %s", len(found), *new(T), name)
	}
	return found[0]
}

func agent(t *testing.T, all objects) (core.PodSpec, core.Container) {
	t.Helper()
	pod := only[*apps.DaemonSet](t, all, "mirrorlet").Spec.Template.Spec
	if len(pod.Containers) != 1 || len(pod.InitContainers) != 0 {
		t.Fatalf("there are %d containers and %d init containers", len(pod.Containers), len(pod.InitContainers))
	}
	return pod, pod.Containers[0]
}
