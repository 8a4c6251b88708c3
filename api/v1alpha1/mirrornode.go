package v1alpha1

import (
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
)

// MirrorNode is what the agent of one node reports: one small object per node, with the name of its Node and owned by it, so that it
// goes with the Node. Nobody edits it.
//
// +kubebuilder:object:root=true
// +kubebuilder:resource:scope=Cluster,shortName=mn,categories=mirrorlet
// +kubebuilder:subresource:status
// +kubebuilder:printcolumn:name="Runtime",type=string,JSONPath=`.status.runtime`
// +kubebuilder:printcolumn:name="State",type=string,JSONPath=`.status.state`
// +kubebuilder:printcolumn:name="Obeyed",type=string,JSONPath=`.status.conditions[?(@.type=="Obeyed")].status`
// +kubebuilder:printcolumn:name="Mirrors",type=string,JSONPath=`.status.mirrorCount`
// +kubebuilder:printcolumn:name="Message",type=string,JSONPath=`.status.message`
// +kubebuilder:printcolumn:name="Age",type=date,JSONPath=`.metadata.creationTimestamp`
type MirrorNode struct {
	metav1.TypeMeta   `json:",inline"`
	metav1.ObjectMeta `json:"metadata,omitempty"`

	// Status is what the agent last said.
	// +optional
	Status MirrorNodeStatus `json:"status,omitempty"`
}

// MirrorNodeList is several MirrorNodes, as an API server lists them.
//
// +kubebuilder:object:root=true
type MirrorNodeList struct {
	metav1.TypeMeta `json:",inline"`
	metav1.ListMeta `json:"metadata,omitempty"`

	Items []MirrorNode `json:"items"`
}

// MirrorNodeStatus is where a node stands.
type MirrorNodeStatus struct {
	// State is where the node stands, in one word: NotEnrolled, Pending, Applied, PendingRestart, RolledBack, Refused, Unsupported or
	// Paused.
	// +optional
	State NodeState `json:"state,omitempty"`
	// Message is the one sentence to read first: what is so, and what to do about it.
	// +optional
	Message string `json:"message,omitempty"`
	// Runtime is the container runtime with its version, such as "containerd 2.4.2"; several are joined by commas.
	// +optional
	Runtime string `json:"runtime,omitempty"`
	// Agent is the version of the agent that said so.
	// +optional
	Agent string `json:"agent,omitempty"`
	// Revision names what is written on the node. The same files have the same revision on every node.
	// +optional
	Revision string `json:"revision,omitempty"`
	// Configs are the MirrorConfigs that the state is about, in the generation that was read.
	// +optional
	// +listType=map
	// +listMapKey=name
	Configs []ConfigStatus `json:"configs,omitempty"`
	// MirrorCount is the number of different mirrors that the node is told to use, for a column of a table.
	// +optional
	MirrorCount string `json:"mirrorCount,omitempty"`
	// Mirrors are the different mirrors that the node is told to use, in the order of their location.
	// +optional
	// +listType=map
	// +listMapKey=location
	Mirrors []MirrorStatus `json:"mirrors,omitempty"`
	// Problems are what was asked for and is not so, the first hundred of them.
	// +optional
	// +listType=atomic
	Problems []ProblemStatus `json:"problems,omitempty"`
	// Conditions: Obeyed says whether the runtime reads what is written.
	// +optional
	// +listType=map
	// +listMapKey=type
	Conditions []metav1.Condition `json:"conditions,omitempty"`
	// Heartbeat is when the agent last wrote this, at least every 30 minutes or so. An older one means that the agent does not run
	// or does not reach the API server, and that nothing here is news.
	// +optional
	Heartbeat *metav1.Time `json:"heartbeat,omitempty"`
}

// NodeState is where a node stands: one of the constants below. The CRD takes any word, so that an agent that is newer than the CRD can
// still report.
type NodeState string

// Where a node can stand.
const (
	NodeNotEnrolled    NodeState = "NotEnrolled"    // nobody asked for it: nothing is touched
	NodePending        NodeState = "Pending"        // known, not applied yet
	NodeApplied        NodeState = "Applied"        // written as it should be
	NodePendingRestart NodeState = "PendingRestart" // written, and the runtime must be restarted to read it
	NodeRolledBack     NodeState = "RolledBack"     // a change failed and was taken back
	NodeRefused        NodeState = "Refused"        // the documents are wrong: nothing was changed
	NodeUnsupported    NodeState = "Unsupported"    // no runtime that we know
	NodePaused         NodeState = "Paused"         // somebody asked for nothing to be changed
)

// ConfigStatus is a MirrorConfig as an agent read it.
type ConfigStatus struct {
	Name       string `json:"name"`
	Generation int64  `json:"generation"`
}

// MirrorStatus is one mirror as one node knows it.
type MirrorStatus struct {
	// Location is the mirror's, as its MirrorConfig has it.
	Location string `json:"location"`
	// Registries is the number of registry entries that use it.
	Registries int32 `json:"registries"`
}

// ProblemStatus is something that was asked for and is not so.
type ProblemStatus struct {
	// Registry is the prefix that it is about; empty where it is about the runtime or a whole document.
	// +optional
	Registry string `json:"registry,omitempty"`
	// Reason is explained at docs/reference, on a page of its own.
	Reason string `json:"reason"`
	// Message says what is so and what to do about it.
	Message string `json:"message"`
	// From is where it comes from, such as "MirrorConfig/cluster registries[0]".
	// +optional
	From string `json:"from,omitempty"`
}

// ConditionObeyed says whether the runtime reads what is written: True, with proof; False, with the reason; or Unknown.
const ConditionObeyed = "Obeyed"
