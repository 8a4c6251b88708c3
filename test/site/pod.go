package site

import (
	"errors"
	"fmt"
	"net/url"
	"os"
	"os/exec"
	"path/filepath"
	"strings"

	"github.com/mirrorlet/mirrorlet/agent/cluster"
)

// podScript gives a process a service account's folder where every Pod has it, and nobody else, and then becomes the program.
const podScript = `mount -n -t tmpfs tmpfs /run && mkdir -p "$2" && mount -n --bind "$1" "$2" && shift 2 && exec "$@"`

// Pod is the program's agent of a node as the DaemonSet runs it: it knows the API server, its node and its namespace by its environment
// alone, and its token from the folder that the kubelet mounts.
type Pod struct {
	*Member
	cluster *Cluster
	account string // the folder
	tokens  int    // so many were written
}

// Pod starts it, with more arguments.
func (c *Cluster) Pod(args ...string) (*Pod, error) {
	folder, err := c.lab.Folder("account")
	if err != nil {
		return nil, err
	}
	p := &Pod{cluster: c, account: folder}
	if err := p.Admit(); err != nil {
		return nil, err
	}
	api, err := url.Parse(c.API.URL)
	if err != nil {
		return nil, err
	}
	argv := append([]string{"-ec", podScript, "sh", folder, cluster.ServiceAccount, c.program, "agent", "--cluster", "--root=" + c.Node.Root}, args...)
	cmd := exec.Command("unshare", append([]string{"--mount", "sh"}, argv...)...)
	cmd.Env = append(os.Environ(), "NODE_NAME="+c.Name, "POD_NAMESPACE="+Namespace, "KUBERNETES_SERVICE_HOST="+api.Hostname(), "KUBERNETES_SERVICE_PORT=443")
	p.Member, err = start(cmd)
	return p, err
}

// Admit makes the Pod's object at the API server, unless it is there, and gives the Pod a new token that is good as long as that object is.
func (p *Pod) Admit() error {
	name := "agent-" + p.cluster.Name
	_, err := p.cluster.API.Apply(fmt.Sprintf(`{apiVersion: v1, kind: Pod, metadata: {name: %s, namespace: %s},
spec: {nodeName: %s, serviceAccountName: mirrorlet, containers: [{name: agent, image: mirrorlet}]}}`, name, Namespace, p.cluster.Name))
	if err != nil {
		return err
	}
	token, err := p.cluster.API.Kubectl("create", "token", "mirrorlet", "--namespace="+Namespace, "--bound-object-kind=Pod", "--bound-object-name="+name)
	if err != nil {
		return err
	}
	return p.mount(strings.TrimSpace(token))
}

// mount writes a token as the kubelet does: into a new folder, to which a link then leads (pkg/volume/util/atomic_writer.go of Kubernetes).
func (p *Pod) mount(token string) error {
	p.tokens++
	data := fmt.Sprintf("..%d", p.tokens)
	folder := filepath.Join(p.account, data)
	err := errors.Join(
		os.Mkdir(folder, 0o755),
		os.WriteFile(filepath.Join(folder, "token"), []byte(token), 0o600),
		os.WriteFile(filepath.Join(folder, "ca.crt"), p.cluster.API.CA.PEM, 0o644),
		os.Symlink(data, filepath.Join(p.account, "..new")),
		os.Rename(filepath.Join(p.account, "..new"), filepath.Join(p.account, "..data")),
	)
	if err != nil || p.tokens > 1 {
		return err
	}
	return errors.Join(os.Symlink("..data/token", filepath.Join(p.account, "token")), os.Symlink("..data/ca.crt", filepath.Join(p.account, "ca.crt")))
}
