package lab

import (
	"errors"
	"fmt"
	"os"
	"os/exec"
	"regexp"
	"strings"

	"github.com/mirrorlet/mirrorlet/test/parts"
)

// WorkerConfig says what kind of node is wanted.
type WorkerConfig struct {
	// Name is the Node's and the host's. Empty: worker1, worker2, ….
	Name string
	// Containerd is the release of its containerd: 2.4, 1.7 or 1.6. Empty: 2.4.
	Containerd string
	// ConfigTOML begins its /etc/containerd/config.toml. It must say the version of the file, and leave the sandbox's image and
	// restrict_oom_score_adj to the lab. Empty: one that reads /etc/containerd/certs.d.
	ConfigTOML string
	// Hosts are lines of its /etc/hosts: an address and names.
	Hosts []string
	// Labels are those with which its Node is born.
	Labels []string
}

// Worker is a machine with a containerd and a kubelet, at the paths that distributions give them. Its pods are on the network of the
// node (hostNetwork): it has no network plugin. It has SandboxImage and what Import brings, and pulls from the lab's registries.
type Worker struct {
	*Machine
	Containerd *Containerd
	Kubelet    *Daemon
	cluster    *Cluster
	ctr        string // the program
}

func (c *Cluster) newWorker(config WorkerConfig) (*Worker, error) {
	programs := map[string]string{}
	for place, part := range map[string]string{
		"bin/containerd": "containerd-" + config.Containerd, "bin/containerd-shim-runc-v2": "shim-" + config.Containerd,
		"sbin/runc": "runc", "bin/kubelet": "kubelet", "bin/ctr": "ctr",
	} {
		program, err := parts.Path(part)
		if err != nil {
			return nil, err
		}
		programs[place] = program
	}
	m, err := c.lab.Machine(config.Name, programs)
	if err != nil {
		return nil, err
	}
	w := &Worker{Machine: m, cluster: c, ctr: programs["bin/ctr"]}
	if err := errors.Join(w.writeContainerd(config), w.writeKubelet()); err != nil {
		return nil, err
	}
	w.Containerd = &Containerd{
		Folder: m.Path("/etc/containerd"), CertsD: m.Path("/etc/containerd/certs.d"), Socket: m.Path("/run/containerd/containerd.sock"),
		Daemon: c.lab.daemon(m.file("containerd.log"), "", "/usr/bin/containerd"),
	}
	w.Kubelet = c.lab.daemon(m.file("kubelet.log"), "", "/usr/bin/kubelet", "--config=/var/lib/kubelet/config.yaml",
		"--kubeconfig=/etc/kubernetes/kubelet.conf", "--hostname-override="+m.Name, "--node-ip="+m.Address,
		"--node-labels="+strings.Join(config.Labels, ","))
	w.Containerd.at, w.Kubelet.at = m, m
	return w, nil
}

// Start runs its containerd and its kubelet and returns when the Node is Ready, or still said to be so after a short absence.
func (w *Worker) Start() error {
	if err := w.Containerd.Start(); err != nil {
		return err
	}
	program, err := pause()
	if err != nil {
		return err
	}
	sandbox, err := w.cluster.lab.ProgramImage(SandboxImage, program)
	if err != nil {
		return err
	}
	if err := w.Import(sandbox); err != nil {
		return err
	}
	if err := w.Kubelet.start(); err != nil {
		return err
	}
	for _, what := range []string{"create", "condition=Ready"} {
		_, err := w.cluster.Kubectl("wait", "--for="+what, "node/"+w.Name, "--timeout="+readyTimeout.String())
		if err != nil {
			return fmt.Errorf("%w; the end of %s:\n%s", err, w.Kubelet.Log, w.Kubelet.tail())
		}
	}
	return nil
}

// Off turns the machine off, with all that runs there; On and Start bring it back.
func (w *Worker) Off() error {
	return errors.Join(w.Machine.Off(), w.Kubelet.Stop(), w.Containerd.Stop())
}

// Import brings the images of an archive, as docker save or an OCI layout in a tar file, to the worker, for its pods.
func (w *Worker) Import(archive string) error {
	file, err := os.Open(archive)
	if err != nil {
		return err
	}
	defer file.Close()
	// Without --local a ctr of 2.x uses the transfer service, which containerd 1.6 has not.
	cmd := exec.Command(w.ctr, "--address="+w.Containerd.Socket, "--namespace=k8s.io", "images", "import", "--local", "-")
	cmd.Stdin = file
	if out, err := cmd.CombinedOutput(); err != nil {
		return fmt.Errorf("import %s: %w: %s", archive, err, out)
	}
	return nil
}

// configVersion finds the version in a config.toml.
const configVersion = `(?m)^version\s*=\s*([0-9])`

// toml is the whole config.toml of its containerd.
func (c WorkerConfig) toml() string {
	text, version := c.ConfigTOML, "3"
	if c.Containerd != "2.4" {
		version = "2"
	}
	if found := regexp.MustCompile(configVersion).FindStringSubmatch(text); found != nil {
		version = found[1]
	}
	images, tables := "io.containerd.cri.v1.images", "[plugins.'io.containerd.cri.v1.runtime']\n  restrict_oom_score_adj = true\n"+
		"[plugins.'io.containerd.cri.v1.images'.pinned_images]\n  sandbox = '"+SandboxImage+"'\n"
	if version == "2" {
		images = "io.containerd.grpc.v1.cri"
		tables = "[plugins.'" + images + "']\n  restrict_oom_score_adj = true\n  sandbox_image = '" + SandboxImage + "'\n"
	}
	if text == "" {
		text = "version = " + version + "\n[plugins.'" + images + "'.registry]\n  config_path = '/etc/containerd/certs.d'\n"
	}
	return text + tables
}

// writeContainerd writes what its containerd reads.
func (w *Worker) writeContainerd(c WorkerConfig) error {
	hosts := strings.Join(append([]string{"127.0.0.1 localhost", w.Address + " " + w.Name}, c.Hosts...), "\n") + "\n"
	return errors.Join(
		w.WriteFile("/etc/containerd/config.toml", c.toml()),
		w.WriteFile("/etc/hosts", hosts),
		// A runtime without any network is not ready. Nothing is asked of this one, as all pods are on the node's own.
		w.WriteFile("/etc/cni/net.d/none.conflist", `{"cniVersion": "1.0.0", "name": "none", "plugins": [{"type": "none"}]}`),
		os.MkdirAll(w.Path("/etc/containerd/certs.d"), 0o755), os.MkdirAll(w.Path("/opt/cni/bin"), 0o755),
	)
}

// writeKubelet writes what its kubelet reads: a kubeconfig with which it is that node and no other, and its settings.
func (w *Worker) writeKubelet() error {
	kubeconfig, err := w.cluster.Kubeconfig("system:node:"+w.Name, "system:nodes")
	if err != nil {
		return err
	}
	credentials, err := os.ReadFile(kubeconfig)
	if err != nil {
		return err
	}
	return errors.Join(
		w.WriteFile("/etc/kubernetes/kubelet.conf", string(credentials)),
		w.WriteFile("/etc/kubernetes/ca.crt", string(w.cluster.CA.PEM)),
		os.MkdirAll(w.Path("/etc/kubernetes/manifests"), 0o755),
		w.WriteFile("/var/lib/kubelet/config.yaml", kubeletConfig),
	)
}

// kubeletConfig takes the machine as it is: with cgroups v1, without systemd, and without the right to lower an OOM score. It evicts
// and collects nothing, as the disk is not the lab's.
const kubeletConfig = `apiVersion: kubelet.config.k8s.io/v1beta1
kind: KubeletConfiguration
authentication: {anonymous: {enabled: false}, webhook: {enabled: true}, x509: {clientCAFile: /etc/kubernetes/ca.crt}}
authorization: {mode: Webhook}
containerRuntimeEndpoint: unix:///run/containerd/containerd.sock
staticPodPath: /etc/kubernetes/manifests
cgroupDriver: cgroupfs
failCgroupV1: false
failSwapOn: false
enforceNodeAllocatable: []
oomScoreAdj: 0
imageGCHighThresholdPercent: 100
evictionHard: {memory.available: 10Mi}
`
