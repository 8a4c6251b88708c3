package main

import (
	"reflect"
	"slices"
	"strings"
	"testing"

	admission "k8s.io/api/admissionregistration/v1"
	core "k8s.io/api/core/v1"
	rbac "k8s.io/api/rbac/v1"
)

func TestWhatAComponentAddsAndTakesAway(t *testing.T) {
	base := built(t).names(t)
	for _, c := range []struct {
		component   string
		added, gone []string
	}{
		{"enroll-all", nil, nil},
		{"configmap", nil, []string{
			"CustomResourceDefinition mirrorconfigs.mirrorlet.dev", "Role mirrorlet-system/mirrorlet", "RoleBinding mirrorlet-system/mirrorlet",
		}},
		{"metrics", []string{"Service mirrorlet-system/mirrorlet-metrics"}, nil},
		{"openshift", []string{"RoleBinding mirrorlet-system/mirrorlet-privileged"}, nil},
		{"own-node", []string{"ValidatingAdmissionPolicy mirrorlet-own-node", "ValidatingAdmissionPolicyBinding mirrorlet-own-node"}, nil},
	} {
		with := built(t, c.component).names(t)
		if added := without(with, base); !slices.Equal(added, c.added) {
			t.Errorf("%s adds %q", c.component, added)
		}
		if gone := without(base, with); !slices.Equal(gone, c.gone) {
			t.Errorf("%s takes away %q", c.component, gone)
		}
	}
}

// without are those of all that are not in others.
func without(all, others []string) []string {
	return slices.DeleteFunc(slices.Clone(all), func(s string) bool { return slices.Contains(others, s) })
}

func TestComponentsOnlyAddFlagsAndGoTogether(t *testing.T) {
	_, c := agent(t, built(t, "enroll-all", "configmap", "metrics", "openshift", "own-node"))
	if got := strings.Join(c.Args, " "); got != "agent --cluster --root=/host --listen=:9353 --enroll=all --config=/etc/mirrorlet" {
		t.Errorf("it runs %s", got)
	}
}

func TestTheConfigMapIsAFolderThatMustBeThere(t *testing.T) {
	all := built(t, "configmap")
	pod, c := agent(t, all)
	want := core.VolumeMount{Name: "config", MountPath: "/etc/mirrorlet", ReadOnly: true}
	if !slices.ContainsFunc(c.VolumeMounts, func(m core.VolumeMount) bool { return reflect.DeepEqual(m, want) }) {
		t.Errorf("it mounts %+v", c.VolumeMounts)
	}
	mode, yes, object := int32(0o400), true, core.LocalObjectReference{Name: "mirrorlet-config"}
	source := core.VolumeSource{Projected: &core.ProjectedVolumeSource{DefaultMode: &mode, Sources: []core.VolumeProjection{
		{ConfigMap: &core.ConfigMapProjection{LocalObjectReference: object}},
		{Secret: &core.SecretProjection{LocalObjectReference: object, Optional: &yes}},
	}}}
	if !slices.ContainsFunc(pod.Volumes, func(v core.Volume) bool {
		return reflect.DeepEqual(v, core.Volume{Name: "config", VolumeSource: source})
	}) {
		t.Errorf("volumes are %+v", pod.Volumes)
	}
}

func TestFromAConfigMapNothingButNodesAndReportsIsAskedOfTheAPIServer(t *testing.T) {
	var resources []string
	for _, rule := range only[*rbac.ClusterRole](t, built(t, "configmap"), "mirrorlet").Rules {
		resources = append(resources, rule.Resources...)
	}
	if got := strings.Join(resources, " "); got != "mirrornodes mirrornodes/status nodes" {
		t.Errorf("it may ask for %s", got)
	}
}

func TestTheOwnNodePolicyDeniesWhereItCannotJudge(t *testing.T) {
	all := built(t, "own-node")
	policy := only[*admission.ValidatingAdmissionPolicy](t, all, "mirrorlet-own-node").Spec
	if *policy.FailurePolicy != admission.Fail {
		t.Errorf("the failure policy is %s", *policy.FailurePolicy)
	}
	rule := policy.MatchConstraints.ResourceRules[0]
	if !slices.Equal(rule.Resources, []string{"mirrornodes", "mirrornodes/status"}) || !slices.Equal(rule.APIVersions, []string{"*"}) {
		t.Errorf("it is about %+v", rule)
	}
	if rule.Scope == nil {
		t.Error("the scope is left to the server, which would make each kubectl apply a change")
	}
	binding := only[*admission.ValidatingAdmissionPolicyBinding](t, all, "mirrorlet-own-node").Spec
	if binding.PolicyName != "mirrorlet-own-node" || !slices.Equal(binding.ValidationActions, []admission.ValidationAction{admission.Deny}) {
		t.Errorf("the binding is %+v", binding)
	}
}

func TestOpenShiftLetsTheNamespaceBe(t *testing.T) {
	n := only[*core.Namespace](t, built(t, "openshift"), "mirrorlet-system")
	if selector, set := n.Annotations["openshift.io/node-selector"]; !set || selector != "" {
		t.Errorf("the node selector of the namespace is %q", selector)
	}
	if n.Labels["security.openshift.io/scc.podSecurityLabelSync"] != "false" || n.Labels["pod-security.kubernetes.io/enforce"] != "privileged" {
		t.Errorf("labels are %v", n.Labels)
	}
}
