package cluster_test

import (
	"context"
	"errors"
	"fmt"
	"log/slog"
	"net/http"
	"os"
	"slices"
	"strings"
	"testing"
	"time"

	"github.com/mirrorlet/mirrorlet/agent"
	"github.com/mirrorlet/mirrorlet/agent/cluster"
	"github.com/mirrorlet/mirrorlet/agent/config"
	"github.com/mirrorlet/mirrorlet/test/lab"
)

const configsCRD = manifests + "crds/mirrorlet.dev_mirrorconfigs.yaml"

// soon is how long anything here may take that waits for the API server and for pauses of up to 30 s between two attempts.
const soon = 50 * time.Second

// followed is what a node of a real cluster hears, with the rights of the agent's service account.
type followed struct {
	*cluster.Cluster
	t      *testing.T
	server *lab.APIServer
	admin  *http.Client
}

// follow starts an API server without any CRD, with a Node n1 and the shipped rights, and an agent's ears.
func follow(t *testing.T) *followed {
	t.Helper()
	lab.NeedAPIServer(t)
	server, err := lab.Start(t).APIServer(lab.APIServerConfig{})
	must(t, err)
	f := &followed{t: t, server: server}
	f.admin, err = server.Client("admin", "system:masters")
	must(t, err)
	f.apply(manifests+"namespace.yaml", manifests+"rbac.yaml")
	f.say("{apiVersion: v1, kind: Node, metadata: {name: n1, labels: {mirrorlet.dev/enabled: 'true'}}}")
	f.Cluster = f.listen()
	return f
}

// listen has an agent listen to the API server.
func (f *followed) listen() *cluster.Cluster {
	f.t.Helper()
	kubeconfig, err := f.server.TokenKubeconfig("mirrorlet-system", "mirrorlet")
	must(f.t, err)
	connection, err := cluster.Kubeconfig(kubeconfig)
	must(f.t, err)
	c, err := cluster.New(cluster.Options{
		Config: connection, Node: "n1", Namespace: "mirrorlet-system", Objects: true, Version: "v0.4.0", Log: slog.New(slog.NewTextHandler(f.t.Output(), nil)),
	})
	must(f.t, err)
	ctx, stop := context.WithCancel(f.t.Context())
	done := make(chan struct{})
	go func() { c.Run(ctx); close(done) }()
	f.t.Cleanup(func() { stop(); <-done })
	return c
}

// apply applies files. What a new kind is called, an API server knows a moment after it was told.
func (f *followed) apply(files ...string) {
	f.t.Helper()
	for _, file := range files {
		text, err := os.ReadFile(file)
		must(f.t, err)
		f.say(string(text))
	}
}

func (f *followed) say(documents string) {
	f.t.Helper()
	_, err := f.server.Apply(documents)
	must(f.t, err)
}

func (f *followed) kubectl(args ...string) {
	f.t.Helper()
	_, err := f.server.Kubectl(args...)
	must(f.t, err)
}

// crds installs the kinds and waits until they are served.
func (f *followed) crds() {
	f.t.Helper()
	f.apply(configsCRD)
	f.kubectl("wait", "--for=condition=Established", "crd/mirrorconfigs.mirrorlet.dev", "--timeout=30s")
}

func (f *followed) mirrorConfig(name, prefix string) {
	f.t.Helper()
	f.say(fmt.Sprintf(`{apiVersion: mirrorlet.dev/v1alpha1, kind: MirrorConfig, metadata: {name: %s}, spec: {registries: [{prefix: %s,
		mirrors: [{location: "https://m.example", auth: {secretRef: {name: robot}}}]}]}}`, name, prefix))
}

func (f *followed) secret(password string) {
	f.t.Helper()
	f.say("{apiVersion: v1, kind: Secret, metadata: {name: robot, namespace: mirrorlet-system}, stringData: {username: u, password: " + password + "}}")
}

// now is what is read: the prefixes that are wanted or held, and the password that is found for them.
func (f *followed) now() (string, error) {
	d, errs, err := f.Read()
	if err != nil || len(errs) > 0 {
		return "", errors.Join(err, fmt.Errorf("%v", errs))
	}
	r := d.Compile(config.Options{Labels: map[string]string{}})
	words := slices.Clone(r.Intent.Held)
	for _, registry := range r.Intent.Registries {
		words = append(words, registry.Prefix)
	}
	slices.Sort(words)
	if password, found := r.References["Secret/robot/password"]; found {
		words = append(words, string(password))
	}
	return strings.Join(words, " "), nil
}

// until waits until what is read is as it should be, looking at each nudge only.
func (f *followed) until(want string) {
	f.t.Helper()
	over := time.After(soon)
	for {
		got, err := f.now()
		if err == nil && got == want {
			return
		}
		select {
		case <-f.Changed():
		case <-over:
			f.t.Fatalf("read %q, %v; want %q", got, err, want)
		}
	}
}

// remains checks for a time that nothing changes.
func (f *followed) remains(want string, long time.Duration) {
	f.t.Helper()
	over := time.After(long)
	for {
		if got, err := f.now(); err != nil || got != want {
			f.t.Fatalf("read %q, %v; want %q still", got, err, want)
		}
		select {
		case <-f.Changed():
		case <-over:
			return
		}
	}
}

// connected waits until the API server is followed, or is not.
func (f *followed) connected(want bool) {
	f.t.Helper()
	tick := time.NewTicker(50 * time.Millisecond)
	defer tick.Stop()
	for end := time.Now().Add(soon); f.Connected() != want; <-tick.C {
		if time.Now().After(end) {
			_, err := f.Node()
			_, unknown := f.now()
			f.t.Fatalf("connected: %t; %v; %v", !want, err, unknown)
		}
	}
}

// patch changes a MirrorConfig and returns how long after the request was sent the change was told and read.
func (f *followed) patch(name, prefix string) time.Duration {
	f.t.Helper()
	body := strings.NewReader(`{"spec": {"registries": [{"prefix": "` + prefix + `", "mirrors": [{"location": "https://m.example"}]}]}}`)
	request, err := http.NewRequestWithContext(f.t.Context(), http.MethodPatch, f.server.URL+"/apis/mirrorlet.dev/v1alpha1/mirrorconfigs/"+name, body)
	must(f.t, err)
	request.Header.Set("Content-Type", "application/merge-patch+json")
	began := time.Now()
	answered := make(chan error, 1)
	go func() {
		answer, err := f.admin.Do(request)
		if err == nil {
			answer.Body.Close()
		}
		answered <- err
	}()
	f.until(prefix)
	took := time.Since(began)
	must(f.t, <-answered)
	return took
}

func TestARealAPIServerIsFollowed(t *testing.T) {
	f := follow(t)
	if _, _, err := f.Read(); !errors.Is(err, agent.ErrUnknown) {
		t.Errorf("without the kind: %v", err)
	}
	f.crds() // later than the agent
	f.secret("p1")
	f.mirrorConfig("a", "a.io")
	f.until("a.io p1")
	f.connected(true)
	if node, err := f.Node(); err != nil || !node.Enrolled || f.UID() == "" {
		t.Errorf("the node: %+v, %v", node, err)
	}

	f.secret("p2")
	f.until("a.io p2")
	f.kubectl("delete", "secret", "robot", "--namespace=mirrorlet-system")
	f.until("a.io") // held, as there is no last good value here
	f.secret("p3")
	f.until("a.io p3")

	f.mirrorConfig("b", "b.io")
	f.until("a.io b.io p3")
	f.kubectl("delete", "mirrorconfig", "b")
	f.until("a.io p3")
}

func TestAPatchIsHeardOfWithinMilliseconds(t *testing.T) {
	f := follow(t)
	f.crds()
	f.mirrorConfig("a", "a.io")
	f.until("a.io")
	f.connected(true)
	var took []time.Duration
	for i := range 100 {
		took = append(took, f.patch("a", fmt.Sprintf("r%d.io", i)))
	}
	slices.Sort(took)
	t.Logf("from the request until it was told and read: p50 %s, p99 %s", took[50], took[98])
	if took[50] > 20*time.Millisecond {
		t.Errorf("p50 is %s", took[50])
	}
}

func TestNothingIsLostWithoutTheAPIServerOrTheKind(t *testing.T) {
	f := follow(t)
	f.crds()
	f.secret("p1")
	f.mirrorConfig("a", "a.io")
	f.mirrorConfig("b", "b.io")
	f.until("a.io b.io p1")
	f.connected(true)

	must(t, f.server.Stop())
	f.connected(false)
	f.remains("a.io b.io p1", 3*time.Second)
	must(t, f.server.Start())
	f.mirrorConfig("a", "c.io")
	f.until("b.io c.io p1")
	f.connected(true)

	f.kubectl("delete", "crd", "mirrorconfigs.mirrorlet.dev")
	f.connected(false)
	f.remains("b.io c.io p1", 15*time.Second)
	f.crds()
	f.mirrorConfig("a", "d.io")
	f.until("d.io p1")
}

func TestWithoutItsRightsAnAgentKnowsNothingAndSaysWhy(t *testing.T) {
	f := follow(t)
	f.crds()
	f.mirrorConfig("a", "a.io")
	f.until("a.io")
	f.kubectl("delete", "clusterrolebinding", "mirrorlet")
	must(t, f.server.Stop())
	must(t, f.server.Start()) // whoever watches is not asked for his rights again
	late := f.listen()
	over := time.After(soon)
	for _, err := late.Node(); !strings.Contains(fmt.Sprint(err), "ClusterRole"); _, err = late.Node() {
		select {
		case <-late.Changed():
		case <-over:
			t.Fatalf("got %v", err)
		}
	}
	if _, _, err := late.Read(); !errors.Is(err, agent.ErrUnknown) {
		t.Errorf("read: %v", err)
	}
	f.remains("a.io", 5*time.Second)
	f.apply(manifests + "rbac.yaml")
	f.connected(true)
	f.Cluster = late
	f.until("a.io")
}
