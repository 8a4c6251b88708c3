package cluster_test

import (
	"fmt"
	"io"
	"net/http"
	"strings"
	"sync"
	"testing"
	"time"

	"github.com/mirrorlet/mirrorlet/test/lab"
	"github.com/mirrorlet/mirrorlet/test/parts"
	"github.com/mirrorlet/mirrorlet/test/site"
)

// containerd24 has containerd 2.4 read certs.d, and tell all that it does.
const containerd24 = `version = 3
[debug]
  level = 'debug'
[plugins.'io.containerd.cri.v1.images'.registry]
  config_path = '/etc/containerd/certs.d'
[plugins.'io.containerd.nri.v1.nri']
  disable = true
`

// program is built once.
var program = sync.OnceValues(func() (string, error) { return site.Build(lab.Scratch()) })

// member is an enrolled node of a cluster with all of the manifests: a real API server, a real containerd, and the agent as a Pod has it.
type member struct {
	*site.Cluster
	t             *testing.T
	lab           *lab.Lab
	agent         *site.Pod
	proof, listen string // where the agent listens
	pulls         int
}

// join makes one and starts its agent. Tests that run at the same time need loopback addresses of their own, such as 127.0.0.2.
func join(t *testing.T, loopback string, config lab.APIServerConfig) *member {
	t.Helper()
	m := arrive(t, config)
	m.proof, m.listen = loopback+":9354", loopback+":9353"
	m.start()
	return m
}

// arrive makes one without an agent.
func arrive(t *testing.T, config lab.APIServerConfig) *member {
	t.Helper()
	lab.NeedAPIServer(t)
	containerd, err := parts.Path("containerd-2.4")
	lab.Need(t, err)
	built, err := program()
	must(t, err)
	l := lab.Start(t)
	s, err := site.New(l, built, containerd, containerd24)
	must(t, err)
	must(t, s.Node.Start())
	api, err := l.APIServer(config)
	must(t, err)
	c, err := s.Join(api, "node-a", "mirrorlet.dev/enabled=true")
	must(t, err)
	return &member{Cluster: c, t: t, lab: l}
}

// start starts the agent, which ends with the test.
func (m *member) start() {
	m.t.Helper()
	agent, err := m.Pod("--proof="+m.proof, "--listen="+m.listen)
	must(m.t, err)
	m.agent = agent
	m.t.Cleanup(func() {
		if m.agent == agent {
			m.stop()
		}
		if m.t.Failed() {
			m.t.Logf("the agent logged\n%s", agent.Log())
		}
	})
}

func (m *member) stop() {
	m.t.Helper()
	if err := m.agent.Stop(); err != nil {
		m.t.Errorf("the agent: %v", err)
	}
	m.agent = nil
}

func (m *member) kubectl(args ...string) string {
	m.t.Helper()
	out, err := m.API.Kubectl(args...)
	must(m.t, err)
	return strings.TrimSpace(out)
}

func (m *member) apply(documents string) {
	m.t.Helper()
	_, err := m.API.Apply(documents)
	must(m.t, err)
}

// obeys waits until the node reports that its containerd was proven to go by these mirrors, and has it pull.
func (m *member) obeys(mirror *lab.Registry) {
	m.t.Helper()
	m.awaits("{.status.mirrors[0].location}", mirror.URL())
	m.awaits(`{.status.conditions[?(@.type=="Obeyed")].reason}`, "Proven")
	m.pullsThrough(mirror)
}

// awaits waits until a JSONPath of the MirrorNode has a value. After a long trouble it may take half a minute until the agent asks again,
// and as much again where the API server then says that it is not ready.
func (m *member) awaits(path, value string) {
	m.t.Helper()
	m.kubectl("wait", "--for=create", "mirrornode/"+m.Name, "--timeout=70s")
	if _, err := m.API.Kubectl("wait", "mirrornode/"+m.Name, "--for=jsonpath="+path+"="+value, "--timeout=70s"); err != nil {
		m.t.Fatalf("%v\n%s", err, m.kubectl("get", "mirrornode", m.Name, "-o=yaml"))
	}
}

// pullsThrough has containerd pull an image that it never had, and looks at who was asked for it.
func (m *member) pullsThrough(mirror *lab.Registry) {
	m.t.Helper()
	m.pulls++
	const repository = "library/app"
	image := fmt.Sprintf("%s:%d", repository, m.pulls)
	_, err := m.Image(image)
	must(m.t, err)
	for _, r := range []*lab.Registry{m.Upstream, m.Mirror, m.Spare} {
		r.Log.Clear()
	}
	if err := m.Pull(image); err != nil {
		m.t.Errorf("pull %s: %v", image, err)
	}
	for _, r := range []*lab.Registry{m.Upstream, m.Mirror, m.Spare} {
		if asked := site.Asked(r, repository); (asked > 0) != (r == mirror) {
			m.t.Errorf("%s was asked %d times for %s, and the mirror is %s", r.Host(), asked, image, mirror.Host())
		}
	}
}

// metrics is what the agent serves at the moment; empty until it does.
func (m *member) metrics() string {
	m.t.Helper()
	answer, err := http.Get("http://" + m.listen + "/metrics")
	if err != nil {
		return ""
	}
	defer answer.Body.Close()
	text, err := io.ReadAll(answer.Body)
	must(m.t, err)
	return string(text)
}

// tree is all that may be ours on the node.
func (m *member) tree() string {
	m.t.Helper()
	tree, err := m.Tree()
	must(m.t, err)
	return tree
}

// stays watches for a while that no file is anything but what it was.
func (m *member) stays(tree string, d time.Duration) {
	m.t.Helper()
	tick := time.NewTicker(100 * time.Millisecond)
	defer tick.Stop()
	for over := time.After(d); ; {
		if now := m.tree(); now != tree {
			m.t.Fatalf("the node was changed; it was\n%s\nand is\n%s", tree, now)
		}
		select {
		case <-tick.C:
		case <-over:
			return
		}
	}
}

// hears waits until the agent has logged something after what it had logged before.
func (m *member) hears(before, text string) {
	m.t.Helper()
	tick := time.NewTicker(20 * time.Millisecond)
	defer tick.Stop()
	for over := time.After(30 * time.Second); !strings.Contains(strings.TrimPrefix(m.agent.Log(), before), text); {
		select {
		case <-tick.C:
		case <-over:
			m.t.Fatalf("the agent does not say %q", text)
		}
	}
}
