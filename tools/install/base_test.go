package main

import (
	"os"
	"reflect"
	"strings"
	"testing"

	apps "k8s.io/api/apps/v1"
	core "k8s.io/api/core/v1"
	rbac "k8s.io/api/rbac/v1"
	"k8s.io/apimachinery/pkg/api/meta"
)

func TestTheBaseIsThisAndHasNoObjectOfOurs(t *testing.T) {
	want := []string{
		"ClusterRole mirrorlet", "ClusterRoleBinding mirrorlet",
		"CustomResourceDefinition mirrorconfigs.mirrorlet.dev", "CustomResourceDefinition mirrornodes.mirrorlet.dev",
		"DaemonSet mirrorlet-system/mirrorlet", "Namespace mirrorlet-system", "ResourceQuota mirrorlet-system/mirrorlet",
		"Role default/mirrorlet-events", "Role mirrorlet-system/mirrorlet",
		"RoleBinding default/mirrorlet-events", "RoleBinding mirrorlet-system/mirrorlet", "ServiceAccount mirrorlet-system/mirrorlet",
	}
	if got := built(t).names(t); !reflect.DeepEqual(got, want) {
		t.Errorf("it is\n%s", strings.Join(got, "\n"))
	}
}

func TestTheNamespaceComesFirst(t *testing.T) {
	if first, ok := built(t)[0].(*core.Namespace); !ok || first.Name != "mirrorlet-system" {
		t.Errorf("first comes %v", built(t)[0])
	}
}

func TestTheNamespaceAdmitsPrivilegedPods(t *testing.T) {
	labels := only[*core.Namespace](t, built(t), "mirrorlet-system").Labels
	for _, mode := range []string{"enforce", "audit", "warn"} {
		if level := labels["pod-security.kubernetes.io/"+mode]; level != "privileged" {
			t.Errorf("%s is %q", mode, level)
		}
	}
}

func TestAllThatIsInstalledIsFoundByOneLabel(t *testing.T) {
	for _, object := range built(t, "own-node", "openshift", "enroll-all", "metrics") {
		m, err := meta.Accessor(object)
		if err != nil || m.GetLabels()["app.kubernetes.io/part-of"] != "mirrorlet" {
			t.Errorf("%T %s has the labels %v", object, m.GetName(), m.GetLabels())
		}
	}
}

func TestTheAgentIsRootOnTheHostAndCannotWriteItsImage(t *testing.T) {
	_, c := agent(t, built(t))
	yes, root := true, int64(0)
	want := &core.SecurityContext{Privileged: &yes, ReadOnlyRootFilesystem: &yes, RunAsUser: &root, RunAsGroup: &root}
	if !reflect.DeepEqual(c.SecurityContext, want) {
		t.Errorf("the security context is %+v", c.SecurityContext)
	}
}

func TestTheAgentSeesTheWholeHostAndWhatIsMountedLater(t *testing.T) {
	pod, c := agent(t, built(t))
	inward := core.MountPropagationHostToContainer
	if want := []core.VolumeMount{{Name: "host", MountPath: "/host", MountPropagation: &inward}}; !reflect.DeepEqual(c.VolumeMounts, want) {
		t.Errorf("it mounts %+v", c.VolumeMounts)
	}
	if len(pod.Volumes) != 1 || pod.Volumes[0].HostPath == nil || pod.Volumes[0].HostPath.Path != "/" {
		t.Errorf("volumes are %+v", pod.Volumes)
	}
	if !pod.HostNetwork || pod.HostPID || pod.HostIPC || pod.DNSPolicy != core.DNSDefault {
		t.Errorf("of the host it has: network %t, processes %t, IPC %t, DNS %s", pod.HostNetwork, pod.HostPID, pod.HostIPC, pod.DNSPolicy)
	}
}

func TestTheAgentRunsOnEveryLinuxNodeBeforeOthers(t *testing.T) {
	all := built(t)
	pod, _ := agent(t, all)
	if want := []core.Toleration{{Operator: core.TolerationOpExists}}; !reflect.DeepEqual(pod.Tolerations, want) {
		t.Errorf("it tolerates %+v", pod.Tolerations)
	}
	if want := map[string]string{core.LabelOSStable: "linux"}; !reflect.DeepEqual(pod.NodeSelector, want) || pod.Affinity != nil {
		t.Errorf("it runs on %v", pod.NodeSelector)
	}
	scopes := only[*core.ResourceQuota](t, all, "mirrorlet").Spec.ScopeSelector.MatchExpressions
	want := []core.ScopedResourceSelectorRequirement{{
		ScopeName: core.ResourceQuotaScopePriorityClass, Operator: core.ScopeSelectorOpIn, Values: []string{pod.PriorityClassName},
	}}
	if pod.PriorityClassName != "system-node-critical" || !reflect.DeepEqual(scopes, want) {
		t.Errorf("its priority is %s, and the quota is for %+v", pod.PriorityClassName, scopes)
	}
	update := only[*apps.DaemonSet](t, all, "mirrorlet").Spec.UpdateStrategy
	if update.Type != apps.RollingUpdateDaemonSetStrategyType || update.RollingUpdate.MaxUnavailable.String() != "10%" || update.RollingUpdate.MaxSurge != nil {
		t.Errorf("the update strategy is %+v", update)
	}
}

func TestTheAgentIsToldWhatItAsksFor(t *testing.T) {
	pod, c := agent(t, built(t))
	if got := strings.Join(c.Args, " "); got != "agent --cluster --root=/host --listen=127.0.0.1:9353" || c.Command != nil {
		t.Errorf("it runs %v %s", c.Command, got)
	}
	var env []string
	for _, e := range c.Env {
		env = append(env, e.Name+"="+e.ValueFrom.FieldRef.FieldPath)
	}
	if got := strings.Join(env, " "); got != "NODE_NAME=spec.nodeName POD_NAMESPACE=metadata.namespace" {
		t.Errorf("its environment is %s", got)
	}
	if pod.ServiceAccountName != "mirrorlet" || pod.AutomountServiceAccountToken == nil || !*pod.AutomountServiceAccountToken {
		t.Error("it has no token of the ServiceAccount mirrorlet")
	}
	for path, probe := range map[string]*core.Probe{"/healthz": c.LivenessProbe, "/readyz": c.ReadinessProbe} {
		if g := probe.HTTPGet; g == nil || g.Path != path || g.Host != "127.0.0.1" || g.Port.IntValue() != 9353 {
			t.Errorf("the probe of %s asks %+v", path, g)
		}
	}
	if c.Resources.Requests.Cpu().String() != "10m" || c.Resources.Requests.Memory().String() != "32Mi" || !c.Resources.Limits.Cpu().IsZero() {
		t.Errorf("its resources are %+v", c.Resources)
	}
}

func TestTheRightsAreTheseAndNoOthers(t *testing.T) {
	all := built(t)
	look := []string{"get", "list", "watch"}
	ours, none := []string{"mirrorlet.dev"}, []string{""}
	for _, c := range []struct {
		role      string
		got, want []rbac.PolicyRule
	}{
		{"ClusterRole mirrorlet", only[*rbac.ClusterRole](t, all, "mirrorlet").Rules, []rbac.PolicyRule{
			{APIGroups: ours, Resources: []string{"mirrorconfigs"}, Verbs: look},
			{APIGroups: ours, Resources: []string{"mirrornodes"}, Verbs: []string{"get", "create"}},
			{APIGroups: ours, Resources: []string{"mirrornodes/status"}, Verbs: []string{"patch"}},
			{APIGroups: none, Resources: []string{"nodes"}, Verbs: look},
			{APIGroups: none, Resources: []string{"services"}, Verbs: look},
		}},
		{"Role mirrorlet", only[*rbac.Role](t, all, "mirrorlet").Rules, []rbac.PolicyRule{
			{APIGroups: none, Resources: []string{"secrets", "configmaps"}, Verbs: look},
		}},
		{"Role mirrorlet-events", only[*rbac.Role](t, all, "mirrorlet-events").Rules, []rbac.PolicyRule{
			{APIGroups: none, Resources: []string{"events"}, Verbs: []string{"create", "patch"}},
		}},
	} {
		if !reflect.DeepEqual(c.got, c.want) {
			t.Errorf("%s gives %+v", c.role, c.got)
		}
	}
}

func TestTheRightsAreTheAgentsAlone(t *testing.T) {
	want := []rbac.Subject{{Kind: "ServiceAccount", Name: "mirrorlet", Namespace: "mirrorlet-system"}}
	for _, object := range built(t, "openshift") {
		switch b := object.(type) {
		case *rbac.ClusterRoleBinding:
			if !reflect.DeepEqual(b.Subjects, want) || b.RoleRef.Name != b.Name {
				t.Errorf("ClusterRoleBinding %s gives %s to %+v", b.Name, b.RoleRef.Name, b.Subjects)
			}
		case *rbac.RoleBinding:
			if !reflect.DeepEqual(b.Subjects, want) || b.RoleRef.Name != b.Name && b.RoleRef.Name != "system:openshift:scc:privileged" {
				t.Errorf("RoleBinding %s gives %s to %+v", b.Name, b.RoleRef.Name, b.Subjects)
			}
		}
	}
}

func TestTheImageStandsAsItWasGiven(t *testing.T) {
	for _, image := range []string{
		"mirrorlet:devel", "docker.io/me/mirrorlet:v1", "registry.example.com:5000/a/b:v1",
		"registry.example.com/mirrorlet@sha256:" + strings.Repeat("a", 64), "registry.example.com/mirrorlet:v1@sha256:" + strings.Repeat("a", 64),
	} {
		text, err := render(os.DirFS("../../manifests"), image, nil)
		if err != nil {
			t.Error(err)
		}
		if got := strings.Count(string(text), "\n        image: "+image+"\n"); got != 1 {
			t.Errorf("%s is the image of %d containers", image, got)
		}
	}
}

func TestAnOrderThatCannotBeMetSaysWhatCan(t *testing.T) {
	for _, c := range []struct{ image, component, remedy string }{
		{"mirrorlet", "own-node", "registry.example.com/mirrorlet:v1"},
		{"a b", "own-node", "registry.example.com/mirrorlet:v1"},
		{"mirrorlet:v1", "own", "configmap, enroll-all, metrics, openshift, own-node"},
	} {
		_, err := render(os.DirFS("../../manifests"), c.image, []string{c.component})
		if err == nil || !strings.Contains(err.Error(), c.remedy) {
			t.Errorf("%+v: the error is %v", c, err)
		}
	}
}
