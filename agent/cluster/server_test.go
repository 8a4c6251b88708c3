package cluster

import (
	"bytes"
	"context"
	"encoding/json"
	"fmt"
	"io"
	"log/slog"
	"maps"
	"net/http"
	"net/url"
	"slices"
	"strconv"
	"strings"
	"sync"
	"testing"
	"testing/synctest"
	"time"

	"k8s.io/client-go/rest"
)

// The paths of an API server that are asked here.
const (
	nodesPath   = "/api/v1/nodes"
	secretsPath = "/api/v1/namespaces/mirrorlet-system/secrets"
)

// server is an API server in memory, as far as lists, watches and single objects go. It is a RoundTripper, so that it lives within the
// bubble of a synctest, where hours pass at once.
type server struct {
	mu      sync.Mutex
	version int
	objects map[string]map[string]map[string]any // by path and name
	history []change
	watches map[*watching]bool
	asked   []string // "LIST path", "WATCH path", "GET path"
	// fault answers instead of the server, where it answers at all.
	fault func(r *http.Request) (*http.Response, error)
}

type change struct {
	version  int
	path     string
	verb     string
	object   map[string]any
	bookmark bool
}

type watching struct {
	path, selector string
	events         chan []byte
	cut            chan error
}

func newServer() *server {
	s := &server{version: 100, objects: map[string]map[string]map[string]any{}, watches: map[*watching]bool{}}
	s.put(nodesPath, "n1", `{"metadata": {"uid": "u-1", "labels": {"zone": "a"}}, "status": {"nodeInfo": {"containerRuntimeVersion": "containerd://2.4.2"}}}`)
	s.put(nodesPath, "n2", `{}`)
	return s
}

// put makes or changes an object, whose other fields are JSON.
func (s *server) put(path, name, object string) {
	var o map[string]any
	if err := json.Unmarshal([]byte(object), &o); err != nil {
		panic(err)
	}
	if o["metadata"] == nil {
		o["metadata"] = map[string]any{}
	}
	s.mu.Lock()
	defer s.mu.Unlock()
	s.version++
	metadata := o["metadata"].(map[string]any)
	metadata["name"], metadata["resourceVersion"] = name, strconv.Itoa(s.version)
	verb := "MODIFIED"
	if s.objects[path] == nil {
		s.objects[path] = map[string]map[string]any{}
	}
	if s.objects[path][name] == nil {
		verb = "ADDED"
	}
	s.objects[path][name] = o
	s.publish(change{s.version, path, verb, o, false})
}

// config makes or changes a MirrorConfig with one registry.
func (s *server) config(name, prefix string) {
	s.put(configsPath, name, fmt.Sprintf(`{"apiVersion": "mirrorlet.dev/v1alpha1", "kind": "MirrorConfig",
		"metadata": {"generation": 3, "uid": "x", "creationTimestamp": "2026-01-01T00:00:00Z", "fieldOfALaterKubernetes": {"a": 1}},
		"spec": {"registries": [{"prefix": %q, "mirrors": [{"location": "https://m.example"}]}]}, "status": {"seen": true}}`, prefix))
}

func (s *server) remove(path, name string) {
	s.mu.Lock()
	defer s.mu.Unlock()
	s.version++
	o := maps.Clone(s.objects[path][name])
	metadata := maps.Clone(o["metadata"].(map[string]any))
	metadata["resourceVersion"] = strconv.Itoa(s.version)
	o["metadata"] = metadata
	delete(s.objects[path], name)
	s.publish(change{s.version, path, "DELETED", o, false})
}

func (s *server) publish(c change) {
	s.history = append(s.history, c)
	for w := range s.watches {
		if data, seen := w.event(c); seen {
			w.events <- data
		}
	}
}

// event is a change as one watch sees it.
func (w *watching) event(c change) ([]byte, bool) {
	if c.path != w.path || w.selector != "" && w.selector != "metadata.name="+c.object["metadata"].(map[string]any)["name"].(string) {
		return nil, false
	}
	data, _ := json.Marshal(map[string]any{"type": c.verb, "object": c.object})
	return append(data, '\n'), true
}

// cut ends all open watches with an error.
func (s *server) cut(err error) {
	s.mu.Lock()
	defer s.mu.Unlock()
	for w := range s.watches {
		delete(s.watches, w)
		w.cut <- err
	}
}

// open counts the watches of a path that are open.
func (s *server) open(path string) int {
	synctest.Wait()
	s.mu.Lock()
	defer s.mu.Unlock()
	n := 0
	for w := range s.watches {
		if w.path == path {
			n++
		}
	}
	return n
}

// count counts what was asked, and forgets it.
func (s *server) count() map[string]int {
	s.mu.Lock()
	defer s.mu.Unlock()
	n := map[string]int{}
	for _, a := range s.asked {
		n[a]++
	}
	s.asked = nil
	return n
}

// fail has the server answer with faults from now on; nil ends that.
func (s *server) fail(fault func(r *http.Request) (*http.Response, error)) {
	s.mu.Lock()
	defer s.mu.Unlock()
	s.fault = fault
}

// RoundTrip answers a request.
func (s *server) RoundTrip(r *http.Request) (*http.Response, error) {
	path, q := r.URL.Path, r.URL.Query()
	s.mu.Lock()
	verb := "LIST"
	switch {
	case q.Has("watch"):
		verb = "WATCH"
	case strings.HasPrefix(path, nodesPath+"/"):
		verb = "GET"
	}
	s.asked = append(s.asked, verb+" "+path)
	fault := s.fault
	s.mu.Unlock()
	if fault != nil {
		if answer, err := fault(r); answer != nil || err != nil {
			return answer, err
		}
	}
	s.mu.Lock()
	defer s.mu.Unlock()
	switch verb {
	case "GET":
		return answer(http.StatusOK, s.objects[nodesPath][strings.TrimPrefix(path, nodesPath+"/")], nil), nil
	case "WATCH":
		return s.watch(r.Context(), path, q)
	}
	items := []any{}
	for _, name := range slices.Sorted(maps.Keys(s.objects[path])) {
		if f := q.Get("fieldSelector"); f == "" || f == "metadata.name="+name {
			items = append(items, s.objects[path][name])
		}
	}
	return answer(http.StatusOK, map[string]any{"kind": "List", "metadata": map[string]any{"resourceVersion": strconv.Itoa(s.version)}, "items": items}, nil), nil
}

// watch answers with the changes since a version until the time is over.
func (s *server) watch(ctx context.Context, path string, q url.Values) (*http.Response, error) {
	from, err := strconv.Atoi(q.Get("resourceVersion"))
	seconds, err2 := strconv.Atoi(q.Get("timeoutSeconds"))
	if err != nil || err2 != nil || q.Get("allowWatchBookmarks") != "true" {
		panic("a watch without version, time or bookmarks: " + q.Encode())
	}
	w := &watching{path: path, selector: q.Get("fieldSelector"), events: make(chan []byte, 1000), cut: make(chan error, 1)}
	for _, c := range s.history {
		if data, seen := w.event(c); seen && c.version > from {
			w.events <- data
		}
	}
	s.watches[w] = true
	reader, writer := io.Pipe()
	go func() {
		over := time.After(time.Duration(seconds) * time.Second)
		for {
			select {
			case data := <-w.events:
				if _, err := writer.Write(data); err != nil {
					return
				}
				continue
			case err := <-w.cut:
				writer.CloseWithError(err)
			case <-over:
				_ = writer.Close() // a pipe closes always
			case <-ctx.Done():
				writer.CloseWithError(ctx.Err())
			}
			s.mu.Lock()
			delete(s.watches, w)
			s.mu.Unlock()
			return
		}
	}()
	return &http.Response{StatusCode: http.StatusOK, Header: http.Header{}, Body: reader}, nil
}

// answer is an answer in JSON.
func answer(code int, body any, header http.Header) *http.Response {
	data, _ := json.Marshal(body)
	if header == nil {
		header = http.Header{}
	}
	return &http.Response{StatusCode: code, Header: header, Body: io.NopCloser(bytes.NewReader(data))}
}

// refusal answers as an API server refuses.
func refusal(code int, reason string) func(*http.Request) (*http.Response, error) {
	return func(*http.Request) (*http.Response, error) {
		return answer(code, map[string]any{"kind": "Status", "status": "Failure", "reason": reason, "message": reason + " it is", "code": code}, nil), nil
	}
}

// only has a fault for one path, and for what is below it.
func only(path string, fault func(*http.Request) (*http.Response, error)) func(*http.Request) (*http.Response, error) {
	return func(r *http.Request) (*http.Response, error) {
		if strings.HasPrefix(r.URL.Path, path) {
			return fault(r)
		}
		return nil, nil
	}
}

// hanging never answers.
func hanging(r *http.Request) (*http.Response, error) {
	<-r.Context().Done()
	return nil, r.Context().Err()
}

// bubble runs a test of a node of a cluster where time passes at once. The node is known, if the server tells, when the test begins.
func bubble(t *testing.T, s *server, test func(t *testing.T, c *Cluster)) {
	t.Helper()
	bubbleOf(t, s, Options{Objects: true}, test)
}

func bubbleOf(t *testing.T, s *server, o Options, test func(t *testing.T, c *Cluster)) {
	t.Helper()
	synctest.Test(t, func(t *testing.T) {
		o.Config = &rest.Config{Host: "https://api.example", Transport: s}
		o.Node, o.Namespace, o.Version, o.Log = "n1", "mirrorlet-system", "1.2.3", slog.New(slog.DiscardHandler)
		c, err := New(o)
		if err != nil {
			t.Fatal(err)
		}
		ctx, stop := context.WithCancel(t.Context())
		done := make(chan struct{})
		go func() { c.Run(ctx); close(done) }()
		synctest.Wait()
		test(t, c)
		stop()
		<-done
	})
}

// read reads, and returns the prefixes of the registries.
func read(t *testing.T, c *Cluster) string {
	t.Helper()
	d, errs, err := c.Read()
	if err != nil || len(errs) > 0 {
		t.Fatal(err, errs)
	}
	return prefixes(d)
}

// nudged says whether there is a nudge, and takes it.
func nudged(c *Cluster) bool {
	synctest.Wait()
	select {
	case <-c.Changed():
		return true
	default:
		return false
	}
}
