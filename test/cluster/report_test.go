package cluster_test

import (
	"fmt"
	"log/slog"
	"os"
	"regexp"
	"slices"
	"strings"
	"sync"
	"testing"
	"time"

	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"

	"github.com/mirrorlet/mirrorlet/agent/cluster"
	"github.com/mirrorlet/mirrorlet/api/v1alpha1"
	"github.com/mirrorlet/mirrorlet/test/lab"
)

// Manifests that the tests apply, as they are shipped.
const (
	manifests = "../../manifests/base/"
	crd       = manifests + "crds/mirrorlet.dev_mirrornodes.yaml"
)

// hours is a clock that stands still until a test moves it, for a Reporter that does one thing at a time.
type hours struct {
	mu    sync.Mutex
	now   time.Time
	due   chan time.Time
	asked chan time.Duration // how long the Reporter wants to wait, each time it has nothing to do
}

func (h *hours) Now() time.Time {
	h.mu.Lock()
	defer h.mu.Unlock()
	return h.now
}

func (h *hours) After(d time.Duration) <-chan time.Time {
	h.mu.Lock()
	h.due = make(chan time.Time, 1)
	due := h.due
	h.mu.Unlock()
	h.asked <- d
	return due
}

// pass lets the time go by and wakes the Reporter.
func (h *hours) pass(d time.Duration) {
	h.mu.Lock()
	defer h.mu.Unlock()
	h.now = h.now.Add(d)
	h.due <- h.now
}

// reports is a Reporter at work at a real API server, with the rights of the agent's service account.
type reports struct {
	*cluster.Reporter
	*hours
	t      *testing.T
	server *lab.APIServer
	log    *lines
	wait   time.Duration // until it looks again
}

// lines is a log that may be read while it is written.
type lines struct {
	mu   sync.Mutex
	text strings.Builder
}

func (l *lines) Write(p []byte) (int, error) {
	l.mu.Lock()
	defer l.mu.Unlock()
	return l.text.Write(p)
}

func (l *lines) String() string {
	l.mu.Lock()
	defer l.mu.Unlock()
	return l.text.String()
}

func (r *reports) start(kubeconfig, uid string) {
	r.t.Helper()
	connection, err := cluster.Kubeconfig(kubeconfig)
	must(r.t, err)
	ago := time.Now().Add(-2 * time.Hour) // for kubectl tells no age of what is to come
	r.hours = &hours{now: ago.Truncate(time.Second), asked: make(chan time.Duration, 100)}
	r.log = &lines{}
	r.Reporter, err = cluster.NewReporter(connection, cluster.ReporterConfig{
		Node: "n1", UID: func() string { return uid }, Version: "v0.4.0", Log: slog.New(slog.NewTextHandler(r.log, nil)),
		Now: r.Now, After: r.After, Chance: func() float64 { return 0.5 },
	})
	must(r.t, err)
	var running sync.WaitGroup
	running.Go(func() { r.Run(r.t.Context()) })
	r.t.Cleanup(running.Wait)
	r.wait = <-r.asked
}

// publish says a status and lets the Reporter do what it does about it.
func (r *reports) publish(status v1alpha1.MirrorNodeStatus) {
	r.Publish(status)
	r.wait = <-r.asked
}

// elapse lets the time go by until the Reporter wants to look again.
func (r *reports) elapse() {
	r.pass(r.wait)
	r.wait = <-r.asked
}

// until lets time go by until kubectl says what is wanted. What an API server has been told it does not know at once.
func (r *reports) until(want string, args ...string) {
	r.t.Helper()
	got := ""
	for end := time.Now().Add(30 * time.Second); time.Now().Before(end); r.elapse() {
		if got, _ = r.server.Kubectl(args...); strings.TrimSpace(got) == want {
			return
		}
	}
	r.t.Fatalf("kubectl %s: %q, want %q; log: %s", strings.Join(args, " "), got, want, r.log)
}

func (r *reports) kubectl(args ...string) string {
	r.t.Helper()
	out, err := r.server.Kubectl(args...)
	must(r.t, err)
	return out
}

func (r *reports) apply(file string) {
	r.t.Helper()
	text, err := os.ReadFile(file)
	must(r.t, err)
	_, err = r.server.Apply(string(text))
	must(r.t, err)
}

func (r *reports) version() string {
	return r.kubectl("get", "mirrornode", "n1", "-o=jsonpath={.metadata.resourceVersion}")
}

func must(t *testing.T, err error) {
	t.Helper()
	if err != nil {
		t.Fatal(err)
	}
}

func status(change func(*v1alpha1.MirrorNodeStatus)) v1alpha1.MirrorNodeStatus {
	s := v1alpha1.MirrorNodeStatus{
		State: v1alpha1.NodeApplied, Message: "3 registries are as asked", Runtime: "containerd 2.4.2", Agent: "v0.4.0", Revision: "0123456789ab",
		MirrorCount: "2", Mirrors: []v1alpha1.MirrorStatus{{Location: "https://a.example.com", Registries: 1}, {Location: "https://b.example.com", Registries: 2}},
		Configs:    []v1alpha1.ConfigStatus{{Name: "cluster", Generation: 3}},
		Conditions: []metav1.Condition{{Type: v1alpha1.ConditionObeyed, Status: metav1.ConditionTrue, Reason: "Proven", Message: "the runtime asked for the revision"}},
	}
	change(&s)
	return s
}

func same(*v1alpha1.MirrorNodeStatus) {}

func refused(s *v1alpha1.MirrorNodeStatus) {
	s.State, s.Message = v1alpha1.NodeRefused, "nothing is changed, because 1 entry of a MirrorConfig is wrong; see problems"
	s.Problems = []v1alpha1.ProblemStatus{{Reason: "Invalid", Message: "location: use auth"}, {Registry: "quay.io", Reason: "Conflict", Message: "hosts.toml was there before and is kept"}}
	s.Conditions[0] = metav1.Condition{Type: v1alpha1.ConditionObeyed, Status: metav1.ConditionFalse, Reason: "NoConfigPath", Message: "containerd reads no certs.d; set config_path"}
}

// report starts an API server with a Node, the rights of the agent, and no CRD yet, and a Reporter.
func report(t *testing.T) (r *reports, kubeconfig, uid string) {
	t.Helper()
	lab.NeedAPIServer(t)
	server, err := lab.Start(t).APIServer(lab.APIServerConfig{})
	must(t, err)
	r = &reports{t: t, server: server}
	r.apply(manifests + "namespace.yaml")
	r.apply(manifests + "rbac.yaml")
	_, err = server.Apply("{apiVersion: v1, kind: Node, metadata: {name: n1}}")
	must(t, err)
	uid = r.kubectl("get", "node", "n1", "-o=jsonpath={.metadata.uid}")
	kubeconfig, err = server.TokenKubeconfig("mirrorlet-system", "mirrorlet")
	must(t, err)
	r.start(kubeconfig, uid)
	return r, kubeconfig, uid
}

// age is the last column of a table of kubectl.
var age = regexp.MustCompile(`(?m) +[0-9ms]+$`)

func TestANodeReportsToARealAPIServer(t *testing.T) {
	r, kubeconfig, uid := report(t)

	r.publish(status(same)) // the CRD is missing
	if n := strings.Count(r.log.String(), "CRD"); n != 1 {
		t.Errorf("log: %s", r.log)
	}
	r.apply(crd)
	r.until("Applied", "get", "mirrornode", "n1", "-o=jsonpath={.status.state}")
	const table = "NAME   RUNTIME            STATE     OBEYED   MIRRORS   MESSAGE                     AGE\n" +
		"n1     containerd 2.4.2   Applied   True     2         3 registries are as asked\n"
	if got := age.ReplaceAllString(r.kubectl("get", "mirrornodes"), ""); got != table {
		t.Errorf("kubectl get mirrornodes:\n%s", got)
	}
	const owner = "v1 Node n1 %s false false"
	if got := r.kubectl("get", "mirrornode", "n1", "-o=jsonpath={range .metadata.ownerReferences[*]}{.apiVersion} {.kind} {.name} {.uid} {.controller} {.blockOwnerDeletion}{end}"); got != fmt.Sprintf(owner, uid) {
		t.Errorf("owner: %s", got)
	}

	r.unchanged("twenty passes of a minute", func() {
		for range 20 {
			r.pass(time.Minute)
			r.wait = <-r.asked
			r.publish(status(same))
		}
	})
	r.unchanged("another life of the agent", func() {
		r.start(kubeconfig, uid)
		r.publish(status(same))
	})
	before := r.version()
	r.elapse()
	if beat := r.kubectl("get", "mirrornode", "n1", "-o=jsonpath={.status.heartbeat}"); r.version() == before || beat != r.Now().UTC().Format(time.RFC3339) {
		t.Errorf("heartbeat %s, it is %s", beat, r.Now())
	}

	r.publish(status(refused))
	r.publish(status(same))
	r.publish(status(refused))
	r.elapse()
	r.describes()
	r.hidesTheToken(kubeconfig)
}

// unchanged checks that nothing is written meanwhile.
func (r *reports) unchanged(what string, meanwhile func()) {
	r.t.Helper()
	before := r.version()
	meanwhile()
	if after := r.version(); after != before {
		r.t.Errorf("%s: the MirrorNode was written, %s is %s now", what, before, after)
	}
}

// describes checks what a person sees of a node that was refused, was well, and is refused.
func (r *reports) describes() {
	r.t.Helper()
	_, events, found := strings.Cut(r.kubectl("describe", "node", "n1"), "Events:\n")
	if !found {
		r.t.Fatal("kubectl describe node shows no Events")
	}
	var got []string
	for line := range strings.Lines(events) {
		if f := strings.Fields(line); slices.Contains(f, "mirrorlet") {
			got = append(got, f[0]+" "+f[1]+regexp.MustCompile(` \(x\d`).FindString(line))
		}
	}
	slices.Sort(got)
	want := []string{"Normal Applied", "Normal Enrolled", "Normal Obeyed", "Warning Conflict (x2", "Warning NotObeyed (x2", "Warning Refused (x2"}
	if !slices.Equal(got, want) {
		r.t.Errorf("kubectl describe node:\n%s", events)
	}
	if shown := r.kubectl("get", "events", "-n", "default", "--field-selector", "reportingComponent=mirrorlet", "--no-headers"); strings.Count(shown, "\n") != len(want) {
		r.t.Errorf("as docs/reference/events.md has it:\n%s", shown)
	}
	if !strings.Contains(events, "quay.io: hosts.toml was there before and is kept") {
		r.t.Errorf("the message is not shown:\n%s", events)
	}
}

// hidesTheToken looks for the agent's credentials in all that it has said.
func (r *reports) hidesTheToken(kubeconfig string) {
	r.t.Helper()
	text, err := os.ReadFile(kubeconfig)
	must(r.t, err)
	_, token, _ := strings.Cut(string(text), "token: ")
	token, _, _ = strings.Cut(token, "}")
	said := r.log.String() + r.kubectl("get", "events,mirrornodes", "--all-namespaces", "-o=yaml")
	if len(token) < 100 || strings.Contains(said, token) || strings.Contains(said, token[len(token)-40:]) {
		r.t.Errorf("the token, of %d bytes, was said:\n%s", len(token), said)
	}
}

func TestReportsComeBackAfterHoursAndAfterTheLossOfTheCRD(t *testing.T) {
	r, _, _ := report(t)
	r.apply(crd)
	r.publish(status(same))
	r.until("Applied", "get", "mirrornode", "n1", "-o=jsonpath={.status.state}")

	must(t, r.server.Stop())
	log := r.log.String()
	began, requests := r.Now(), 0
	r.publish(status(refused))
	for ; r.Now().Sub(began) < 8*time.Hour; requests++ {
		r.elapse()
	}
	if requests > 8*60/2 {
		t.Errorf("%d attempts in eight hours", requests)
	}
	if news := strings.TrimPrefix(r.log.String(), log); strings.Count(news, "\n") != 1 {
		t.Errorf("log: %s", news)
	}
	must(t, r.server.Start())
	r.until("Refused", "get", "mirrornode", "n1", "-o=jsonpath={.status.state}")

	r.kubectl("delete", "crd", "mirrornodes.mirrorlet.dev")
	r.publish(status(same))
	r.apply(crd)
	r.until("Applied", "get", "mirrornode", "n1", "-o=jsonpath={.status.state}")
}
