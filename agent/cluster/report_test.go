package cluster

import (
	"context"
	"encoding/json"
	"net/http"
	"slices"
	"strconv"
	"strings"
	"testing"
	"time"

	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"

	"github.com/mirrorlet/mirrorlet/api/v1alpha1"
)

func TestTheFirstReportMakesTheMirrorNode(t *testing.T) {
	d := newDesk(t)
	if wait := d.work(); wait != idle {
		t.Errorf("before anything is published it looks again in %s", wait)
	}
	d.wants("before", "")
	d.Publish(applied())
	d.work()
	d.wants("first", "GET mirrornodes/n1, POST mirrornodes, PATCH mirrornodes/n1/status, POST events")
	owner, err := json.Marshal(d.node["metadata"].(map[string]any)["ownerReferences"])
	if want := `[{"apiVersion":"v1","blockOwnerDeletion":false,"controller":false,"kind":"Node","name":"n1","uid":"uid-1"}]`; err != nil || string(owner) != want {
		t.Errorf("owner: %s", owner)
	}
	s := d.status()
	if s.State != v1alpha1.NodeApplied || !s.Heartbeat.Time.Equal(start) || !s.Conditions[0].LastTransitionTime.Time.Equal(start) {
		t.Errorf("status: %+v", s)
	}
}

func TestNothingIsWrittenWhereNothingChanges(t *testing.T) {
	d := newDesk(t)
	d.Publish(applied())
	d.work()
	d.requests()
	for range 20 {
		d.now = d.now.Add(time.Minute)
		d.Publish(applied())
		d.work()
	}
	d.wants("twenty passes", "")
}

func TestOnlyTheFieldsThatDifferAreWritten(t *testing.T) {
	d := newDesk(t)
	d.Publish(applied())
	d.work()
	d.now = d.now.Add(time.Minute)
	d.Publish(with(func(s *v1alpha1.MirrorNodeStatus) { s.Message, s.Mirrors = "4 registries are as asked", nil }))
	d.work()
	want := `{"metadata":{"resourceVersion":"2"},"status":{"heartbeat":"2026-05-01T12:01:00Z","message":"4 registries are as asked","mirrors":null}}`
	if got := d.bodies[len(d.bodies)-1]; got != want {
		t.Errorf("sent %s", got)
	}
	if s := d.status(); s.Mirrors != nil || s.Revision != "0123456789ab" {
		t.Errorf("status: %+v", s)
	}
}

func TestAHeartbeatIsWrittenInHalfAnHourAndCarriesNothingElse(t *testing.T) {
	d := newDesk(t)
	d.Publish(applied())
	wait := d.work()
	d.requests()
	if wait != heartbeat { // the dice show 0.5
		t.Errorf("the next heartbeat is in %s", wait)
	}
	d.now = d.now.Add(wait - time.Second)
	d.work()
	d.wants("a second before", "")
	d.now = d.now.Add(time.Second)
	d.work()
	d.wants("on time", "PATCH mirrornodes/n1/status")
	if got, want := d.bodies[len(d.bodies)-1], `{"metadata":{"resourceVersion":"2"},"status":{"heartbeat":"2026-05-01T12:30:00Z"}}`; got != want {
		t.Errorf("sent %s", got)
	}
}

func TestHeartbeatsAreSpreadByAFifth(t *testing.T) {
	d := newDesk(t)
	for chance, want := range map[float64]time.Duration{0: 24 * time.Minute, 1: 36 * time.Minute} {
		d.Chance = func() float64 { return chance }
		d.schedule(d.now, d.now)
		if got := d.beat.Sub(d.now); got != want {
			t.Errorf("chance %v: %s, want %s", chance, got, want)
		}
	}
	for name, last := range map[string]time.Time{"ten years ahead": start.AddDate(10, 0, 0), "ten years behind": start.AddDate(-10, 0, 0)} {
		if d.schedule(last, d.now); d.beat.Before(d.now) || d.beat.After(d.now.Add(36*time.Minute)) {
			t.Errorf("a clock %s: the next heartbeat is at %s", name, d.beat)
		}
	}
}

func TestARestartWritesNothingButWhatDiffers(t *testing.T) {
	d := newDesk(t)
	d.Publish(applied())
	d.work()
	d.requests()
	d.now = d.now.Add(10 * time.Minute)
	d.restart(d.client.base.String())
	d.Publish(applied())
	wait := d.work()
	d.wants("the same again", "GET mirrornodes/n1")
	if wait != 20*time.Minute {
		t.Errorf("the heartbeat of the former life is forgotten: the next is in %s", wait)
	}
	d.restart(d.client.base.String())
	d.Publish(with(func(s *v1alpha1.MirrorNodeStatus) { s.Agent = "v0.5.0" }))
	d.work()
	d.wants("another version", "GET mirrornodes/n1, PATCH mirrornodes/n1/status")
	if len(d.office.events) != 1 {
		t.Errorf("events are told again: %v", d.toldEvents())
	}
}

func TestAConditionKeepsTheTimeSinceWhenItIsSo(t *testing.T) {
	d := newDesk(t)
	d.Publish(applied())
	d.work()
	since := func(status metav1.ConditionStatus, reason string) time.Time {
		t.Helper()
		d.now = d.now.Add(time.Minute)
		d.Publish(with(func(s *v1alpha1.MirrorNodeStatus) { s.Conditions[0].Status, s.Conditions[0].Reason = status, reason }))
		d.work()
		c := d.status().Conditions[0]
		if c.Status != status || c.Reason != reason {
			t.Errorf("not written: %+v", c)
		}
		return c.LastTransitionTime.Time
	}
	if at := since("True", "ProvenAgain"); !at.Equal(start) {
		t.Errorf("another reason is no transition: %s", at)
	}
	if at := since("False", "NoConfigPath"); !at.Equal(d.now) {
		t.Errorf("a transition has the time %s", at)
	}
}

func TestFieldsOfAnotherVersionAndConditionsOfOthersStay(t *testing.T) {
	d := newDesk(t)
	d.Publish(applied())
	d.work()
	status := d.node["status"].(map[string]any)
	status["health"] = "good"
	status["mirrors"].([]any)[0].(map[string]any)["latency"] = "3ms"
	status["conditions"] = append(status["conditions"].([]any), map[string]any{
		"type": "Admired", "status": "True", "reason": "Yes", "message": "", "lastTransitionTime": "2026-01-01T00:00:00Z",
	})
	d.restart(d.client.base.String())
	d.requests()
	d.Publish(applied())
	d.work()
	d.wants("what a newer version wrote besides", "GET mirrornodes/n1")
	d.Publish(with(func(s *v1alpha1.MirrorNodeStatus) { s.Conditions[0].Status = "False" }))
	d.work()
	if c := d.status().Conditions; len(c) != 2 || c[0].Type != "Admired" || d.node["status"].(map[string]any)["health"] != "good" {
		t.Errorf("status: %v", d.node["status"])
	}
	d.now = d.now.Add(time.Minute)
	d.Publish(with(func(s *v1alpha1.MirrorNodeStatus) { s.Conditions = nil }))
	d.work()
	if c := d.status().Conditions; len(c) != 1 || c[0].Type != "Admired" {
		t.Errorf("a claim that is not made any more stays: %+v", c)
	}
}

func TestAFieldThatAnOlderCRDLacksIsNotWrittenAgainAndAgain(t *testing.T) {
	d := newDesk(t)
	d.prunes = "revision"
	d.Publish(applied())
	d.work()
	d.requests()
	d.Publish(applied())
	d.work()
	d.wants("the same", "")
	if log := d.log.String(); strings.Count(log, "\n") != 1 || !strings.Contains(log, "[revision]") || !strings.Contains(log, "CRDs") {
		t.Errorf("log: %s", log)
	}
	d.now = d.now.Add(time.Minute)
	d.Publish(with(func(s *v1alpha1.MirrorNodeStatus) { s.Revision = "ba9876543210" }))
	d.work()
	d.wants("another revision", "PATCH mirrornodes/n1/status")
	d.prunes = "" // the CRD is applied, and a heartbeat goes by
	d.now = d.now.Add(heartbeat)
	d.work()
	if s := d.status(); s.Revision != "ba9876543210" {
		t.Errorf("status: %+v", s)
	}
}

func TestAWriteOfSomebodyElseIsSeenAndPutRight(t *testing.T) {
	d := newDesk(t)
	d.Publish(applied())
	d.work()
	d.node["status"].(map[string]any)["state"] = "Refused" // by hand
	d.node["metadata"].(map[string]any)["resourceVersion"] = "9"
	d.version = 9
	d.requests()
	d.Publish(with(func(s *v1alpha1.MirrorNodeStatus) { s.Message = "new" }))
	d.work()
	d.wants("conflict", "PATCH mirrornodes/n1/status, GET mirrornodes/n1, PATCH mirrornodes/n1/status")
	if s := d.status(); s.State != v1alpha1.NodeApplied || s.Message != "new" {
		t.Errorf("status: %+v", s)
	}
	if d.log.String() != "" {
		t.Errorf("log: %s", d.log.String())
	}
}

func TestAMirrorNodeThatWasDeletedIsMadeAgain(t *testing.T) {
	d := newDesk(t)
	d.Publish(applied())
	d.work()
	d.node = nil
	d.requests()
	d.now = d.now.Add(heartbeat)
	d.work()
	d.wants("at the heartbeat", "PATCH mirrornodes/n1/status, GET mirrornodes/n1, POST mirrornodes, PATCH mirrornodes/n1/status")
	if d.status().State != v1alpha1.NodeApplied {
		t.Errorf("status: %+v", d.status())
	}
}

func TestWritesAreBoundedAndTheLatestWins(t *testing.T) {
	d := newDesk(t)
	d.Publish(applied())
	d.work()
	d.requests()
	for i := range 100 { // within ten seconds
		d.Publish(with(func(s *v1alpha1.MirrorNodeStatus) { s.Message = strconv.Itoa(i) }))
		d.work()
		d.now = d.now.Add(100 * time.Millisecond)
	}
	if n := strings.Count(d.requests(), "PATCH"); n < 10 || n > 12 {
		t.Errorf("%d writes in ten seconds", n)
	}
	for wait := d.work(); wait <= pace; wait = d.work() {
		d.now = d.now.Add(wait)
	}
	if s := d.status(); s.Message != "99" {
		t.Errorf("the last one is %s", s.Message)
	}
}

func TestAFailureIsTriedAgainLaterAndLaterAndToldOnce(t *testing.T) {
	d := newDesk(t)
	d.fails("", "", http.StatusInternalServerError, 0)
	d.Publish(applied())
	var waits []time.Duration
	for range 12 {
		wait := d.work()
		if early := d.work(); early != wait { // somebody publishes meanwhile
			t.Errorf("asked before its time")
		}
		waits = append(waits, wait)
		d.now = d.now.Add(wait)
	}
	want := []time.Duration{750 * time.Millisecond, 1500 * time.Millisecond, 3 * time.Second, 6 * time.Second}
	if !slices.Equal(waits[:4], want) || waits[11] != 225*time.Second || !slices.IsSorted(waits) {
		t.Errorf("waits: %v", waits)
	}
	if n := strings.Count(d.requests(), "GET"); n != 12 {
		t.Errorf("%d requests", n)
	}
	if n := strings.Count(d.log.String(), "\n"); n != 1 {
		t.Errorf("log: %s", d.log.String())
	}
	d.fails("", "", 0, 0)
	d.work()
	if d.status().State != v1alpha1.NodeApplied || !strings.Contains(d.log.String(), "written again") {
		t.Errorf("status %+v, log %s", d.status(), d.log.String())
	}
}

func TestTheAPIServersOwnWaitIsRespected(t *testing.T) {
	d := newDesk(t)
	d.fails("", "", http.StatusTooManyRequests, 60)
	d.Publish(applied())
	if wait := d.work(); wait < time.Minute || wait > 75*time.Second {
		t.Errorf("asked again in %s", wait)
	}
}

func TestWithoutTheCRDEventsAreToldAndTheRestWaits(t *testing.T) {
	d := newDesk(t)
	d.fails("", "/mirrornodes", http.StatusNotFound, 0)
	d.Publish(with(func(s *v1alpha1.MirrorNodeStatus) { s.State, s.Message = v1alpha1.NodeRefused, "edit it" }))
	for range 5 {
		d.now = d.now.Add(d.work())
	}
	if got := d.toldEvents(); !slices.Equal(got, []string{"Normal Enrolled x1", "Warning Refused x1"}) {
		t.Errorf("events: %v", got)
	}
	if log := d.log.String(); strings.Count(log, "\n") != 1 || !strings.Contains(log, "CRD") || !strings.Contains(log, "install.yaml") {
		t.Errorf("log: %s", log)
	}
	d.fails("", "", 0, 0)
	d.work()
	if d.node == nil || d.status().State != v1alpha1.NodeRefused || len(d.office.events) != 2 {
		t.Errorf("node %v, events %v", d.node, d.toldEvents())
	}
}

func TestARightThatIsMissingIsToldOnceWithTheRemedy(t *testing.T) {
	d := newDesk(t)
	d.fails("", "", http.StatusForbidden, 0)
	for i := range 5 {
		d.Publish(with(func(s *v1alpha1.MirrorNodeStatus) { s.State = []v1alpha1.NodeState{"Refused", "Applied"}[i%2] }))
		d.now = d.now.Add(d.work())
	}
	log := d.log.String()
	if strings.Count(log, "\n") != 2 || strings.Count(log, "forbids reports") != 1 || strings.Count(log, "refuses Events") != 1 || strings.Count(log, "RBAC") != 2 {
		t.Errorf("log: %s", log)
	}
}

func TestAReportOfAFormerNodeIsLeftToTheGarbageCollector(t *testing.T) {
	d := newDesk(t)
	d.object(map[string]any{"state": "Applied"}, "uid-of-the-former")
	d.Publish(applied())
	d.now = d.now.Add(d.work())
	d.wants("the former's", "GET mirrornodes/n1, POST events")
	if log := d.log.String(); !strings.Contains(log, "former Node") {
		t.Errorf("log: %s", log)
	}
	d.node = nil // collected
	d.work()
	if d.node == nil || d.status().Revision != "0123456789ab" {
		t.Errorf("node: %v", d.node)
	}
	d.now = d.now.Add(time.Minute)
	d.uid = "uid-2" // deleted and registered again while we run
	d.requests()
	d.work()
	d.wants("another Node of our name", "GET mirrornodes/n1")
}

func TestWithoutANodeNoMirrorNodeIsMade(t *testing.T) {
	d := newDesk(t)
	d.uid = ""
	d.Publish(applied())
	d.now = d.now.Add(d.work())
	d.wants("no owner", "GET mirrornodes/n1")
	d.object(map[string]any{}, "uid-1")
	d.work()
	d.wants("one that is there is kept right", "GET mirrornodes/n1, PATCH mirrornodes/n1/status, POST events")
}

func TestTheTokenIsInNoLogEventOrReport(t *testing.T) {
	const canary = "s3cr3t-canary"
	d := newDesk(t)
	d.client.http = &http.Client{Transport: bearer(canary)}
	for _, status := range []int{401, 403, 422, 500} {
		d.fails("", "", status, 0)
		d.Publish(applied())
		d.now = d.now.Add(d.work())
	}
	d.fails("", "", 0, 0)
	d.Publish(with(func(s *v1alpha1.MirrorNodeStatus) { s.State = v1alpha1.NodeRefused }))
	d.work()
	text, err := json.Marshal([]any{d.node, d.office.events})
	if err != nil || strings.Contains(d.log.String()+string(text)+strings.Join(d.bodies, ""), canary) {
		t.Errorf("found in %s %s", d.log.String(), text)
	}
	if d.log.String() == "" || len(d.office.events) == 0 {
		t.Error("nothing was there to be found")
	}
}

// bearer sends a token with each request, as the connection of a Pod does.
type bearer string

func (b bearer) RoundTrip(req *http.Request) (*http.Response, error) {
	req = req.Clone(req.Context())
	req.Header.Set("Authorization", "Bearer "+string(b))
	return http.DefaultTransport.RoundTrip(req)
}

func TestRunWritesWhatIsPublishedAndEndsWithItsContext(t *testing.T) {
	d := newDesk(t)
	d.Now, d.After = time.Now, time.After
	written := make(chan struct{}, 10)
	d.fault = func(verb, _ string) (int, int) {
		if verb == http.MethodPatch {
			written <- struct{}{}
		}
		return 0, 0
	}
	ctx, cancel := context.WithCancel(t.Context())
	done := make(chan struct{})
	go func() { defer close(done); d.Run(ctx) }()
	d.Publish(applied())
	<-written
	d.Publish(with(func(s *v1alpha1.MirrorNodeStatus) { s.Message = "new" }))
	<-written
	cancel()
	<-done
}
