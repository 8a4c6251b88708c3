// Package manifests_test applies the manifests to a real API server, as their users do.
package manifests_test

import (
	"fmt"
	"io"
	"net/http"
	"os"
	"path/filepath"
	"strings"
	"testing"
	"time"

	"github.com/mirrorlet/mirrorlet/test/lab"
)

func TestMain(m *testing.M) { lab.Main(m) }

const namespace, account = "mirrorlet-system", "mirrorlet"

func must(t *testing.T, err error) {
	t.Helper()
	if err != nil {
		t.Fatal(err)
	}
}

func server(t *testing.T) *lab.APIServer {
	t.Helper()
	lab.NeedAPIServer(t)
	s, err := lab.Start(t).APIServer(lab.APIServerConfig{})
	must(t, err)
	return s
}

// installYAML writes what a kustomization of a user's own comes to, with his image and these components, and returns its path. It is
// what make install.yaml writes, by the kustomize of kubectl.
func installYAML(t *testing.T, s *lab.APIServer, components ...string) string {
	t.Helper()
	folder := t.TempDir()
	manifests, err := filepath.Abs("../../manifests")
	must(t, err)
	manifests, err = filepath.Rel(folder, manifests) // others are taken for addresses
	must(t, err)
	text := "resources: [" + manifests + "/base]\nimages: [{name: mirrorlet, newName: registry.example.com/mirrorlet, newTag: v1}]\ncomponents:\n"
	for _, c := range components {
		text += "- " + manifests + "/components/" + c + "\n"
	}
	must(t, os.WriteFile(filepath.Join(folder, "kustomization.yaml"), []byte(text), 0o644))
	out := filepath.Join(folder, "install.yaml")
	must(t, os.WriteFile(out, []byte(kubectl(t, s, "kustomize", folder)), 0o644))
	return out
}

func kubectl(t *testing.T, s *lab.APIServer, args ...string) string {
	t.Helper()
	out, err := s.Kubectl(args...)
	must(t, err)
	return out
}

// applied applies twice and checks that the second time changes nothing.
func applied(t *testing.T, s *lab.APIServer, args ...string) {
	t.Helper()
	args = append([]string{"apply"}, args...)
	first := strings.Count(kubectl(t, s, args...), "\n")
	second := strings.TrimSpace(kubectl(t, s, args...))
	lines := strings.Split(second, "\n")
	for _, line := range lines {
		if !strings.HasSuffix(line, " unchanged") {
			t.Errorf("the second time: %s", line)
		}
	}
	if len(lines) != first || first < 9 {
		t.Errorf("the first time %d objects, the second %d", first, len(lines))
	}
}

func TestOneApplyIsEnoughForAnEmptyClusterAndAnotherChangesNothing(t *testing.T) {
	s := server(t)
	applied(t, s, "-k", "../../manifests/base")
	applied(t, s, "-f", installYAML(t, s))
	applied(t, s, "-f", installYAML(t, s, "own-node", "enroll-all", "metrics", "openshift"))
}

func TestWithTheComponentConfigMapNodesReportAndThereAreNoMirrorConfigs(t *testing.T) {
	s := server(t)
	applied(t, s, "-f", installYAML(t, s, "configmap"))
	kubectl(t, s, "wait", "--for=condition=Established", "crd/mirrornodes.mirrorlet.dev", "--timeout=30s")
	kubectl(t, s, "get", "mirrornodes")
	if out, err := s.Kubectl("get", "mirrorconfigs"); err == nil {
		t.Errorf("there are MirrorConfigs: %s", out)
	}
}

func TestTheSampleIsTaken(t *testing.T) {
	s := server(t)
	kubectl(t, s, "apply", "-f", installYAML(t, s))
	kubectl(t, s, "wait", "--for=condition=Established", "crd/mirrorconfigs.mirrorlet.dev", "--timeout=30s")
	kubectl(t, s, "apply", "-f", "../../manifests/sample")
}

func TestTheAgentMayDoThisAndNothingElse(t *testing.T) {
	s := server(t)
	kubectl(t, s, "apply", "-f", installYAML(t, s))
	kubectl(t, s, "wait", "--for=condition=Established", "crd/mirrorconfigs.mirrorlet.dev", "crd/mirrornodes.mirrorlet.dev", "--timeout=30s")
	agent, err := s.TokenKubeconfig(namespace, account)
	must(t, err)
	for _, c := range []struct{ may, words string }{
		{"yes", "watch mirrorconfigs"},
		{"no", "update mirrorconfigs"},
		{"no", "delete mirrorconfigs"},
		{"yes", "create mirrornodes"},
		{"no", "update mirrornodes --subresource=status"},
		{"yes", "patch mirrornodes --subresource=status"},
		{"no", "update mirrornodes"},
		{"no", "delete mirrornodes"},
		{"no", "list mirrornodes"},
		{"yes", "watch nodes"},
		{"no", "patch nodes"},
		{"no", "update nodes --subresource=status"},
		{"no", "get nodes --subresource=proxy"},
		{"yes", "watch services --namespace=registry"},
		{"no", "update services --namespace=registry"},
		{"yes", "watch secrets --namespace=mirrorlet-system"},
		{"yes", "watch configmaps --namespace=mirrorlet-system"},
		{"no", "get secrets --namespace=kube-system"},
		{"no", "get secrets --namespace=default"},
		{"no", "list configmaps --namespace=kube-system"},
		{"no", "create secrets --namespace=mirrorlet-system"},
		{"no", "create serviceaccounts --subresource=token --namespace=mirrorlet-system"},
		{"yes", "create events --namespace=default"},
		{"yes", "patch events --namespace=default"},
		{"no", "create events --namespace=mirrorlet-system"},
		{"no", "get pods --namespace=mirrorlet-system"},
		{"no", "create pods --namespace=mirrorlet-system"},
	} {
		out, _ := s.KubectlAs(agent, "", append([]string{"auth", "can-i"}, strings.Fields(c.words)...)...) // for "no" it ends with 1
		if got := strings.TrimSpace(out); got != c.may {
			t.Errorf("may it %s? %q", c.words, got)
		}
	}
}

// agentOf makes a Node and a Pod of the DaemonSet on it, and returns the token that this Pod would get.
func agentOf(t *testing.T, s *lab.APIServer, node string) string {
	t.Helper()
	_, err := s.Apply(`{apiVersion: v1, kind: List, items: [
{apiVersion: v1, kind: Node, metadata: {name: ` + node + `}},
{apiVersion: v1, kind: Pod, metadata: {name: agent-` + node + `, namespace: ` + namespace + `},
 spec: {nodeName: ` + node + `, serviceAccountName: ` + account + `, containers: [{name: agent, image: mirrorlet}]}}]}`)
	must(t, err)
	token := kubectl(t, s, "create", "token", account, "--namespace="+namespace, "--bound-object-kind=Pod", "--bound-object-name=agent-"+node)
	return strings.TrimSpace(token)
}

func TestWithOwnNodeAnAgentReportsForItsOwnNodeOnly(t *testing.T) {
	s := server(t)
	kubectl(t, s, "apply", "-f", installYAML(t, s, "own-node"))
	kubectl(t, s, "wait", "--for=condition=Established", "crd/mirrornodes.mirrorlet.dev", "--timeout=30s")
	unbound, err := s.TokenKubeconfig(namespace, account)
	must(t, err)
	one, two := agentOf(t, s, "one"), agentOf(t, s, "two")
	as := func(token, input string, args ...string) error {
		_, err := s.KubectlAs(unbound, input, append([]string{"--token=" + token}, args...)...)
		return err
	}
	mirrorNode := func(name string) string {
		return `{apiVersion: mirrorlet.dev/v1alpha1, kind: MirrorNode, metadata: {name: ` + name + `}}`
	}
	status := `--patch={"status": {"state": "Applied", "message": "by hand"}}`
	awaitDenial(t, func() error {
		return as(one, mirrorNode("two"), "create", "--dry-run=server", "-f", "-")
	}, "the agent of node one may write the MirrorNode one only")

	must(t, as(one, mirrorNode("one"), "create", "-f", "-"))
	must(t, as(two, mirrorNode("two"), "create", "-f", "-"))
	must(t, reports(s, one, "one"))
	denied(t, reports(s, one, "two"), "may write the MirrorNode one only")
	_, err = s.KubectlAs(unbound, mirrorNode("three"), "create", "-f", "-")
	denied(t, err, "the token does not name a node")
	kubectl(t, s, "patch", "mirrornode", "two", "--subresource=status", "--type=merge", status) // others are not meant
}

// reports patches the status of a MirrorNode as the agent does: kubectl would read it first, which the agent may not.
func reports(s *lab.APIServer, token, node string) error {
	url := s.URL + "/apis/mirrorlet.dev/v1alpha1/mirrornodes/" + node + "/status"
	patch, err := http.NewRequest(http.MethodPatch, url, strings.NewReader(`{"status": {"state": "Applied", "message": "by itself"}}`))
	if err != nil {
		return err
	}
	patch.Header.Set("Authorization", "Bearer "+token)
	patch.Header.Set("Content-Type", "application/merge-patch+json")
	answer, err := (&http.Client{Transport: lab.Trust(s.CA)}).Do(patch)
	if err != nil {
		return err
	}
	defer answer.Body.Close()
	said, err := io.ReadAll(answer.Body)
	if err == nil && answer.StatusCode != http.StatusOK {
		err = fmt.Errorf("%s: %s", answer.Status, said)
	}
	return err
}

func denied(t *testing.T, err error, why string) {
	t.Helper()
	if err == nil || !strings.Contains(err.Error(), "mirrorlet-own-node") || !strings.Contains(err.Error(), why) {
		t.Errorf("it should be denied because %s: %v", why, err)
	}
}

// awaitDenial waits until the API server has taken notice of the policy, which nothing announces.
func awaitDenial(t *testing.T, try func() error, why string) {
	t.Helper()
	tick := time.NewTicker(200 * time.Millisecond)
	defer tick.Stop()
	end := time.After(time.Minute)
	for {
		err := try()
		if err != nil {
			denied(t, err, why)
			return
		}
		select {
		case <-tick.C:
		case <-end:
			t.Fatal("the policy is without effect after a minute")
		}
	}
}
