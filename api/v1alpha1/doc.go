// Package v1alpha1 is the document that users write: MirrorConfig, of the API group mirrorlet.dev. It is the same wherever it
// lives: an object of a cluster, a YAML file on a machine without Kubernetes, or such a file in a mounted ConfigMap.
//
// Whoever may edit a MirrorConfig decides where every selected node gets its images from.
//
// +kubebuilder:object:generate=true
// +groupName=mirrorlet.dev
package v1alpha1

// What a document of this package says of itself.
const (
	Group            = "mirrorlet.dev"
	Version          = "v1alpha1"
	APIVersion       = Group + "/" + Version
	MirrorConfigKind = "MirrorConfig"
)

//go:generate go tool -modfile=../../tools/go.mod controller-gen object paths=.
