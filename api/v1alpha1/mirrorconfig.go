package v1alpha1

import (
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
)

// MirrorConfig says which mirrors the nodes of a cluster use, and how. Any number of them may exist; they are merged per whole
// registry entry and per host name. Where two claim the same, the first by object name has it, and the other is told so.
//
// +kubebuilder:object:root=true
// +kubebuilder:resource:scope=Cluster
// +kubebuilder:printcolumn:name="Restart",type=string,JSONPath=`.spec.runtimeRestart`
// +kubebuilder:printcolumn:name="Age",type=date,JSONPath=`.metadata.creationTimestamp`
type MirrorConfig struct {
	metav1.TypeMeta   `json:",inline"`
	metav1.ObjectMeta `json:"metadata,omitempty"`

	// Spec is what is wanted.
	// +required
	Spec MirrorConfigSpec `json:"spec"`
}

// MirrorConfigList is several MirrorConfigs, as an API server lists them.
//
// +kubebuilder:object:root=true
type MirrorConfigList struct {
	metav1.TypeMeta `json:",inline"`
	metav1.ListMeta `json:"metadata,omitempty"`

	Items []MirrorConfig `json:"items"`
}

// MirrorConfigSpec is what is wanted of the nodes that are selected.
type MirrorConfigSpec struct {
	// NodeSelector are labels that a node must have for this object to count there. Without it every enrolled node is meant.
	// +optional
	// +kubebuilder:validation:MaxProperties=32
	NodeSelector map[string]string `json:"nodeSelector,omitempty"`

	// Registries are the registries that are not, or not only, asked as they would be by themselves. Of several entries that
	// claim an image the longest prefix counts, wherever it stands in the list.
	// +optional
	// +listType=map
	// +listMapKey=prefix
	// +kubebuilder:validation:MaxItems=500
	Registries []Registry `json:"registries,omitempty"`

	// Hosts are names that every node finds in its /etc/hosts.
	// +optional
	// +listType=atomic
	// +kubebuilder:validation:MaxItems=256
	Hosts []HostEntry `json:"hosts,omitempty"`

	// RuntimeRestart says whether a container runtime may be restarted for the sake of this config. Where one object says Never,
	// it holds for all of them.
	// +optional
	// +kubebuilder:default=WhenRequired
	RuntimeRestart RestartPolicy `json:"runtimeRestart,omitempty"`
}

// RestartPolicy says whether a container runtime may be restarted.
//
// +kubebuilder:validation:Enum=WhenRequired;Never
type RestartPolicy string

// The restart policies.
const (
	RestartWhenRequired RestartPolicy = "WhenRequired"
	RestartNever        RestartPolicy = "Never"
)

// Registry is what is wanted of all images whose name begins with a prefix.
type Registry struct {
	// Prefix is host[:port][/path] as it stands in an image reference, or "*" for every registry without an entry of its own.
	// Docker Hub is docker.io. It ends at a "/" of the reference only: r.io means neither r.io:5000 nor r.ionice.
	// The host is compared as it is written, in its case. Not every runtime knows prefixes with a path.
	// +required
	// +kubebuilder:validation:MinLength=1
	// +kubebuilder:validation:MaxLength=255
	// +kubebuilder:validation:Pattern=`^(\*|([a-zA-Z0-9]([a-zA-Z0-9-]*[a-zA-Z0-9])?(\.[a-zA-Z0-9]([a-zA-Z0-9-]*[a-zA-Z0-9])?)*|\[[a-fA-F0-9:.]+\])(:[1-9][0-9]{0,4})?(/[a-z0-9]+((\.|_|__|-+)[a-z0-9]+)*)*)$`
	Prefix string `json:"prefix"`

	// Upstream is how the registry itself is verified. It may stand without any mirror, for a registry with a private CA.
	// +optional
	Upstream *Upstream `json:"upstream,omitempty"`

	// Mirrors are asked in this order, before the registry itself.
	// +optional
	// +listType=atomic
	// +kubebuilder:validation:MaxItems=16
	Mirrors []Mirror `json:"mirrors,omitempty"`

	// Fallback says whether the registry itself is asked when no mirror has the image: Always, or Never, which needs at least
	// one mirror that resolves tags.
	// +optional
	// +kubebuilder:default=Always
	Fallback Fallback `json:"fallback,omitempty"`

	// OnExisting says what becomes of an entry that the owner of the node has made for the same registry. Keep leaves it alone and
	// reports a conflict; Prepend puts the mirrors before what is there; Replace uses the mirrors only, until this entry goes.
	// +optional
	// +kubebuilder:default=Keep
	OnExisting OnExisting `json:"onExisting,omitempty"`
}

// Fallback says whether a registry is asked when its mirrors have failed.
//
// +kubebuilder:validation:Enum=Always;Never
type Fallback string

// The fallbacks.
const (
	FallbackAlways Fallback = "Always"
	FallbackNever  Fallback = "Never"
)

// OnExisting says what becomes of the node owner's own entry.
//
// +kubebuilder:validation:Enum=Keep;Prepend;Replace
type OnExisting string

// What can become of the owner's entry.
const (
	OnExistingKeep    OnExisting = "Keep"
	OnExistingPrepend OnExisting = "Prepend"
	OnExistingReplace OnExisting = "Replace"
)

// Upstream is how a registry itself is verified, and what it is shown.
//
// +kubebuilder:validation:XValidation:rule="!(has(self.ca) && has(self.skipVerify) && self.skipVerify)",message="skipVerify makes ca pointless; remove one of them"
type Upstream struct {
	// CA is trusted beside the system's pool.
	// +optional
	CA *CA `json:"ca,omitempty"`
	// ClientCert is shown to the registry.
	// +optional
	ClientCert *SecretReference `json:"clientCert,omitempty"`
	// SkipVerify accepts any certificate.
	// +optional
	SkipVerify bool `json:"skipVerify,omitempty"`
}

// Mirror is one place that is asked instead of a registry.
//
// +kubebuilder:validation:ExactlyOneOf=location;apiRoot
// +kubebuilder:validation:XValidation:rule="!(has(self.ca) && has(self.skipVerify) && self.skipVerify)",message="skipVerify makes ca pointless; remove one of them"
type Mirror struct {
	// Location is http(s)://host[:port][/path]. The path is a repository prefix that takes the place of the entry's prefix: with
	// prefix docker.io, https://harbor.example.com/hub is asked for hub/library/nginx. http is plain HTTP, without TLS.
	// +optional
	// +kubebuilder:validation:MaxLength=512
	// +kubebuilder:validation:Pattern=`^https?://[a-zA-Z0-9.:\[\]-]+(/[a-z0-9]+((\.|_|__|-+)[a-z0-9]+)*)*/?$`
	Location string `json:"location,omitempty"`

	// APIRoot is used instead of location where a registry serves its API elsewhere than under /v2, as Artifactory and Nexus do:
	// https://h/artifactory/api/docker/hub/v2. It is used verbatim. CRI-O has no words for it.
	// +optional
	// +kubebuilder:validation:MaxLength=512
	// +kubebuilder:validation:Pattern=`^https?://[a-zA-Z0-9.:\[\]-]+(/[a-zA-Z0-9._~+-]+)+/?$`
	APIRoot string `json:"apiRoot,omitempty"`

	// CA is trusted for this mirror beside the system's pool.
	// +optional
	CA *CA `json:"ca,omitempty"`

	// ClientCert is shown to this mirror: a Secret of type kubernetes.io/tls.
	// +optional
	ClientCert *SecretReference `json:"clientCert,omitempty"`

	// Auth is a Secret of type kubernetes.io/basic-auth or kubernetes.io/dockerconfigjson, of which the entry for the mirror's
	// host is used. On the node it stands in a file that only root may read.
	// +optional
	Auth *SecretReference `json:"auth,omitempty"`

	// SkipVerify accepts any certificate of this mirror.
	// +optional
	SkipVerify bool `json:"skipVerify,omitempty"`

	// Headers are sent with every request to this mirror. They are no place for secrets: for those there is auth.
	// +optional
	// +kubebuilder:validation:MaxProperties=32
	Headers map[string]string `json:"headers,omitempty"`

	// ResolveTags says whether this mirror may decide what a tag means. A mirror that may not is asked by digest only.
	// +optional
	// +kubebuilder:default=true
	ResolveTags *bool `json:"resolveTags,omitempty"`

	// DialTimeout is how long a connection may take to be made: more than 0, at most 30s. containerd knows it from 2.1 on.
	// +optional
	// +kubebuilder:default="1s"
	DialTimeout *metav1.Duration `json:"dialTimeout,omitempty"`
}

// CA is one or several certificates of certificate authorities, in PEM.
//
// +kubebuilder:validation:ExactlyOneOf=secretRef;configMapRef;pem
type CA struct {
	// SecretRef is a key of a Secret.
	// +optional
	SecretRef *KeyReference `json:"secretRef,omitempty"`
	// ConfigMapRef is a key of a ConfigMap.
	// +optional
	ConfigMapRef *KeyReference `json:"configMapRef,omitempty"`
	// PEM is the certificates themselves.
	// +optional
	// +kubebuilder:validation:MaxLength=262144
	PEM string `json:"pem,omitempty"`
}

// KeyReference names one key of an object in the agent's own namespace.
type KeyReference struct {
	// Name is the object's.
	// +required
	// +kubebuilder:validation:MinLength=1
	// +kubebuilder:validation:MaxLength=253
	Name string `json:"name"`
	// Key is ca.crt where nothing else is said.
	// +optional
	// +kubebuilder:default=ca.crt
	// +kubebuilder:validation:MaxLength=253
	Key string `json:"key,omitempty"`
}

// SecretReference names a Secret as a whole; which of its keys are read follows from what it is used for.
type SecretReference struct {
	// SecretRef is a Secret of the agent's own namespace.
	// +required
	SecretRef *NameReference `json:"secretRef"`
}

// NameReference names an object in the agent's own namespace.
type NameReference struct {
	// Name is the object's.
	// +required
	// +kubebuilder:validation:MinLength=1
	// +kubebuilder:validation:MaxLength=253
	Name string `json:"name"`
}

// HostEntry maps names to addresses in /etc/hosts of every selected node. Exactly one of service and addresses is set.
//
// +kubebuilder:validation:ExactlyOneOf=service;addresses
type HostEntry struct {
	// Names are host names; the first of them is the canonical one.
	// +required
	// +listType=atomic
	// +kubebuilder:validation:MinItems=1
	// +kubebuilder:validation:MaxItems=32
	// +kubebuilder:validation:items:MaxLength=253
	Names []string `json:"names"`

	// Service is a Service of the cluster: its ClusterIPs are used, one of each family.
	// +optional
	Service *ServiceReference `json:"service,omitempty"`

	// Addresses are IP addresses, at most one of each family.
	// +optional
	// +listType=atomic
	// +kubebuilder:validation:MinItems=1
	// +kubebuilder:validation:MaxItems=2
	// +kubebuilder:validation:items:MaxLength=45
	Addresses []string `json:"addresses,omitempty"`
}

// ServiceReference names a Service.
type ServiceReference struct {
	// Namespace of the Service.
	// +required
	// +kubebuilder:validation:MinLength=1
	// +kubebuilder:validation:MaxLength=63
	Namespace string `json:"namespace"`
	// Name of the Service.
	// +required
	// +kubebuilder:validation:MinLength=1
	// +kubebuilder:validation:MaxLength=63
	Name string `json:"name"`
	// Port is the one at which the Service is asked when its health is checked.
	// +optional
	// +kubebuilder:validation:Minimum=1
	// +kubebuilder:validation:Maximum=65535
	Port int32 `json:"port,omitempty"`
}
