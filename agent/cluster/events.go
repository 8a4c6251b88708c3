package cluster

import (
	"fmt"
	"slices"
	"strings"

	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"

	"github.com/mirrorlet/mirrorlet/api/v1alpha1"
	"github.com/mirrorlet/mirrorlet/runtimes"
)

// notice is something that a person must know, told as an Event of the Node. docs/reference/events.md has a line for each reason.
type notice struct{ kind, reason, message string }

// The two types of Events (pkg/apis/core/types.go of Kubernetes).
const (
	normal  = "Normal"
	warning = "Warning"
)

// events are what a person must know of the way from one status to another, most important last: that is how kubectl describe shows them.
func events(before, after v1alpha1.MirrorNodeStatus) []notice {
	return slices.Concat(problemEvents(before, after), stateEvents(before, after), obeyedEvents(before, after))
}

// stateEvents tell of a node that comes, goes, or stands elsewhere than before. Pending is on its way to somewhere: it tells nothing.
func stateEvents(before, after v1alpha1.MirrorNodeStatus) []notice {
	from, to := before.State, after.State
	if onTheWay(to) {
		return nil
	}
	var all []notice
	switch {
	case to == from:
	case to == v1alpha1.NodeNotEnrolled && enrolled(from):
		all = append(all, notice{normal, "Left", "the node is no longer enrolled, and what mirrorlet wrote is taken back; to enrol it again, label it " + v1alpha1.EnabledKey + "=true"})
	case from == v1alpha1.NodePaused:
		all = append(all, notice{normal, "Resumed", "mirrorlet keeps this node's mirrors again"})
	case enrolled(to) && !enrolled(from) && to != v1alpha1.NodePaused:
		all = append(all, notice{normal, "Enrolled", "mirrorlet now keeps this node's mirrors; to have all of it taken back, label it " + v1alpha1.EnabledKey + "=false"})
	}
	if e, tells := arrival(from, after); tells && (to != from || e.kind == warning && before.Message != after.Message) {
		all = append(all, e)
	}
	return all
}

// arrival is what there is to say of a state that a node has come to, in the words of the status where it has any.
func arrival(from v1alpha1.NodeState, status v1alpha1.MirrorNodeStatus) (e notice, tells bool) {
	e = notice{kind: warning, reason: string(status.State)}
	switch status.State {
	case v1alpha1.NodeRefused:
		e.message = "a MirrorConfig is wrong and nothing is changed; see the problems of the MirrorNode and edit it"
	case v1alpha1.NodeRolledBack:
		e.message = "a change failed and was taken back; see the message of the MirrorNode"
	case v1alpha1.NodeUnsupported:
		e.message = "there is no container runtime here that mirrorlet knows; set the node's label " + v1alpha1.EnabledKey + "=false"
	case v1alpha1.NodePendingRestart:
		e.message = "mirrors are written, and the container runtime must be restarted to read them"
	case v1alpha1.NodePaused:
		e.kind, e.message = normal, "nothing is changed on this node until the pause is over"
	case v1alpha1.NodeApplied:
		return notice{normal, e.reason, "the node is as it should be again"}, troubled(from)
	default:
		return e, false
	}
	if status.Message != "" {
		e.message = status.Message
	}
	return e, true
}

func onTheWay(s v1alpha1.NodeState) bool { return s == "" || s == v1alpha1.NodePending }

func enrolled(s v1alpha1.NodeState) bool { return s != "" && s != v1alpha1.NodeNotEnrolled }

func troubled(s v1alpha1.NodeState) bool {
	return slices.Contains([]v1alpha1.NodeState{
		v1alpha1.NodeRefused, v1alpha1.NodeRolledBack, v1alpha1.NodeUnsupported, v1alpha1.NodePendingRestart,
	}, s)
}

// obeyedEvents tell when the runtime is found not to read what is written, why, and when it does again.
func obeyedEvents(before, after v1alpha1.MirrorNodeStatus) []notice {
	was, is := obeyed(before), obeyed(after)
	switch {
	case is.Status == metav1.ConditionFalse && (was.Status != is.Status || was.Reason != is.Reason):
		return []notice{{warning, "NotObeyed", clip(is.Reason + ": " + is.Message)}}
	case is.Status == metav1.ConditionTrue && was.Status == metav1.ConditionFalse:
		return []notice{{normal, "Obeyed", "the container runtime is proven to read what is written again"}}
	}
	return nil
}

func obeyed(status v1alpha1.MirrorNodeStatus) metav1.Condition {
	for _, c := range status.Conditions {
		if c.Type == v1alpha1.ConditionObeyed {
			return c
		}
	}
	return metav1.Condition{Status: metav1.ConditionUnknown}
}

// problemEvents tell of what somebody else has taken, one Event per reason however many registries it is about.
func problemEvents(before, after v1alpha1.MirrorNodeStatus) []notice {
	var all []notice
	for _, reason := range []runtimes.Reason{runtimes.Conflict, runtimes.ForeignOwner} {
		var fresh []v1alpha1.ProblemStatus
		for _, p := range after.Problems {
			same := func(q v1alpha1.ProblemStatus) bool { return q.Reason == p.Reason && q.Registry == p.Registry }
			if p.Reason == string(reason) && !slices.ContainsFunc(before.Problems, same) {
				fresh = append(fresh, p)
			}
		}
		if len(fresh) > 0 {
			all = append(all, notice{warning, string(reason), summary(fresh)})
		}
	}
	return all
}

// summary has the first problem in full and says how many there are besides.
func summary(problems []v1alpha1.ProblemStatus) string {
	text := strings.TrimPrefix(problems[0].Registry+": "+problems[0].Message, ": ")
	if more := len(problems) - 1; more > 0 {
		const room = 100 // bytes for what follows
		text = fmt.Sprintf("%s; and %d more like it, which the problems of the MirrorNode name", strings.TrimSuffix(text[:min(len(text), maxText-room)], "…"), more)
	}
	return clip(text)
}

// remember is what has been told by now: the last state that was not on its way, and the last proof that was decided. Without it a runtime
// that obeys again would be passed over, since between False and True it is Unknown.
func remember(told, status v1alpha1.MirrorNodeStatus) v1alpha1.MirrorNodeStatus {
	if onTheWay(status.State) {
		status.State, status.Message = told.State, told.Message
	}
	if obeyed(status).Status == metav1.ConditionUnknown && status.State != v1alpha1.NodeNotEnrolled {
		status.Conditions = []metav1.Condition{obeyed(told)}
	}
	return status
}
