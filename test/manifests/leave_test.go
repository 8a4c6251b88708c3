package manifests_test

import (
	"os"
	"os/exec"
	"path/filepath"
	"strings"
	"testing"

	"github.com/mirrorlet/mirrorlet/test/lab"
	"github.com/mirrorlet/mirrorlet/test/parts"
)

// commands are the lines of the first block of commands below a heading of docs/install.md.
func commands(t *testing.T, heading string) []string {
	t.Helper()
	page, err := os.ReadFile("../../docs/install.md")
	must(t, err)
	_, below, found := strings.Cut(string(page), "\n"+heading+"\n")
	_, block, open := strings.Cut(below, "```sh\n")
	block, _, closed := strings.Cut(block, "```")
	if !found || !open || !closed {
		t.Fatalf("docs/install.md has no commands below %q", heading)
	}
	return strings.Split(strings.TrimSpace(block), "\n")
}

// typed runs a command of the page in a shell, in the folder of install.yaml. Nobody carries out what is deleted here, so kubectl does
// not wait for that.
func typed(t *testing.T, s *lab.APIServer, folder, command string) {
	t.Helper()
	command = strings.Replace(command, "kubectl delete ", "kubectl delete --wait=false ", 1)
	program, err := parts.Path("kubectl")
	must(t, err)
	cmd := exec.Command("sh", "-ec", `kubectl() { "$KUBECTL" "$@"; }; `+command)
	cmd.Dir, cmd.Env = folder, append(os.Environ(), "KUBECTL="+program, "KUBECONFIG="+s.Admin, "HOME="+folder)
	if out, err := cmd.CombinedOutput(); err != nil {
		t.Fatalf("%s: %v\n%s", command, err, out)
	}
}

func TestTheWordsForLeavingWaitForEveryNode(t *testing.T) {
	s := server(t)
	install := installYAML(t, s)
	kubectl(t, s, "apply", "-f", install)
	kubectl(t, s, "wait", "--for=condition=Established", "crd/mirrornodes.mirrorlet.dev", "--timeout=30s")
	for _, node := range []string{"one", "two"} {
		_, err := s.Apply(`{apiVersion: v1, kind: List, items: [
{apiVersion: v1, kind: Node, metadata: {name: ` + node + `, labels: {mirrorlet.dev/enabled: "true"}}},
{apiVersion: mirrorlet.dev/v1alpha1, kind: MirrorNode, metadata: {name: ` + node + `}}]}`)
		must(t, err)
		report(t, s, node, "Applied")
	}
	lines := commands(t, "## Leave")
	if len(lines) != 5 || !strings.HasPrefix(lines[1], "kubectl wait ") {
		t.Fatalf("the page says %q", lines)
	}
	typed(t, s, filepath.Dir(install), lines[0])
	if got := kubectl(t, s, "get", "nodes", `-o=jsonpath={.items[*].metadata.annotations.mirrorlet\.dev/enabled}`); got != "false false" {
		t.Errorf("nodes are enrolled by %q", got)
	}
	report(t, s, "one", "NotEnrolled")
	hasty := strings.Replace(lines[1], "--timeout=10m", "--timeout=1s", 1)
	if out, err := s.Kubectl(strings.Fields(strings.ReplaceAll(strings.TrimPrefix(hasty, "kubectl "), "'", ""))...); err == nil {
		t.Errorf("it does not wait for the second node: %s", out)
	}
	report(t, s, "two", "NotEnrolled")
	for _, line := range lines[1:] {
		typed(t, s, filepath.Dir(install), line)
	}
	if got := kubectl(t, s, "get", "nodes", `-o=jsonpath={.items[*].metadata.labels.mirrorlet\.dev/enabled}{.items[*].metadata.annotations.mirrorlet\.dev/enabled}`); got != "" {
		t.Errorf("what is left on the nodes: %s", got)
	}
}

// report says, in place of an agent, where a node stands.
func report(t *testing.T, s *lab.APIServer, node, state string) {
	t.Helper()
	kubectl(t, s, "patch", "mirrornode", node, "--subresource=status", "--type=merge", `--patch={"status": {"state": "`+state+`"}}`)
}
