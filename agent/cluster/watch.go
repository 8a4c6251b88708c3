package cluster

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"maps"
	"net/url"
	"strconv"
	"time"

	apierrors "k8s.io/apimachinery/pkg/api/errors"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
)

// How long a watch is asked to last: a number from the shortest to the longest, so that those of many nodes end at different times.
// Each end costs a request. kube-apiserver keeps to it (timeoutSeconds; staging/src/k8s.io/apiserver/pkg/endpoints/handlers/get.go).
const (
	shortestWatch = 45 * time.Minute
	longestWatch  = time.Hour
)

// settledIn is how long a watch must last to be one that works: where they end sooner, again and again, the API server is asked ever more
// rarely.
const settledIn = time.Minute

// Why a watch ends, where it is not the API server's own word.
var (
	errAgain  = errors.New("everything is listed again")
	errCut    = errors.New("the watch was cut")
	errSilent = errors.New("the API server has not answered within " + answerTime.String())
)

// fetch lists everything, and returns what is kept of what is wanted, and the version from which to watch.
func (f *feed) fetch(ctx context.Context, names map[string]bool) (all map[string][]byte, version string, err error) {
	ctx, cancel := context.WithTimeoutCause(ctx, answerTime, errSilent)
	defer cancel()
	body, err := f.client.open(ctx, request{verb: "GET", path: f.path, query: f.query, accept: f.accept("List")})
	if err != nil {
		return nil, "", because(ctx, err)
	}
	defer body.Close()
	all = map[string][]byte{}
	version, err = decodeList(body, func(name string, object []byte) {
		if names == nil || names[name] {
			all[name] = f.keep(object)
		}
	})
	if err != nil {
		return nil, "", fmt.Errorf("list %s: %w", f.path, because(ctx, err))
	}
	return all, version, nil
}

// accept is the media type of an answer; list is "List" or "".
func (f *feed) accept(list string) string {
	if !f.partial {
		return "application/json"
	}
	return "application/json;as=PartialObjectMetadata" + list + ";g=meta.k8s.io;v=v1"
}

// watch takes over one change after another, from the version on, until the watch ends: nil when its time is over.
func (f *feed) watch(ctx context.Context) error {
	ctx, end := context.WithCancelCause(ctx)
	defer end(nil)
	length := shortestWatch + time.Duration(f.chance()*float64(longestWatch-shortestWatch))
	silent := time.AfterFunc(answerTime, func() { end(errSilent) })
	body, err := f.client.open(ctx, request{verb: "GET", path: f.path, query: f.watchQuery(length), accept: f.accept("")})
	silent.Stop()
	if err != nil {
		return because(ctx, err)
	}
	defer body.Close()
	overdue := time.AfterFunc(length+answerTime, func() { end(errCut) })
	defer overdue.Stop()
	began := f.uptime()
	f.found(end)
	defer f.unhook()
	err = f.follow(body)
	lasted := f.uptime() - began
	cause := context.Cause(ctx)
	f.failures, f.flaps = 0, f.flaps+1
	if lasted >= settledIn || errors.Is(cause, errAgain) {
		f.flaps = 0
	}
	switch {
	case cause != nil:
		return cause
	case definite(err) || transient(err):
		return err
	case lasted >= length-settledIn:
		return nil
	}
	return fmt.Errorf("%w: %w", errCut, err)
}

func (f *feed) unhook() {
	f.mu.Lock()
	defer f.mu.Unlock()
	f.end = nil
}

func (f *feed) watchQuery(length time.Duration) url.Values {
	q := url.Values{}
	maps.Copy(q, f.query)
	q.Set("watch", "1")
	q.Set("allowWatchBookmarks", "true")
	q.Set("resourceVersion", f.version)
	q.Set("timeoutSeconds", strconv.Itoa(int(length/time.Second)))
	return q
}

// because returns why a context ended, where that is the cause of an error.
func because(ctx context.Context, err error) error {
	if cause := context.Cause(ctx); cause != nil {
		return cause
	}
	return err
}

// watchEvent is a change as a watch tells it.
type watchEvent struct {
	Type   string
	Object json.RawMessage
}

// follow takes over the changes of an open watch. It ends with an error always.
func (f *feed) follow(body io.Reader) error {
	decoder := json.NewDecoder(body)
	for {
		var e watchEvent
		if err := decoder.Decode(&e); err != nil {
			return err
		}
		if err := f.take(e); err != nil {
			return err
		}
	}
}

// take takes over one change.
func (f *feed) take(e watchEvent) error {
	if e.Type == "ERROR" {
		var status metav1.Status
		if err := json.Unmarshal(e.Object, &status); err != nil {
			return err
		}
		return &apierrors.StatusError{ErrStatus: status}
	}
	var o head
	if err := json.Unmarshal(e.Object, &o); err != nil {
		return err
	}
	f.mu.Lock()
	defer f.mu.Unlock()
	f.version = o.Metadata.ResourceVersion
	switch name := o.Metadata.Name; {
	case e.Type == "BOOKMARK" || !f.wants(name):
	case e.Type == "DELETED":
		f.tell(f.remove(name, f.uptime()))
	default:
		f.tell(f.put(name, f.keep(e.Object)))
	}
	return nil
}
