package cluster

import (
	"bytes"
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"maps"
	"net/http"
	"net/url"
	"slices"
	"time"

	apierrors "k8s.io/apimachinery/pkg/api/errors"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"k8s.io/apimachinery/pkg/runtime/schema"
	"k8s.io/apimachinery/pkg/types"

	"github.com/mirrorlet/mirrorlet/api/v1alpha1"
)

// Why a MirrorNode cannot be written, where that is no matter of the connection.
var (
	errNoCRD  = errors.New("the API server knows no MirrorNodes")
	errNoNode = errors.New("the UID of the Node, which is to own the MirrorNode, is not known yet")
	errOwner  = errors.New("the MirrorNode belongs to a former Node of this name")
)

const mirrorNodes = "/apis/" + v1alpha1.APIVersion + "/mirrornodes"

// fieldManager is under which name the API server notes who wrote a field.
var fieldManager = url.Values{"fieldManager": {"mirrorlet"}}

// write makes the MirrorNode say the status, if it does not, or if a heartbeat is due. What turns out to be gone, or changed by somebody
// else, is read again once.
func (r *Reporter) write(ctx context.Context, status v1alpha1.MirrorNodeStatus) error {
	var err error
	for range 2 {
		if err = r.attempt(ctx, status); err == nil || !apierrors.IsConflict(err) && !apierrors.IsNotFound(err) {
			return err
		}
		r.known = nil
	}
	return err
}

func (r *Reporter) attempt(ctx context.Context, status v1alpha1.MirrorNodeStatus) error {
	if r.known != nil && r.foreign() {
		r.known = nil
	}
	if r.known == nil {
		if err := r.read(ctx); err != nil {
			return err
		}
	}
	now := r.Now()
	status.Conditions = conditions(r.known.Status.Conditions, status.Conditions, now)
	patch, err := difference(r.known.Status, status)
	if err != nil {
		return err
	}
	if now.Before(r.beat) { // a heartbeat tries again what was not taken
		maps.DeleteFunc(patch, func(name string, value json.RawMessage) bool { return bytes.Equal(value, r.pruned[name]) })
		if len(patch) == 0 {
			return nil
		}
	}
	if tokens := r.limit.TokensAt(now); !r.limit.AllowN(now, 1) {
		r.until = now.Add(time.Duration((1 - tokens) * float64(pace)))
		return nil
	}
	if err := r.patch(ctx, patch, now); err != nil {
		return err
	}
	return r.compare(status)
}

// compare notes which fields the API server did not take as they were written, because its CRD is of another version: to write them again
// and again would be in vain.
func (r *Reporter) compare(status v1alpha1.MirrorNodeStatus) error {
	before := len(r.pruned)
	var err error
	if r.pruned, err = difference(r.known.Status, status); err == nil && len(r.pruned) > 0 && before == 0 {
		r.Log.Warn("the API server leaves out fields of our report; kubectl apply the CRDs of this version's install.yaml",
			"node", r.Node, "fields", slices.Sorted(maps.Keys(r.pruned)))
	}
	return err
}

// patch writes fields and a heartbeat, unless somebody else has written since we looked. Who writes last among two is thus known to both.
func (r *Reporter) patch(ctx context.Context, fields map[string]json.RawMessage, now time.Time) error {
	beat, err := json.Marshal(seconds(now))
	if err != nil {
		return err
	}
	fields["heartbeat"] = beat
	body, err := json.Marshal(map[string]any{
		"metadata": map[string]string{"resourceVersion": r.known.ResourceVersion}, "status": fields,
	})
	if err != nil {
		return err
	}
	answer, err := r.client.do(ctx, request{
		verb: http.MethodPatch, path: mirrorNodes + "/" + r.Node + "/status", query: fieldManager,
		contentType: string(types.MergePatchType), body: body,
	})
	if err != nil {
		return err
	}
	r.schedule(now, now)
	return r.learn(answer)
}

// read learns what is there, and makes the MirrorNode where there is none.
func (r *Reporter) read(ctx context.Context) error {
	answer, err := r.client.do(ctx, request{verb: http.MethodGet, path: mirrorNodes + "/" + r.Node})
	if apierrors.IsNotFound(err) {
		if answer, err = r.create(ctx); apierrors.IsAlreadyExists(err) { // since a moment ago: the next attempt reads it
			err = apierrors.NewConflict(schema.GroupResource{Group: v1alpha1.Group, Resource: "mirrornodes"}, r.Node, err)
		}
	}
	if err == nil {
		err = r.learn(answer)
	}
	if err != nil {
		return err
	}
	if r.foreign() {
		r.known = nil
		return errOwner
	}
	if !r.began {
		r.told = r.known.Status
	}
	last := r.known.Status.Heartbeat
	if last == nil {
		last = new(metav1.Time)
	}
	r.schedule(last.Time, r.Now())
	return nil
}

func (r *Reporter) create(ctx context.Context) ([]byte, error) {
	uid := r.UID()
	if uid == "" {
		return nil, errNoNode
	}
	no := false
	body, err := json.Marshal(v1alpha1.MirrorNode{
		TypeMeta: metav1.TypeMeta{APIVersion: v1alpha1.APIVersion, Kind: v1alpha1.MirrorNodeKind},
		ObjectMeta: metav1.ObjectMeta{Name: r.Node, OwnerReferences: []metav1.OwnerReference{
			{APIVersion: "v1", Kind: "Node", Name: r.Node, UID: types.UID(uid), Controller: &no, BlockOwnerDeletion: &no},
		}},
	})
	if err != nil {
		return nil, err
	}
	answer, err := r.client.do(ctx, request{verb: http.MethodPost, path: mirrorNodes, query: fieldManager, body: body})
	if apierrors.IsNotFound(err) { // to create something fails so only where its kind is not served
		err = errNoCRD
	}
	return answer, err
}

func (r *Reporter) learn(answer []byte) error {
	var node v1alpha1.MirrorNode
	if err := json.Unmarshal(answer, &node); err != nil {
		return fmt.Errorf("the API server's answer about MirrorNode %s: %w", r.Node, err)
	}
	r.known = &node
	return nil
}

// foreign says that the MirrorNode is owned by a Node of another UID: one that had our name and is gone. The garbage collector will remove
// it with all that is written to it meanwhile.
func (r *Reporter) foreign() bool {
	uid := r.UID()
	return uid != "" && slices.ContainsFunc(r.known.OwnerReferences, func(o metav1.OwnerReference) bool {
		return o.APIVersion == "v1" && o.Kind == "Node" && string(o.UID) != uid
	})
}

// blocked says that the API server can be reached and yet no report can be written.
func blocked(err error) bool {
	return errors.Is(err, errNoCRD) || errors.Is(err, errOwner) || apierrors.IsForbidden(err)
}

// complaint is what a person should know of an error, with the remedy where there is one.
func complaint(err error) string {
	switch {
	case errors.Is(err, errNoCRD):
		return "there are no MirrorNodes in this cluster; reports wait for their CRD, which kubectl apply -f install.yaml brings"
	case errors.Is(err, errOwner):
		return "the MirrorNode belongs to a former Node of this name; reports wait for the garbage collector, or for kubectl delete mirrornode"
	case errors.Is(err, errNoNode):
		return "reports wait for the Node object"
	case apierrors.IsForbidden(err):
		return "the API server forbids reports; kubectl apply the RBAC of this version's install.yaml, and see that limits by node are those of this version"
	case apierrors.IsUnauthorized(err):
		return "the API server does not know us; reports wait for a token that it accepts"
	case apierrors.IsInvalid(err), apierrors.IsBadRequest(err):
		return "the API server refuses our report; kubectl apply the CRDs of this version's install.yaml"
	default:
		return "a report could not be written; it is tried again"
	}
}
