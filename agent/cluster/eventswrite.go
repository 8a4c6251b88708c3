package cluster

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"hash/fnv"
	"log/slog"
	"maps"
	"net/http"
	"time"

	"golang.org/x/time/rate"
	apierrors "k8s.io/apimachinery/pkg/api/errors"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"k8s.io/apimachinery/pkg/types"
)

// How many Events are told. The same one again within repeated counts up the one that is there. A burst is followed by one per
// eventPace; what is more is left out, for the MirrorNode says it too.
const (
	repeated              = 10 * time.Minute
	eventPace, eventBurst = time.Minute, 10
	maxQueue              = 20 // waiting for the API server; the oldest is left out
)

// The Events of a Node, which has no namespace, are in this one: validation allows no other (pkg/apis/core/validation/events.go of Kubernetes).
const nodeEvents = "/api/v1/namespaces/default/events"

// recorder tells Events of one Node. It belongs to one goroutine.
type recorder struct {
	client *client
	node   string
	uid    func() string
	log    *slog.Logger
	denied bool // the log knows it
	limit  *rate.Limiter
	queue  []occurrence
	sent   map[notice]sent
}

// occurrence is a notice at its time.
type occurrence struct {
	notice
	at time.Time
}

// sent is an Event that the API server has.
type sent struct {
	name  string
	count int
	last  time.Time
}

func newRecorder(c *client, node string, uid func() string, log *slog.Logger) *recorder {
	return &recorder{
		client: c, node: node, uid: uid, log: log,
		limit: rate.NewLimiter(rate.Every(eventPace), eventBurst), sent: map[notice]sent{},
	}
}

// add takes a notice to be told by the next flush.
func (r *recorder) add(e notice, now time.Time) {
	if !r.limit.AllowN(now, 1) {
		return
	}
	e.message = clip(e.message)
	r.queue = append(r.queue, occurrence{e, now})
	r.queue = r.queue[max(0, len(r.queue)-maxQueue):]
}

// flush tells what waits, in its order. An error means that the rest still waits. What the API server refuses is left out.
func (r *recorder) flush(ctx context.Context, now time.Time) error {
	maps.DeleteFunc(r.sent, func(_ notice, s sent) bool { return now.Sub(s.last) > repeated })
	for len(r.queue) > 0 {
		err := r.tell(ctx, r.queue[0])
		if err != nil && !refused(err) {
			return fmt.Errorf("tell an Event: %w", err)
		}
		if err != nil && !r.denied {
			r.denied = true
			r.log.Warn("the API server refuses Events on the Node; kubectl apply the RBAC of this version's install.yaml", "node", r.node, "error", err)
		}
		r.queue = r.queue[1:]
	}
	return nil
}

// tell counts up the same Event, or makes a new one.
func (r *recorder) tell(ctx context.Context, o occurrence) error {
	s, again := r.sent[o.notice]
	if again && o.at.Sub(s.last) <= repeated {
		s.count, s.last = s.count+1, o.at
		err := r.countUp(ctx, s)
		if err == nil {
			r.sent[o.notice] = s
		}
		if !apierrors.IsNotFound(err) {
			return err
		}
	}
	s = sent{name: r.name(o), count: 1, last: o.at}
	err := r.create(ctx, s, o.notice)
	if err == nil || apierrors.IsAlreadyExists(err) { // an answer was lost on its way
		r.sent[o.notice] = s
		return nil
	}
	return err
}

func (r *recorder) countUp(ctx context.Context, s sent) error {
	body, err := json.Marshal(map[string]any{"count": s.count, "lastTimestamp": seconds(s.last)})
	if err != nil {
		return err
	}
	_, err = r.client.do(ctx, request{
		verb: http.MethodPatch, path: nodeEvents + "/" + s.name, query: fieldManager, contentType: string(types.MergePatchType), body: body,
	})
	return err
}

// coreEvent is as much of a core/v1 Event as we say.
type coreEvent struct {
	metav1.TypeMeta    `json:",inline"`
	metav1.ObjectMeta  `json:"metadata"`
	InvolvedObject     reference         `json:"involvedObject"`
	Reason             string            `json:"reason"`
	Message            string            `json:"message"`
	Source             map[string]string `json:"source"`
	FirstTimestamp     metav1.Time       `json:"firstTimestamp"`
	LastTimestamp      metav1.Time       `json:"lastTimestamp"`
	Count              int               `json:"count"`
	Type               string            `json:"type"`
	ReportingComponent string            `json:"reportingComponent"`
	ReportingInstance  string            `json:"reportingInstance"`
}

type reference struct {
	APIVersion string `json:"apiVersion"`
	Kind       string `json:"kind"`
	Name       string `json:"name"`
	UID        string `json:"uid"`
}

// create makes an Event. kubectl describe node shows those with the UID of the Node, as controllers write them, and those with its name
// for a UID, as the kubelet does, who need not know it (NodeDescriber in pkg/describe/describe.go of kubectl).
func (r *recorder) create(ctx context.Context, s sent, e notice) error {
	uid := r.uid()
	if uid == "" {
		uid = r.node
	}
	body, err := json.Marshal(coreEvent{
		TypeMeta:       metav1.TypeMeta{APIVersion: "v1", Kind: "Event"},
		ObjectMeta:     metav1.ObjectMeta{Name: s.name, Namespace: metav1.NamespaceDefault},
		InvolvedObject: reference{APIVersion: "v1", Kind: "Node", Name: r.node, UID: uid},
		Reason:         e.reason, Message: e.message, Type: e.kind,
		Source:         map[string]string{"component": "mirrorlet", "host": r.node},
		FirstTimestamp: seconds(s.last), LastTimestamp: seconds(s.last), Count: s.count,
		ReportingComponent: "mirrorlet", ReportingInstance: r.node,
	})
	if err != nil {
		return err
	}
	_, err = r.client.do(ctx, request{verb: http.MethodPost, path: nodeEvents, query: fieldManager, body: body})
	return err
}

// name is that of one occurrence of an event, the same however often it is sent. It is cut to what the API server takes, 253 bytes.
func (r *recorder) name(o occurrence) string {
	h := fnv.New32a()
	fmt.Fprintf(h, "%s %s %s", r.node, o.reason, o.message)
	return fmt.Sprintf("%s.%x.%08x", r.node[:min(len(r.node), 220)], o.at.UnixNano(), h.Sum32())
}

// refused says that the API server understood us and does not want to hear it, now or later.
func refused(err error) bool {
	var status apierrors.APIStatus
	if !errors.As(err, &status) || apierrors.IsUnauthorized(err) || apierrors.IsTooManyRequests(err) || apierrors.IsConflict(err) {
		return false
	}
	code := status.Status().Code
	return code >= 400 && code < 500 && code != http.StatusRequestTimeout
}
