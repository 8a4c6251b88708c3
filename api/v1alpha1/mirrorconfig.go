package v1alpha1

import (
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
)

// MirrorConfig says which mirrors the nodes of a cluster use, and how. Any number of them may exist; they are merged per whole
// registry entry and per host name. Where two claim the same, the first by object name has it, and the other is told so.
//
// +kubebuilder:object:root=true
// +kubebuilder:resource:scope=Cluster,shortName=mc,categories=mirrorlet
// +kubebuilder:printcolumn:name="Restart",type=string,JSONPath=`.spec.runtimeRestart`
// +kubebuilder:printcolumn:name="Paused",type=string,JSONPath=`.metadata.annotations.mirrorlet\.dev/paused`
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
	// +kubebuilder:validation:XValidation:rule=`self.all(k, k.matches('^([a-z0-9]([-a-z0-9]*[a-z0-9])?([.][a-z0-9]([-a-z0-9]*[a-z0-9])?)*/)?[A-Za-z0-9]([-A-Za-z0-9_.]{0,61}[A-Za-z0-9])?$'))`,message="one of them is not a label's name; write name or prefix/name, such as kubernetes.io/arch"
	// +kubebuilder:validation:XValidation:rule=`self.map(k, self[k]).all(v, v.matches('^([A-Za-z0-9]([-A-Za-z0-9_.]{0,61}[A-Za-z0-9])?)?$'))`,message="one of them is not a label's value; use at most 63 letters, digits, -, _ and ., with a letter or digit at both ends"
	NodeSelector map[string]string `json:"nodeSelector,omitempty"`

	// Registries are the registries that are not, or not only, asked as they would be by themselves. Of several entries that
	// claim an image the longest prefix counts, wherever it stands in the list.
	// +optional
	// +listType=map
	// +listMapKey=prefix
	// +kubebuilder:validation:MaxItems=150
	// +kubebuilder:validation:XValidation:rule=`[self.map(r, r.prefix == 'index.docker.io' || r.prefix.startsWith('index.docker.io/') ? r.prefix.substring(6) : r.prefix)].all(l, l.all(p, l.exists_one(q, q == p)))`,message="one prefix is there twice (index.docker.io is docker.io); write one entry with all the mirrors"
	Registries []Registry `json:"registries,omitempty"`

	// Hosts are names that every node finds in its /etc/hosts.
	// +optional
	// +listType=atomic
	// +kubebuilder:validation:MaxItems=100
	// +kubebuilder:validation:XValidation:rule=`[self.map(h, h.names.map(n, n.lowerAscii()))].all(l, l.all(a, l.filter(b, sets.intersects(a, b)).size() < 2))`,message="one name is in two entries; write each name once"
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

// HostEntry maps names to addresses in /etc/hosts of every selected node. Exactly one of service and addresses is set.
//
// +kubebuilder:validation:XValidation:rule=`has(self.service) || has(self.addresses)`,message="has none of service, addresses; write one of them"
// +kubebuilder:validation:XValidation:rule=`!has(self.service) || !has(self.addresses)`,message="cannot stand beside service; keep one of them",fieldPath=.addresses
type HostEntry struct {
	// Names are host names; the first of them is the canonical one.
	// +required
	// +listType=atomic
	// +kubebuilder:validation:MaxItems=8
	// +kubebuilder:validation:items:MaxLength=253
	// +kubebuilder:validation:XValidation:rule=`self.size() > 0`,message="is empty; write names: [registry.example.com]"
	// +kubebuilder:validation:XValidation:rule=`[self.map(n, n.lowerAscii())].all(l, l.all(x, l.exists_one(y, y == x)))`,message="one of them is there twice; write it once"
	// +kubebuilder:validation:items:XValidation:rule=`!self.contains('*')`,message="is a pattern, which /etc/hosts does not know; write each name out"
	// +kubebuilder:validation:items:XValidation:rule=`!self.endsWith('.')`,message="ends with a dot; write it without"
	// +kubebuilder:validation:items:XValidation:rule=`self.matches(r'[*]|[.]$') || self.matches('(?i)^[a-z0-9]([a-z0-9-]{0,61}[a-z0-9])?([.][a-z0-9]([a-z0-9-]{0,61}[a-z0-9])?)*$')`,message="is not a host name; use letters, digits, - and . only, at most 253, and 63 between two dots"
	// +kubebuilder:validation:items:XValidation:rule=`!self.matches('(^|[.])[0-9]+$')`,message="looks like an IP address; write a name here and the address under addresses"
	// +kubebuilder:validation:items:XValidation:rule=`!self.matches('(?i)(^|[.])localhost$|^localhost[.]|^ip6-')`,message="belongs to the node itself; choose another name"
	Names []string `json:"names"`

	// Service is a Service of the cluster: its ClusterIPs are used, one of each family.
	// +optional
	Service *ServiceReference `json:"service,omitempty"`

	// Addresses are IP addresses, at most one of each family.
	// +optional
	// +listType=atomic
	// +kubebuilder:validation:MaxItems=2
	// +kubebuilder:validation:items:MaxLength=45
	// +kubebuilder:validation:XValidation:rule=`self.size() > 0`,message="is empty; write addresses: [10.1.2.3]"
	// +kubebuilder:validation:XValidation:rule=`self.filter(a, a.contains(':')).size() < 2 && self.filter(a, !a.contains(':')).size() < 2`,message="two of them are of the same family; keep one; some readers of /etc/hosts use the first only, others all"
	// +kubebuilder:validation:items:XValidation:rule=`!self.contains('%')`,messageExpression=`'has a zone; write ' + self.split('%')[0]`
	// +kubebuilder:validation:items:XValidation:rule=`self.contains('%') || self.matches(r'^((25[0-5]|2[0-4]\d|1\d\d|[1-9]?\d)[.]){3}(25[0-5]|2[0-4]\d|1\d\d|[1-9]?\d)$') || self.matches('(?i)^([0-9a-f]{1,4}:){7}[0-9a-f]{1,4}$') || self.matches('(?i)^([0-9a-f]{1,4}(:[0-9a-f]{1,4})*)?::([0-9a-f]{1,4}(:[0-9a-f]{1,4})*)?$') && self.findAll('[0-9a-fA-F]+').size() < 8`,message="is not an IP address; write one such as 10.1.2.3 or fd00::1, without a port"
	// +kubebuilder:validation:items:XValidation:rule=`!self.matches('(?i)^([0:]*:ffff(:[0-9a-f]{1,4}){2}$|(0+:){5}ffff:)')`,message="is an IPv4 address written as IPv6; write it as IPv4"
	// +kubebuilder:validation:items:XValidation:rule=`!self.matches('(?i)^(0[.]0[.]0[.]0|2(2[4-9]|3[0-9])[.].*|[0:]+|ff[0-9a-f]{2}:.*)$')`,message="is not the address of one host; write the address of one host"
	Addresses []string `json:"addresses,omitempty"`
}

// ServiceReference names a Service.
type ServiceReference struct {
	// Namespace of the Service.
	// +required
	// +kubebuilder:validation:MaxLength=63
	// +kubebuilder:validation:XValidation:rule=`self.matches('^[a-z0-9]([-a-z0-9]*[a-z0-9])?$')`,message="is not a name that a Service can have; use lower-case letters, digits and - only, at most 63"
	Namespace string `json:"namespace"`
	// Name of the Service.
	// +required
	// +kubebuilder:validation:MaxLength=63
	// +kubebuilder:validation:XValidation:rule=`self.matches('^[a-z0-9]([-a-z0-9]*[a-z0-9])?$')`,message="is not a name that a Service can have; use lower-case letters, digits and - only, at most 63"
	Name string `json:"name"`
	// Port is the one at which the Service is asked when its health is checked.
	// +optional
	// +kubebuilder:validation:Minimum=1
	// +kubebuilder:validation:Maximum=65535
	Port int32 `json:"port,omitempty"`
}
