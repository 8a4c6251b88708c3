package agent

import (
	"context"
	"errors"
	"fmt"
	"strings"
	"time"

	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"

	"github.com/mirrorlet/mirrorlet/agent/plan"
	"github.com/mirrorlet/mirrorlet/agent/probe"
	"github.com/mirrorlet/mirrorlet/runtimes"
)

// Prover has runtimes prove what they read: probe.Registry, which only answers who asks for a name that stands in our files alone.
type Prover interface {
	// Address is where it listens, for the files.
	Address() string
	// Ask has the runtime at the socket pull from the registry name, and says whether that led it to us.
	Ask(ctx context.Context, socket, name string) probe.Answer
}

// Obeyed says whether the runtimes of the machine read what is written, as a condition of MirrorNode does.
type Obeyed struct {
	Status metav1.ConditionStatus
	// Reason is one of those below, one of detection (runtimes.Reason), or a State in which nothing is asked.
	Reason  string
	Message string
}

// Reasons of Obeyed beside those of detection.
const (
	Proven              = "Proven"              // the runtime asked for the name that stands only in what was written
	MirrorNotAsked      = "MirrorNotAsked"      // it pulled without asking, and detection does not know why
	RuntimePluginFailed = "RuntimePluginFailed" // the daemon runs without its part that serves the CRI, and so pulls nothing for Pods
	NoAnswer            = "NoAnswer"            // it could not be asked
	NotRunning          = "NotRunning"          // it is installed and does not run
	NothingWritten      = "NothingWritten"      // there is nothing to read
	Asking              = "Asking"              // it is being asked
)

// Questions are put at least pace apart, are given up after bound, and are put again after a while where the answer was not yes.
const (
	pace  = time.Second
	bound = 15 * time.Second
)

// proofs are the questions and answers about what was written. The zero value has asked nothing.
type proofs struct {
	answers chan proof // of the question that is being asked; nil: none is
	last    proof
	backoff backoff
	asked   time.Duration // when the last question was put, by Uptime; 0: never
}

// proof is one question with its answer.
type proof struct {
	about  string // the revision, and the daemons that were asked
	obeyed Obeyed
	took   time.Duration
}

// about is what a proof is good for: it must be made again for another revision, and after a restart or an upgrade.
func (r Report) about() string {
	var b strings.Builder
	b.WriteString(r.Revision)
	for _, f := range r.Found {
		fmt.Fprintf(&b, " %s %d %s", f.Facts.Title(), f.Facts.Process.PID, f.Facts.Process.Started)
	}
	return b.String()
}

// ask puts the question whether what the last pass left is read, unless that is known, or was asked a moment ago.
func (a *Agent) ask(ctx context.Context) {
	r, p, now := a.last, &a.proofs, a.Uptime()
	about := r.about()
	switch {
	case a.Prover == nil, r.State != Applied, r.Revision == "", len(r.pending) > 0, p.answers != nil, p.last.about == about && p.last.obeyed.Status == metav1.ConditionTrue:
		return
	case p.asked != 0 && now < p.asked+pace, p.backoff.waits(everything, about, now) != nil:
		a.wake = earlier(a.wake, earlier(p.asked+pace, p.backoff.next(now), now), now)
		return
	}
	p.asked, p.answers = now, make(chan proof, 1)
	go func(answer chan<- proof) {
		ctx, cancel := context.WithTimeout(ctx, bound)
		defer cancel()
		obeyed := all(ctx, a.Prover, r.Found, r.Revision, a.Now)
		answer <- proof{about, obeyed, a.Uptime() - now}
	}(p.answers)
}

// all asks every runtime of a machine, and returns the answer that is the furthest from yes.
func all(ctx context.Context, prover Prover, found []plan.Found, revision string, now func() time.Time) Obeyed {
	worst := Obeyed{Status: metav1.ConditionTrue, Reason: Proven}
	var yes []string
	for _, f := range found {
		o := one(ctx, prover, f.Facts, revision)
		if o.Status == metav1.ConditionTrue {
			yes = append(yes, f.Facts.Title())
		} else if worst.Status != metav1.ConditionFalse {
			worst = o
		}
	}
	if worst.Status == metav1.ConditionTrue {
		worst.Message = fmt.Sprintf("%s asked the mirror that stands only in revision %s, at %s", strings.Join(yes, ", "), revision, now().UTC().Format(time.RFC3339))
	}
	return worst
}

// one asks one runtime.
func one(ctx context.Context, prover Prover, facts runtimes.Facts, revision string) Obeyed {
	if facts.Process.PID == 0 {
		return Obeyed{metav1.ConditionUnknown, NotRunning, facts.Title() + " is installed and does not run"}
	}
	switch answer := answered(ctx, prover, facts.Socket, runtimes.ProofName(revision)); {
	case answer.Asked:
		return Obeyed{Status: metav1.ConditionTrue, Reason: Proven}
	case errors.Is(answer.Err, probe.ErrNoCRI):
		return Obeyed{metav1.ConditionFalse, RuntimePluginFailed, fmt.Sprintf("%s pulls nothing for Pods: %v; see its log for why the CRI plugin is not loaded", facts.Title(), answer.Err)}
	case answer.Err != nil:
		return Obeyed{metav1.ConditionUnknown, NoAnswer, fmt.Sprintf("%s could not be asked at %s: %v", facts.Title(), facts.Socket, answer.Err)}
	default:
		return Obeyed{metav1.ConditionFalse, MirrorNotAsked, facts.Title() + " pulled without asking the mirror that was written for it, and said: " + answer.Said}
	}
}

// answered asks until somebody is there to answer, or the time is over: a runtime that is only just starting listens before it serves.
func answered(ctx context.Context, prover Prover, socket, name string) probe.Answer {
	for {
		answer := prover.Ask(ctx, socket, name)
		if !errors.Is(answer.Err, probe.ErrUnreachable) {
			return answer
		}
		select {
		case <-ctx.Done():
			return answer
		case <-time.After(pace / 4): // nothing tells when it serves
		}
	}
}

// take takes an answer.
func (a *Agent) take(p proof) {
	a.proofs.answers, a.proofs.last = nil, p
	if a.Metrics != nil {
		a.Metrics.Proof(string(p.obeyed.Status), p.took)
	}
	if p.obeyed.Status == metav1.ConditionTrue {
		a.proofs.backoff.succeeded(everything)
		return
	}
	a.proofs.backoff.failed(everything, p.about, fmt.Errorf("%s", p.obeyed.Message), a.Uptime(), a.chance())
}

// obeyed is what is known now. A proof counts more than what detection thinks, and an old proof for no more than what it was about.
func (a *Agent) obeyed() Obeyed {
	r, proof := a.last, a.proofs.last
	known := proof.about != "" && proof.about == r.about()
	switch {
	case r.State != Applied && r.State != NotEnrolled && proof.about != "" && len(r.Found) == 0:
		return proof.obeyed // nothing was looked at and nothing was changed since
	case r.State != Applied:
		return Obeyed{metav1.ConditionUnknown, string(r.State), "nothing was asked in this state"}
	case r.Revision == "":
		return Obeyed{metav1.ConditionUnknown, NothingWritten, "nothing is written that a runtime could read"}
	case known && proof.obeyed.Status == metav1.ConditionTrue:
		return proof.obeyed
	}
	if p, found := r.unread(); found {
		return Obeyed{metav1.ConditionFalse, string(p.Reason), p.Message}
	}
	if known {
		return proof.obeyed
	}
	return Obeyed{metav1.ConditionUnknown, Asking, "the runtime is being asked"}
}

// unread is what detection found that keeps a runtime from reading what is written, if anything.
func (r Report) unread() (runtimes.Problem, bool) {
	for _, p := range r.Problems {
		if p.Registry == "" && p.Reason.Effect() == runtimes.NotRead {
			return p, true
		}
	}
	return runtimes.Problem{}, false
}
