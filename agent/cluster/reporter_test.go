package cluster

import (
	"encoding/json"
	"fmt"
	"io"
	"log/slog"
	"maps"
	"net/http"
	"net/http/httptest"
	"net/url"
	"strconv"
	"strings"
	"sync"
	"testing"
	"time"

	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"

	"github.com/mirrorlet/mirrorlet/api/v1alpha1"
)

// office is as much of an API server as a Reporter speaks with: one MirrorNode and Events, with versions and merge patches.
type office struct {
	mu      sync.Mutex
	node    map[string]any   // nil: there is none
	events  []map[string]any // in the order of their creation
	version int
	asked   []string                                    // "VERB path", in order
	bodies  []string                                    // what was sent with them
	fault   func(verb, path string) (status, after int) // 0: none
	says    string                                      // with a fault
	prunes  string                                      // the field of a status that its CRD does not have
}

func (o *office) ServeHTTP(w http.ResponseWriter, req *http.Request) {
	o.mu.Lock()
	defer o.mu.Unlock()
	body, _ := io.ReadAll(req.Body)
	o.asked, o.bodies = append(o.asked, req.Method+" "+req.URL.Path), append(o.bodies, string(body))
	if o.fault != nil {
		if status, after := o.fault(req.Method, req.URL.Path); status != 0 {
			if after > 0 {
				w.Header().Set("Retry-After", strconv.Itoa(after))
			}
			refuse(w, status, o.says)
			return
		}
	}
	var sent map[string]any
	_ = json.Unmarshal(body, &sent) // a GET has none
	if strings.HasPrefix(req.URL.Path, nodeEvents) {
		o.takeEvent(w, req, sent)
		return
	}
	o.takeNode(w, req, sent)
}

func (o *office) takeNode(w http.ResponseWriter, req *http.Request, sent map[string]any) {
	switch {
	case req.Method == http.MethodPost && o.node != nil:
		refuse(w, http.StatusConflict, "it exists")
		return
	case req.Method == http.MethodPost:
		o.node = sent
	case o.node == nil:
		refuse(w, http.StatusNotFound, "there is none")
		return
	case req.Method == http.MethodPatch && sent["metadata"].(map[string]any)["resourceVersion"] != strconv.Itoa(o.version):
		refuse(w, http.StatusConflict, "it was changed")
		return
	case req.Method == http.MethodPatch:
		merge(o.node, sent)
		delete(o.node["status"].(map[string]any), o.prunes)
	}
	if req.Method != http.MethodGet {
		o.version++
		o.node["metadata"].(map[string]any)["resourceVersion"] = strconv.Itoa(o.version)
	}
	_ = json.NewEncoder(w).Encode(o.node)
}

func (o *office) takeEvent(w http.ResponseWriter, req *http.Request, sent map[string]any) {
	if req.Method == http.MethodPost {
		o.events = append(o.events, sent)
		_ = json.NewEncoder(w).Encode(sent)
		return
	}
	for _, e := range o.events {
		if strings.HasSuffix(req.URL.Path, "/"+e["metadata"].(map[string]any)["name"].(string)) {
			merge(e, sent)
			_ = json.NewEncoder(w).Encode(e)
			return
		}
	}
	refuse(w, http.StatusNotFound, "there is no such event")
}

// refuse answers as an API server does.
func refuse(w http.ResponseWriter, code int, says string) {
	reasons := map[int]metav1.StatusReason{
		403: metav1.StatusReasonForbidden, 404: metav1.StatusReasonNotFound, 409: metav1.StatusReasonConflict, 429: metav1.StatusReasonTooManyRequests,
	}
	w.WriteHeader(code)
	_ = json.NewEncoder(w).Encode(metav1.Status{
		TypeMeta: metav1.TypeMeta{Kind: "Status", APIVersion: "v1"},
		Status:   metav1.StatusFailure, Code: int32(code), Reason: reasons[code], Message: says,
	})
}

// merge is RFC 7396.
func merge(have, patch map[string]any) {
	for k, v := range patch {
		deeper, isMap := v.(map[string]any)
		old, wasMap := have[k].(map[string]any)
		switch {
		case v == nil:
			delete(have, k)
		case isMap && wasMap:
			merge(old, deeper)
		case isMap:
			fresh := map[string]any{}
			merge(fresh, deeper)
			have[k] = fresh
		default:
			have[k] = v
		}
	}
}

// desk is a Reporter at an office, with a clock that stands still unless it is moved.
type desk struct {
	*Reporter
	*office
	t   *testing.T
	now time.Time
	uid string
	log strings.Builder
}

var start = time.Date(2026, 5, 1, 12, 0, 0, 0, time.UTC)

func newDesk(t *testing.T) *desk {
	d := &desk{t: t, office: &office{}, now: start, uid: "uid-1"}
	server := httptest.NewServer(d.office)
	t.Cleanup(server.Close)
	d.restart(server.URL)
	return d
}

// restart is another life of the agent at the same office.
func (d *desk) restart(at string) {
	base, err := url.Parse(at)
	if err != nil {
		d.t.Fatal(err)
	}
	d.Reporter = newReporter(&client{http: http.DefaultClient, base: base, agent: "mirrorlet/test"}, ReporterConfig{
		Node: "n1", UID: func() string { return d.uid }, Log: slog.New(slog.NewTextHandler(&d.log, nil)),
		Now: func() time.Time { return d.now }, Chance: func() float64 { return 0.5 },
	})
}

// work does what is due until nothing more is, and returns for how long.
func (d *desk) work() time.Duration { return d.step(d.t.Context()) }

// requests are those since the last call.
func (d *desk) requests() string {
	d.mu().Lock()
	defer d.mu().Unlock()
	all := strings.Join(d.asked, ", ")
	d.asked = nil
	return strings.NewReplacer(mirrorNodes, "mirrornodes", nodeEvents, "events").Replace(all)
}

func (d *desk) mu() *sync.Mutex { return &d.office.mu }

// status is what the MirrorNode says.
func (d *desk) status() v1alpha1.MirrorNodeStatus {
	d.t.Helper()
	text, err := json.Marshal(d.node)
	if err != nil {
		d.t.Fatal(err)
	}
	var n v1alpha1.MirrorNode
	if err := json.Unmarshal(text, &n); err != nil {
		d.t.Fatal(err)
	}
	return n.Status
}

// told are the Events in short: type, reason, count.
func (d *desk) toldEvents() []string {
	var all []string
	for _, e := range d.office.events {
		all = append(all, fmt.Sprintf("%s %s x%v", e["type"], e["reason"], e["count"]))
	}
	return all
}

func (d *desk) wants(what, requests string) {
	d.t.Helper()
	if got := d.requests(); got != requests {
		d.t.Errorf("%s: asked %q, want %q", what, got, requests)
	}
}

// applied is a status where all is well.
func applied() v1alpha1.MirrorNodeStatus {
	return v1alpha1.MirrorNodeStatus{
		State: v1alpha1.NodeApplied, Message: "3 registries are as asked", Runtime: "containerd 2.4.2", Agent: "v0.4.0", Revision: "0123456789ab",
		MirrorCount: "2", Mirrors: []v1alpha1.MirrorStatus{{Location: "https://a", Registries: 1}, {Location: "https://b", Registries: 2}},
		Configs:    []v1alpha1.ConfigStatus{{Name: "cluster", Generation: 3}},
		Conditions: []metav1.Condition{{Type: v1alpha1.ConditionObeyed, Status: metav1.ConditionTrue, Reason: "Proven", Message: "asked by its CRI"}},
	}
}

// with is a status with something changed.
func with(change func(*v1alpha1.MirrorNodeStatus)) v1alpha1.MirrorNodeStatus {
	s := applied()
	change(&s)
	return s
}

// fails makes every request with this verb and text in its path fail so; 0 ends it.
func (d *desk) fails(verb, path string, status, after int) {
	d.mu().Lock()
	defer d.mu().Unlock()
	d.fault = func(v, p string) (int, int) {
		if strings.Contains(v, verb) && strings.Contains(p, path) {
			return status, after
		}
		return 0, 0
	}
}

// object is a MirrorNode that stands at the office already.
func (d *desk) object(status map[string]any, owner string) {
	d.version = 7
	d.node = map[string]any{
		"metadata": map[string]any{"name": "n1", "resourceVersion": "7", "ownerReferences": []any{
			map[string]any{"apiVersion": "v1", "kind": "Node", "name": "n1", "uid": owner},
		}},
		"status": maps.Clone(status),
	}
}

func (d *desk) events() *recorder { return d.Reporter.events }
