package cluster

import (
	"fmt"
	"net/http"
	"os"
	"regexp"
	"slices"
	"strings"
	"testing"
	"time"

	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"

	"github.com/mirrorlet/mirrorlet/api/v1alpha1"
)

// at is a status in a state, with the proof and the problems given as "Reason registry".
func at(state v1alpha1.NodeState, obeyed string, problems ...string) v1alpha1.MirrorNodeStatus {
	s := v1alpha1.MirrorNodeStatus{State: state}
	if obeyed != "" {
		status, reason, _ := strings.Cut(obeyed, " ")
		s.Conditions = []metav1.Condition{{Type: v1alpha1.ConditionObeyed, Status: metav1.ConditionStatus(status), Reason: reason, Message: "do this"}}
	}
	for _, p := range problems {
		reason, registry, _ := strings.Cut(p, " ")
		s.Problems = append(s.Problems, v1alpha1.ProblemStatus{Reason: reason, Registry: registry, Message: "do that"})
	}
	return s
}

// ways are ways of a node from one status to another, and the Events that tell of them.
var ways = []struct {
	name          string
	before, after v1alpha1.MirrorNodeStatus
	want          string
}{
	{"a node that was never seen and is not enrolled", at("", ""), at("NotEnrolled", ""), ""},
	{"a node is enrolled", at("NotEnrolled", ""), at("Applied", "True Proven"), "Normal Enrolled"},
	{"a node that is on its way is not there yet", at("NotEnrolled", ""), at("Pending", ""), ""},
	{"a node is enrolled and its documents are wrong", at("NotEnrolled", ""), at("Refused", ""), "Normal Enrolled, Warning Refused"},
	{"a node leaves", at("Applied", "True Proven"), at("NotEnrolled", ""), "Normal Left"},
	{"a bad edit", at("Applied", "True Proven"), at("Refused", "True Proven"), "Warning Refused"},
	{"a good edit after a bad one", at("Refused", "True Proven"), at("Applied", "True Proven"), "Normal Applied"},
	{"a good edit", at("Applied", "True Proven"), at("Applied", "True Proven"), ""},
	{"a change that failed", at("Applied", ""), at("RolledBack", ""), "Warning RolledBack"},
	{"no runtime that we know", at("Applied", ""), at("Unsupported", ""), "Warning Unsupported"},
	{"a restart is needed", at("Applied", ""), at("PendingRestart", ""), "Warning PendingRestart"},
	{"somebody pauses", at("Applied", ""), at("Paused", ""), "Normal Paused"},
	{"a node that is not enrolled is paused with all others", at("NotEnrolled", ""), at("Paused", ""), "Normal Paused"},
	{"the pause is over", at("Paused", ""), at("Applied", ""), "Normal Resumed"},
	{"the pause is over and the documents are wrong", at("Paused", ""), at("Refused", ""), "Normal Resumed, Warning Refused"},
	{"the runtime does not obey", at("Applied", "Unknown Asking"), at("Applied", "False NoConfigPath"), "Warning NotObeyed"},
	{"the runtime does not obey for another reason", at("Applied", "False NoConfigPath"), at("Applied", "False InlineMirrors"), "Warning NotObeyed"},
	{"the runtime still does not obey", at("Applied", "False NoConfigPath"), at("Applied", "False NoConfigPath"), ""},
	{"the runtime obeys again", at("Applied", "False NoConfigPath"), at("Applied", "True Proven"), "Normal Obeyed"},
	{"the runtime obeys as it did", at("Applied", "Unknown Asking"), at("Applied", "True Proven"), ""},
	{"a conflict", at("Applied", ""), at("Applied", "", "Conflict quay.io"), "Warning Conflict"},
	{"the same conflict", at("Applied", "", "Conflict quay.io"), at("Applied", "", "Conflict quay.io"), ""},
	{"a conflict elsewhere", at("Applied", "", "Conflict quay.io"), at("Applied", "", "Conflict quay.io", "Conflict gcr.io"), "Warning Conflict"},
	{"many conflicts are one Event", at("Applied", ""), at("Applied", "", "Conflict a", "ForeignOwner b", "Conflict c"), "Warning Conflict, Warning ForeignOwner"},
	{"other problems are in the MirrorNode", at("Applied", ""), at("Applied", "", "PathPrefix a", "ForeignEdit b"), ""},
}

func TestEventsTellWhatAPersonMustKnow(t *testing.T) {
	for _, w := range ways {
		t.Run(w.name, func(t *testing.T) {
			var got []string
			for _, e := range events(w.before, w.after) {
				got = append(got, e.kind+" "+e.reason)
				if e.message == "" || len(e.message) > maxText {
					t.Errorf("message: %q", e.message)
				}
			}
			if strings.Join(got, ", ") != w.want {
				t.Errorf("got %v, want %s", got, w.want)
			}
		})
	}
}

func TestAnEventSaysWhatTheStatusSays(t *testing.T) {
	refused := at("Refused", "")
	refused.Message = "cluster.yaml:7: location: use auth"
	if e := events(at("Applied", ""), refused); e[0].message != refused.Message {
		t.Errorf("got %+v", e)
	}
	again := refused
	again.Message = "cluster.yaml:9: prefix: is empty"
	if e := events(refused, again); len(e) != 1 || e[0].message != again.Message {
		t.Errorf("another mistake is not told: %+v", e)
	}
	if e := events(at("Applied", ""), at("Applied", "False NoConfigPath")); e[0].message != "NoConfigPath: do this" {
		t.Errorf("got %+v", e)
	}
	if e := events(at("Applied", ""), at("Applied", "", "Conflict a", "Conflict b", "Conflict c")); e[0].message != "a: do that; and 2 more like it, which the problems of the MirrorNode name" {
		t.Errorf("got %+v", e)
	}
}

func TestWhatIsBetweenTwoAnswersIsNotForgotten(t *testing.T) {
	var got []string
	told := at("Applied", "True Proven")
	for _, s := range []v1alpha1.MirrorNodeStatus{
		at("Applied", "False NoConfigPath"), at("Pending", "Unknown Asking"), at("Applied", "Unknown Asking"), at("Applied", "True Proven"),
		at("Refused", "True Proven"), at("Pending", "Unknown Asking"), at("Applied", "True Proven"),
	} {
		for _, e := range events(told, s) {
			got = append(got, e.reason)
		}
		told = remember(told, s)
	}
	if want := []string{"NotObeyed", "Obeyed", "Refused", "Applied"}; !slices.Equal(got, want) {
		t.Errorf("got %v, want %v", got, want)
	}
}

// line is one of the page: reason, type.
var line = regexp.MustCompile("(?m)^\\| `([A-Za-z]+)` \\| ([A-Za-z]+) \\|")

func TestThePageHasALineForEachEvent(t *testing.T) {
	page, err := os.ReadFile("../../docs/reference/events.md")
	if err != nil {
		t.Fatal(err)
	}
	said := map[string]bool{}
	for _, m := range line.FindAllStringSubmatch(string(page), -1) {
		said[m[2]+" "+m[1]] = true
	}
	told := map[string]bool{}
	for _, w := range ways {
		for _, e := range events(w.before, w.after) {
			told[e.kind+" "+e.reason] = true
		}
	}
	for what := range told {
		if !said[what] {
			t.Errorf("the page does not say what %s is", what)
		}
	}
	for what := range said {
		if !told[what] {
			t.Errorf("the page has %s, which no test has seen", what)
		}
	}
}

func TestTheSameEventAgainIsCountedUp(t *testing.T) {
	d := newDesk(t)
	bad := with(func(s *v1alpha1.MirrorNodeStatus) { s.State, s.Message = v1alpha1.NodeRefused, "edit it" })
	for range 3 {
		for _, s := range []v1alpha1.MirrorNodeStatus{applied(), bad} {
			d.Publish(s)
			d.work()
			d.now = d.now.Add(time.Minute)
		}
	}
	if got, want := fmt.Sprint(d.toldEvents()), "[Normal Enrolled x1 Warning Refused x3 Normal Applied x2]"; got != want {
		t.Errorf("got %s, want %s", got, want)
	}
	refused := d.office.events[1]
	if refused["firstTimestamp"] != "2026-05-01T12:01:00Z" || refused["lastTimestamp"] != "2026-05-01T12:05:00Z" {
		t.Errorf("times: %v", refused)
	}
	d.now = d.now.Add(repeated)
	d.Publish(applied())
	d.work()
	if got := d.toldEvents(); got[len(got)-1] != "Normal Applied x1" {
		t.Errorf("an old one was counted up: %v", got)
	}
}

func TestAnEventIsAboutTheNode(t *testing.T) {
	d := newDesk(t)
	d.events().add(notice{warning, "Refused", "edit it"}, d.now)
	d.uid = ""
	d.events().add(notice{warning, "RolledBack", "look"}, d.now)
	d.uid = "uid-1"
	if err := d.events().flush(t.Context(), d.now); err != nil {
		t.Fatal(err)
	}
	object := fmt.Sprint(d.office.events[0]["involvedObject"])
	if object != "map[apiVersion:v1 kind:Node name:n1 uid:uid-1]" || d.office.events[0]["reportingComponent"] != "mirrorlet" {
		t.Errorf("%v", d.office.events[0])
	}
}

func TestEventsThatCannotBeToldWaitAndNoMoreThanAFew(t *testing.T) {
	d := newDesk(t)
	d.fails("", "events", http.StatusServiceUnavailable, 0)
	for i := range 100 {
		d.events().add(notice{warning, "Refused", fmt.Sprint(i)}, d.now.Add(time.Duration(i)*time.Hour))
	}
	if err := d.events().flush(t.Context(), d.now); err == nil || len(d.events().queue) != maxQueue {
		t.Errorf("%v, %d wait", err, len(d.events().queue))
	}
	d.fails("", "", 0, 0)
	if err := d.events().flush(t.Context(), d.now); err != nil || len(d.office.events) != maxQueue || d.office.events[maxQueue-1]["message"] != "99" {
		t.Errorf("%v, %v", err, d.toldEvents())
	}
}

func TestFlappingTellsABoundedNumberOfEvents(t *testing.T) {
	d := newDesk(t)
	for i := range 600 { // an hour
		d.events().add(notice{warning, "Refused", fmt.Sprint(i)}, d.now)
		if err := d.events().flush(t.Context(), d.now); err != nil {
			t.Fatal(err)
		}
		d.now = d.now.Add(6 * time.Second)
	}
	if n := len(d.office.events); n < 60 || n > 60+eventBurst {
		t.Errorf("%d Events in an hour", n)
	}
	if n := len(d.events().sent); n > 2*eventBurst {
		t.Errorf("%d are remembered", n)
	}
}
