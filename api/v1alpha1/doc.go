// Package v1alpha1 is the document that users write and the one that they read, of the API group mirrorlet.dev. MirrorConfig is the same
// wherever it lives: an object of a cluster, a YAML file on a machine without Kubernetes, or such a file in a mounted ConfigMap.
// MirrorNode is what each agent reports in a cluster.
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
	MirrorNodeKind   = "MirrorNode"
)

// What people say on a Node.
const (
	// EnabledKey, as a label or an annotation of a Node, enrols it with "true"; "false" in either of them wins.
	EnabledKey = "mirrorlet.dev/enabled"
	// PausedKey, as an annotation of a Node with any value but "false", stops every change of that node; on a MirrorConfig, of all nodes.
	PausedKey = "mirrorlet.dev/paused"
)

//go:generate go tool -modfile=../../tools/go.mod controller-gen object crd paths=. output:crd:dir=../../manifests/base/crds
