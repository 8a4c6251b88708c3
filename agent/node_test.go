package agent

import (
	"context"
	"errors"
	"fmt"
	"os"
	"strings"
	"testing"
	"time"

	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"

	"github.com/mirrorlet/mirrorlet/agent/config"
	"github.com/mirrorlet/mirrorlet/agent/probe"
	"github.com/mirrorlet/mirrorlet/api/v1alpha1"
	"github.com/mirrorlet/mirrorlet/runtimes"
)

// on makes the agent's machine the given node.
func on(a *Agent, node *Node, err *error) { a.Node = func() (Node, error) { return *node, *err } }

func TestANodeThatNobodyEnrolledIsNotTouched(t *testing.T) {
	a, _ := pretended(t, document(quay))
	var node Node
	var err error
	on(a, &node, &err)
	must(t, os.RemoveAll(at(a, "/var")))
	if e := a.hold(t.Context()); e != nil {
		t.Fatal(e)
	}
	if r := pass(t, a); r.State != NotEnrolled || get(a, quayFile) != "" || r.titles() != "containerd 2.4.2" {
		t.Errorf("state %s, written %q, runtime %q", r.State, get(a, quayFile), r.titles())
	}
	if _, e := os.Lstat(at(a, "/var")); !os.IsNotExist(e) {
		t.Errorf("the agent left something in /var: %v", e)
	}
}

func TestANodeThatIsNoLongerEnrolledGetsItsFilesBack(t *testing.T) {
	a, _ := pretended(t, document(quay))
	node, err := Node{Enrolled: true}, error(nil)
	on(a, &node, &err)
	must(t, a.hold(t.Context()))
	pass(t, a)
	node.Enrolled = false
	if r := pass(t, a); r.State != NotEnrolled || !r.Leaving || get(a, quayFile) != "" {
		t.Errorf("state %s, still there %q", r.State, get(a, quayFile))
	}
	if _, e := os.Lstat(at(a, "/var/lib/mirrorlet")); !os.IsNotExist(e) {
		t.Errorf("there is a state still: %v", e)
	}
	if r := pass(t, a); r.State != NotEnrolled || r.Applied {
		t.Errorf("the next pass: %s, applied %v", r.State, r.Applied)
	}
	node.Enrolled = true
	must(t, a.hold(t.Context()))
	if r := pass(t, a); r.State != Applied || get(a, quayFile) == "" {
		t.Errorf("enrolled once more: %s, %q", r.State, get(a, quayFile))
	}
}

func TestWhatIsNotKnownOfTheNodeOrTheDocumentsChangesNothing(t *testing.T) {
	a, _ := pretended(t, document(quay))
	node, err := Node{Enrolled: true}, error(nil)
	on(a, &node, &err)
	pass(t, a)
	before, documents := get(a, quayFile), a.Documents
	err = fmt.Errorf("the node is %w", ErrUnknown)
	if r, e := a.Sync(t.Context()); !errors.Is(e, ErrUnknown) || r.State != Pending || get(a, quayFile) != before {
		t.Errorf("%v, state %s, now %q", e, r.State, get(a, quayFile))
	}
	err, a.Documents = nil, unknown{}
	if r, e := a.Sync(t.Context()); !errors.Is(e, ErrUnknown) || r.State != Pending || get(a, quayFile) != before {
		t.Errorf("%v, state %s, now %q", e, r.State, get(a, quayFile))
	}
	a.Documents = documents
	if r := pass(t, a); r.State != Applied {
		t.Errorf("known again: %s", r.State)
	}
}

type unknown struct{}

func (unknown) Unchanged() bool { return false }

func (unknown) Read() (config.Documents, []config.Error, error) {
	return config.Documents{}, nil, fmt.Errorf("the documents are %w", ErrUnknown)
}

func TestTheNodeAndADocumentCanPauseToo(t *testing.T) {
	a, file := pretended(t, document(quay))
	node, err := Node{Enrolled: true, Paused: "somebody"}, error(nil)
	on(a, &node, &err)
	if r := pass(t, a); r.State != Paused || r.By != "somebody" {
		t.Errorf("state %s by %q", r.State, r.By)
	}
	node.Paused = ""
	write(t, file, []byte(strings.Replace(string(document(quay)), "{name: cluster}", "{name: cluster, annotations: {mirrorlet.dev/paused: 'yes'}}", 1)))
	if r := pass(t, a); r.State != Paused || !strings.Contains(r.By, "MirrorConfig cluster") || get(a, quayFile) != "" {
		t.Errorf("state %s by %q", r.State, r.By)
	}
	write(t, file, document(quay))
	if r := pass(t, a); r.State != Applied || get(a, quayFile) == "" {
		t.Errorf("state %s", r.State)
	}
}

// prover answers as it is told, and notes what it was asked. The first answers may be others.
type prover struct {
	first  []probe.Answer
	answer probe.Answer
	names  []string
}

func (*prover) Address() string { return "127.0.0.1:9354" }

func (p *prover) Ask(_ context.Context, _, name string) probe.Answer {
	p.names = append(p.names, name)
	if len(p.first) > 0 {
		defer func() { p.first = p.first[1:] }()
		return p.first[0]
	}
	return p.answer
}

// round is one round of Run: a pass, the question if there is one, its answer.
func round(t *testing.T, a *Agent) (Report, v1alpha1.MirrorNodeStatus) {
	t.Helper()
	var told v1alpha1.MirrorNodeStatus
	a.Tell = func(s v1alpha1.MirrorNodeStatus) { told = s }
	r := pass(t, a)
	a.ask(t.Context())
	if a.proofs.answers != nil {
		a.take(<-a.proofs.answers)
	}
	a.tell()
	return r, told
}

// proving is an agent on a machine with a runtime that runs.
func proving(t *testing.T, documents []byte) (a *Agent, p *prover, file string) {
	t.Helper()
	a, file = pretended(t, documents)
	p = &prover{answer: probe.Answer{Asked: true}}
	a.Prover = p
	a.Assume.Facts.Process.PID = os.Getpid()
	return a, p, file
}

func obeyed(s v1alpha1.MirrorNodeStatus) string {
	for _, c := range s.Conditions {
		if c.Type == v1alpha1.ConditionObeyed {
			return string(c.Status) + " " + c.Reason
		}
	}
	return ""
}

func TestEveryRevisionIsProvenOnce(t *testing.T) {
	a, p, file := proving(t, document(quay))
	first, told := round(t, a)
	if obeyed(told) != "True Proven" || told.Revision != first.Revision || told.Message != "1 registry is as asked" || told.MirrorCount != "1" {
		t.Errorf("told %+v", told)
	}
	name := runtimes.ProofName(first.Revision)
	if got := get(a, "/etc/containerd/certs.d/"+name+"/hosts.toml"); !strings.Contains(got, p.Address()) {
		t.Errorf("the entry of the proof is %q", got)
	}
	round(t, a)
	if len(p.names) != 1 || p.names[0] != name {
		t.Errorf("asked for %v", p.names)
	}
	a.proofs.asked = 0 // long ago
	write(t, file, document(quay+ghcr))
	second, told := round(t, a)
	if obeyed(told) != "True Proven" || second.Revision == first.Revision || len(p.names) != 2 {
		t.Errorf("told %+v after %v", told, p.names)
	}
	if get(a, "/etc/containerd/certs.d/"+name+"/hosts.toml") != "" {
		t.Error("the entry of the first proof is there still")
	}
}

func TestARuntimeThatStartedAgainProvesItselfAgain(t *testing.T) {
	a, p, _ := proving(t, document(quay))
	round(t, a)
	a.proofs.asked = 0
	a.Assume.Facts.Process.Started = time.Unix(1700000000, 0)
	a.look = nil
	if _, told := round(t, a); len(p.names) != 2 || obeyed(told) != "True Proven" {
		t.Errorf("asked for %v", p.names)
	}
}

func TestARuntimeThatIsOnlyStartingIsAskedUntilItAnswers(t *testing.T) {
	a, p, _ := proving(t, document(quay))
	p.first = []probe.Answer{{Err: fmt.Errorf("%w: refused", probe.ErrUnreachable)}, {Err: fmt.Errorf("%w: not initialized", probe.ErrUnreachable)}}
	if _, told := round(t, a); obeyed(told) != "True Proven" || len(p.names) != 3 {
		t.Errorf("told %+v after %d questions", told, len(p.names))
	}
}

func TestARuntimeThatDoesNotAskIsNotObeyingAndIsAskedAgainLater(t *testing.T) {
	a, p, _ := proving(t, document(quay))
	now := time.Hour
	a.Uptime = func() time.Duration { return now }
	p.answer.Asked = false
	if _, told := round(t, a); obeyed(told) != "False "+MirrorNotAsked {
		t.Errorf("told %+v", told)
	}
	now += pace
	if round(t, a); len(p.names) != 1 {
		t.Error("it is asked again at once")
	}
	p.answer.Err = errors.New("no such socket")
	now += firstPause
	if _, told := round(t, a); obeyed(told) != "Unknown "+NoAnswer || !strings.Contains(told.Message, "no such socket") {
		t.Errorf("told %+v", told)
	}
	p.answer = probe.Answer{Asked: true}
	now += 2 * firstPause
	if _, told := round(t, a); obeyed(told) != "True Proven" {
		t.Errorf("told %+v", told)
	}
}

func TestTheReasonThatDetectionFoundIsTheReason(t *testing.T) {
	a, p, _ := proving(t, document(quay))
	a.Assume.Problems = []runtimes.Problem{{Reason: runtimes.TwoDirectoryConfigPath, Message: "two"}}
	p.answer.Asked = false
	if _, told := round(t, a); obeyed(told) != "False TwoDirectoryConfigPath" || told.Message != "two" {
		t.Errorf("told %+v", told)
	}
	a.Assume.Problems[0].Reason, a.look = runtimes.RestartPending, nil
	if _, told := round(t, a); told.State != v1alpha1.NodePendingRestart || obeyed(told) != "False RestartPending" {
		t.Errorf("told %+v", told)
	}
}

func TestNothingWrittenProvesNothing(t *testing.T) {
	a, p, _ := proving(t, document(""))
	if _, told := round(t, a); obeyed(told) != "Unknown "+NothingWritten || len(p.names) != 0 {
		t.Errorf("told %+v", told)
	}
}

func TestAVerbLeavesTheProofOfAnAgentAlone(t *testing.T) {
	a, p, _ := proving(t, document(quay))
	r, _ := round(t, a)
	file := "/etc/containerd/certs.d/" + runtimes.ProofName(r.Revision) + "/hosts.toml"
	before := get(a, file)
	a.Prover, a.look = nil, nil
	if r := pass(t, a); before == "" || get(a, file) != before || r.Applied {
		t.Errorf("it is %q now; applied %v", get(a, file), r.Applied)
	}
	_ = p
}

func TestAMachineWithoutARuntimeIsUnsupported(t *testing.T) {
	a, _, _ := proving(t, document(quay))
	a.Assume = nil
	var told v1alpha1.MirrorNodeStatus
	a.Tell = func(s v1alpha1.MirrorNodeStatus) { told = s }
	_, _ = a.Sync(t.Context())
	a.tell()
	if told.State != v1alpha1.NodeUnsupported || told.Conditions[0].Status != metav1.ConditionUnknown || told.Message == "" {
		t.Errorf("told %+v", told)
	}
}
