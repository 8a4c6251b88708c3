package cluster_test

import (
	"encoding/json"
	"fmt"
	"regexp"
	"slices"
	"strings"
	"testing"
	"time"

	"github.com/mirrorlet/mirrorlet/test/lab"
	"github.com/mirrorlet/mirrorlet/test/site"
)

// A disaster takes something away from an agent that works, and mend brings it back, without the agent being started again.
type disaster struct {
	name   string
	strike func(*member)
	// says is what the agent logs when it has noticed; reports what its MirrorNode then has as a Problem. Empty: not this one.
	says, reports string
	// lasts is for how long after that nothing may happen.
	lasts time.Duration
	mend  func(*member)
	again bool // containerd starts again meanwhile, which makes the last proof worthless
}

// sure is longer than it takes to be sure that an object is gone.
const sure = 7 * time.Second

var disasters = []disaster{
	{
		name:   "the kind MirrorConfig is deleted and takes five objects with it",
		strike: func(m *member) { m.kubectl("delete", "crd", "mirrorconfigs.mirrorlet.dev") },
		says:   "what=MirrorConfigs error=",
		lasts:  sure,
		mend:   (*member).install,
	},
	{
		name: "a Secret and a ConfigMap are deleted that MirrorConfigs name",
		strike: func(m *member) {
			m.kubectl("delete", "secret/robot", "configmap/lab-ca", "--namespace="+site.Namespace)
		},
		reports: "UnresolvedReference",
		mend:    func(*member) {}, // want does
	},
	{
		name: "its rights are taken away",
		strike: func(m *member) {
			m.kubectl("delete", "clusterrole,clusterrolebinding,role,rolebinding", "--all-namespaces", "--selector=app.kubernetes.io/name=mirrorlet")
			m.cut()
		},
		says: "forbidden",
		mend: (*member).install,
	},
	{
		name: "its token is revoked",
		strike: func(m *member) {
			m.kubectl("delete", "pod/agent-node-a", "serviceaccount/mirrorlet", "--namespace="+site.Namespace, "--force", "--grace-period=0")
			m.cut()
		},
		says: "Unauthorized",
		mend: (*member).install,
	},
	{
		name: "the API server goes away and containerd starts again meanwhile",
		strike: func(m *member) {
			must(m.t, m.API.Stop())
			must(m.t, m.Node.Stop())
			must(m.t, m.Node.Start())
		},
		says:  "connection refused",
		mend:  func(m *member) { must(m.t, m.API.Start()) },
		again: true,
	},
	{
		name: "everything is pruned in the order in which it was applied",
		strike: func(m *member) {
			m.kubectl("delete", "-k", site.Manifests("base"), "--wait=false")
			m.emptyNamespace()
		},
		says:  "what=MirrorConfigs error=",
		lasts: sure,
		mend:  (*member).install,
	},
	{
		name: "everything is pruned in the opposite order",
		strike: func(m *member) {
			documents := strings.Split(m.kubectl("kustomize", site.Manifests("base")), "\n---\n")
			slices.Reverse(documents)
			_, err := m.API.KubectlAs(m.API.Admin, strings.Join(documents, "\n---\n"), "delete", "--filename=-", "--wait=false")
			must(m.t, err)
			m.emptyNamespace()
		},
		says:  "what=MirrorConfigs error=",
		lasts: sure,
		mend:  (*member).install,
	},
}

func TestWhateverIsTakenAwayMirrorsStayAndEditsAreObeyedWhenItIsBack(t *testing.T) {
	t.Parallel()
	m := join(t, "127.0.0.2", lab.APIServerConfig{})
	mirror, other := m.Mirror, m.Spare
	m.want(mirror)
	m.obeys(mirror)
	m.stop()
	for _, d := range disasters {
		if !t.Run(d.name, func(t *testing.T) { m.during(t, d, mirror, other) }) {
			return // the next begins where this one should have ended
		}
		mirror, other = other, mirror
	}
}

// during lets a disaster come and go. The node goes by one mirror, and is then told to go by another.
func (m *member) during(t *testing.T, d disaster, mirror, other *lab.Registry) {
	defer func(outer *testing.T) { m.t = outer }(m.t)
	m.t = t
	m.start() // one for each disaster: pauses between attempts grow with the number of troubles in the last minute
	m.proven()
	tree, proof, log := m.tree(), m.said(), m.agent.Log()
	d.strike(m)
	if d.says != "" {
		m.hears(log, d.says)
	}
	if d.reports != "" {
		m.awaits(`{.status.problems[0].reason}`, d.reports)
	}
	m.stays(tree, d.lasts)
	m.pullsThrough(mirror)
	if state := `mirrorlet_state{state="Applied"} 1`; !strings.Contains(m.metrics(), state) {
		t.Errorf("its metrics have no %s:\n%s", state, m.metrics())
	}

	d.mend(m)
	if d.again {
		m.provesAgain(proof)
	} else if now := m.said(); now.message != "" && now != proof {
		t.Errorf("nothing was proven since %q, and the MirrorNode says %q", proof.message, now.message)
	}
	m.stays(tree, 0)
	m.want(other)
	m.obeys(other)
	if now := m.said(); now.message == proof.message || now.made.Before(proof.made) {
		t.Errorf("another revision was written, and the proof is still that of %s: %s", proof.made, now.message)
	}
}

// want makes five MirrorConfigs, with all they name, that send pulls to one mirror.
func (m *member) want(mirror *lab.Registry) {
	m.t.Helper()
	var b strings.Builder
	for i, prefix := range []string{site.Registry, "b.example", "c.example", "d.example", "e.example"} {
		fmt.Fprintf(&b, `---
apiVersion: mirrorlet.dev/v1alpha1
kind: MirrorConfig
metadata: {name: config-%d}
spec:
  registries:
  - prefix: %s
    mirrors:
    - location: %s
      ca: {configMapRef: {name: lab-ca}}
      auth: {secretRef: {name: robot}}
`, i, prefix, mirror.URL())
	}
	authority, err := json.Marshal(string(m.lab.CA.PEM))
	must(m.t, err)
	fmt.Fprintf(&b, `---
{apiVersion: v1, kind: ConfigMap, metadata: {name: lab-ca, namespace: %[1]s}, data: {ca.crt: %[2]s}}
---
{apiVersion: v1, kind: Secret, metadata: {name: robot, namespace: %[1]s}, stringData: {username: robot, password: secret}}
`, site.Namespace, authority)
	m.apply(b.String())
}

// install applies the manifests again, and gives the agent the token that its Pod would get.
func (m *member) install() {
	m.t.Helper()
	m.kubectl("apply", "-k", site.Manifests("base"))
	m.kubectl("wait", "--for=condition=Established", "crd/mirrorconfigs.mirrorlet.dev", "crd/mirrornodes.mirrorlet.dev", "--timeout=30s")
	must(m.t, m.agent.Admit())
}

// cut ends all watches, as the API server does when it is replaced by another: rights are looked at when one begins.
func (m *member) cut() {
	m.t.Helper()
	must(m.t, m.API.Stop())
	must(m.t, m.API.Start())
}

// emptyNamespace does what kube-controller-manager does when a namespace is deleted, and waits until our kinds are gone as well.
func (m *member) emptyNamespace() {
	m.t.Helper()
	m.kubectl("delete", "daemonsets,pods,secrets,configmaps,serviceaccounts,roles,rolebindings,resourcequotas", "--all", "--namespace="+site.Namespace, "--force", "--grace-period=0")
	path := "/api/v1/namespaces/" + site.Namespace
	_, err := m.API.KubectlAs(m.API.Admin, fmt.Sprintf(`{"apiVersion": "v1", "kind": "Namespace", "metadata": {"name": %q}, "spec": {"finalizers": []}}`, site.Namespace),
		"replace", "--raw="+path+"/finalize", "--filename=-")
	must(m.t, err)
	m.kubectl("wait", "--for=delete", "namespace/"+site.Namespace, "crd/mirrorconfigs.mirrorlet.dev", "crd/mirrornodes.mirrorlet.dev", "--timeout=30s")
}

// proof is what a MirrorNode says about the last one.
type proof struct {
	message string
	made    time.Time
}

// made is the time in the message of a condition that says so.
var made = regexp.MustCompile(`\d{4}-\d\d-\d\dT\d\d:\d\d:\d\dZ`)

// said is empty where there is no MirrorNode, and has no time where nothing is proven.
func (m *member) said() proof {
	m.t.Helper()
	message := m.kubectl("get", "mirrornode", m.Name, "--ignore-not-found", `-o=jsonpath={.status.conditions[?(@.type=="Obeyed")].message}`)
	stamp := made.FindString(message)
	if stamp == "" {
		return proof{message: message}
	}
	at, err := time.Parse(time.RFC3339, stamp)
	must(m.t, err)
	return proof{message, at}
}

// proven waits until the agent that runs has a proof of its own.
func (m *member) proven() {
	m.t.Helper()
	tick := time.NewTicker(20 * time.Millisecond)
	defer tick.Stop()
	for over := time.After(30 * time.Second); !strings.Contains(m.metrics(), "\nmirrorlet_obeyed 1\n"); {
		select {
		case <-tick.C:
		case <-over:
			m.t.Fatal("nothing is proven within half a minute")
		}
	}
}

// provesAgain waits until the MirrorNode has a newer proof of the same revision.
func (m *member) provesAgain(old proof) {
	m.t.Helper()
	tick := time.NewTicker(100 * time.Millisecond)
	defer tick.Stop()
	for over := time.After(30 * time.Second); ; {
		now := m.said()
		if now.made.After(old.made) && made.ReplaceAllString(now.message, "") == made.ReplaceAllString(old.message, "") {
			return
		}
		select {
		case <-tick.C:
		case <-over:
			m.t.Fatalf("there is no proof since %q, but %q", old.message, now.message)
		}
	}
}
