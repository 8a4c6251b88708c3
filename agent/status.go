package agent

import (
	"cmp"
	"errors"
	"fmt"
	"slices"
	"strconv"
	"strings"
	"time"

	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"

	"github.com/mirrorlet/mirrorlet/agent/metrics"
	"github.com/mirrorlet/mirrorlet/api/v1alpha1"
	"github.com/mirrorlet/mirrorlet/runtimes"
)

// tell says where the machine stands. While a proof is on its way and nothing else is known it waits for that, which is soon.
func (a *Agent) tell() {
	obeyed := a.obeyed()
	if a.Tell == nil || a.stranger() || obeyed.Reason == Asking && a.proofs.answers != nil {
		return
	}
	status := a.last.status(obeyed, a.err)
	status.Agent = a.Version
	a.Tell(status)
}

// stranger says that it is not known yet which node this is, so that there is nobody to speak of.
func (a *Agent) stranger() bool { return errors.Is(a.err, ErrUnknown) && a.node.Name == "" }

// count counts the last pass.
func (a *Agent) count(took time.Duration) {
	if a.Metrics == nil {
		return
	}
	pass := metrics.Pass{
		Failed: a.err != nil, Ended: a.Now(), Duration: took, Changes: len(a.last.Visible()), State: string(a.last.State),
		Obeyed: string(a.obeyed().Status), Expiry: a.last.expiry,
	}
	for _, p := range a.last.Problems {
		pass.Problems = append(pass.Problems, string(p.Reason))
		if p.Reason == runtimes.ForeignEdit {
			pass.Repaired++
		}
	}
	a.Metrics.Pass(pass)
	if a.Connected != nil {
		a.Metrics.Connected(a.Connected())
	}
}

// status is the report in the words of MirrorNode.
func (r Report) status(obeyed Obeyed, err error) v1alpha1.MirrorNodeStatus {
	status := v1alpha1.MirrorNodeStatus{
		State: v1alpha1.NodeState(r.State), Runtime: r.titles(), Revision: r.Revision,
		MirrorCount: strconv.Itoa(len(r.mirrors)), Mirrors: r.mirrors,
		Conditions: []metav1.Condition{{Type: v1alpha1.ConditionObeyed, Status: obeyed.Status, Reason: obeyed.Reason, Message: obeyed.Message}},
	}
	if p, found := r.unread(); found && p.Reason == runtimes.RestartPending && obeyed.Status != metav1.ConditionTrue {
		status.State = v1alpha1.NodePendingRestart
	}
	for _, o := range r.objects {
		status.Configs = append(status.Configs, v1alpha1.ConfigStatus{Name: o.Name, Generation: o.Generation})
	}
	for _, e := range r.Errors {
		status.Problems = append(status.Problems, problemStatus(e.Problem()))
	}
	for _, p := range r.Problems {
		status.Problems = append(status.Problems, problemStatus(p))
	}
	status.Message = r.message(obeyed, err)
	return status
}

func problemStatus(p runtimes.Problem) v1alpha1.ProblemStatus {
	return v1alpha1.ProblemStatus{Registry: p.Registry, Reason: string(p.Reason), Message: p.Message, From: p.From}
}

// message is the one sentence to read first.
func (r Report) message(obeyed Obeyed, err error) string {
	switch {
	case r.State == NotEnrolled:
		return fmt.Sprintf("nothing is touched here; to enrol: kubectl label node %s %s=true", cmp.Or(r.node, "NAME"), v1alpha1.EnabledKey)
	case r.State == Paused:
		return "nothing is changed, as " + r.By + " asks"
	case errors.Is(err, errDocuments):
		return fmt.Sprintf("nothing is changed, because %s; see problems", count(len(r.Errors), "entry of a MirrorConfig is wrong", "entries of MirrorConfigs are wrong"))
	case err != nil:
		return firstLine(err)
	case r.Waiting:
		return "there are no MirrorConfigs; what the node has stays for a minute"
	case obeyed.Status == metav1.ConditionFalse:
		return obeyed.Message
	case obeyed.Reason == NoAnswer || obeyed.Reason == NotRunning:
		return r.summary() + ", not proven: " + obeyed.Message
	}
	return r.summary()
}

// summary says of how many registries the wish is fulfilled, and which is the first of which it is not.
func (r Report) summary() string {
	all := count(r.registries, "registry is as asked", "registries are as asked")
	if r.registries == 0 {
		all = "no MirrorConfig wants anything of this node"
	}
	var first string
	held := map[string]bool{}
	for _, p := range r.wrong() {
		if held[p.Registry] = true; first == "" {
			first = p.Registry + ": " + p.Message
		}
	}
	if len(held) == 0 {
		return all
	}
	return fmt.Sprintf("%s of %s; %s", count(len(held), "is not as asked", "are not as asked"), count(r.registries, "registry", "registries"), first)
}

// wrong are the problems that keep one registry from being as it was asked for.
func (r Report) wrong() []runtimes.Problem {
	var all []runtimes.Problem
	for _, e := range r.Errors {
		all = append(all, e.Problem())
	}
	for _, p := range r.Problems {
		if p.Registry != "" && p.Reason.Effect() != runtimes.Noted && p.Reason != runtimes.ForeignEdit {
			all = append(all, p)
		}
	}
	return all
}

// mirrors are the different mirrors of an intent, without secrets.
func mirrors(intent runtimes.Intent) []v1alpha1.MirrorStatus {
	uses := map[string]int32{}
	for _, r := range intent.Registries {
		for _, m := range r.Mirrors {
			uses[m.Location()]++
		}
	}
	var all []v1alpha1.MirrorStatus
	for location, n := range uses {
		all = append(all, v1alpha1.MirrorStatus{Location: location, Registries: n})
	}
	slices.SortFunc(all, func(a, b v1alpha1.MirrorStatus) int { return cmp.Compare(a.Location, b.Location) })
	return all
}

func count(n int, one, many string) string {
	if n == 1 {
		return "1 " + one
	}
	return strconv.Itoa(n) + " " + many
}

func firstLine(err error) string {
	line, _, _ := strings.Cut(err.Error(), "\n")
	return strings.TrimSuffix(line, ":")
}
