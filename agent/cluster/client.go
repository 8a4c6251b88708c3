package cluster

import (
	"bytes"
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"net/http"
	"net/url"
	"strconv"
	"strings"
	"time"

	apierrors "k8s.io/apimachinery/pkg/api/errors"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"k8s.io/apimachinery/pkg/runtime/schema"
	"k8s.io/client-go/rest"
)

// answerTime is how long the API server may take to answer. Its own limit for a request that is not a watch is a minute
// (--request-timeout of kube-apiserver); an answer that comes later than half of that is of a server that is down.
const answerTime = 30 * time.Second

// The largest answers that are read, in bytes: one object and what surrounds it, and what a server says of an error. An object of etcd has
// at most 1.5 MiB.
const (
	maxAnswer = 8 << 20
	maxError  = 64 << 10
)

// client speaks JSON with the API server. It neither retries nor limits: whoever asks knows better when to ask again.
type client struct {
	http *http.Client
	base *url.URL
	// agent is the user agent, by which the server's owner can tell who asks.
	agent string
}

// request is one question to the API server.
type request struct {
	verb  string // GET, POST, PUT, PATCH, DELETE
	path  string // such as "/api/v1/nodes/a"; names in it need no escaping, for the API server allows none that would
	query url.Values
	// accept and contentType are application/json where they are empty.
	accept, contentType string
	body                []byte
}

// newClient returns the client of a config. The config stays the caller's.
func newClient(config *rest.Config, version string) (*client, error) {
	config = rest.CopyConfig(config)
	config.UserAgent = "mirrorlet/" + version
	config.Timeout = 0 // it would cut watches too
	base, _, err := rest.DefaultServerUrlFor(config)
	if err != nil {
		return nil, fmt.Errorf("the address of the API server: %w", err)
	}
	h, err := rest.HTTPClientFor(config)
	if err != nil {
		return nil, fmt.Errorf("connect to the API server: %w", err)
	}
	return &client{http: h, base: base, agent: config.UserAgent}, nil
}

// do asks, and returns the whole answer. An answer that is an error is an *apierrors.StatusError, so that apierrors.IsNotFound and its
// like, and apierrors.SuggestsClientDelay, can tell which.
func (c *client) do(ctx context.Context, r request) ([]byte, error) {
	ctx, cancel := context.WithTimeout(ctx, answerTime)
	defer cancel()
	body, err := c.open(ctx, r)
	if err != nil {
		return nil, err
	}
	defer body.Close()
	data, err := io.ReadAll(io.LimitReader(body, maxAnswer+1))
	switch {
	case err != nil:
		return nil, fmt.Errorf("%s %s: %w", r.verb, r.path, err)
	case len(data) > maxAnswer:
		return nil, fmt.Errorf("%s %s: the answer is larger than %d bytes", r.verb, r.path, maxAnswer)
	}
	return data, nil
}

// open asks, and returns the answer to be read, and closed, while it comes. The context covers the reading as well.
func (c *client) open(ctx context.Context, r request) (io.ReadCloser, error) {
	at := *c.base
	at.Path = strings.TrimSuffix(at.Path, "/") + r.path
	at.RawQuery = r.query.Encode()
	req, err := http.NewRequestWithContext(ctx, r.verb, at.String(), bytes.NewReader(r.body))
	if err != nil {
		return nil, err
	}
	req.Header.Set("User-Agent", c.agent)
	req.Header.Set("Accept", orJSON(r.accept))
	if len(r.body) > 0 {
		req.Header.Set("Content-Type", orJSON(r.contentType))
	}
	answer, err := c.http.Do(req)
	if err != nil {
		return nil, withoutQuery(err)
	}
	if answer.StatusCode < 200 || answer.StatusCode > 299 {
		defer answer.Body.Close()
		return nil, statusError(r, answer)
	}
	return answer.Body, nil
}

func orJSON(mediaType string) string {
	if mediaType == "" {
		return "application/json"
	}
	return mediaType
}

// withoutQuery shortens the URL in an error of net/http to what a person needs, and what does not differ from one attempt to the next.
func withoutQuery(err error) error {
	if e := (*url.Error)(nil); errors.As(err, &e) {
		e.URL, _, _ = strings.Cut(e.URL, "?")
	}
	return err
}

// statusError is the error that an answer stands for: the server's own words where it speaks as an API server does, else those of
// whatever stands before it.
func statusError(r request, answer *http.Response) error {
	text, _ := io.ReadAll(io.LimitReader(answer.Body, maxError)) // what cannot be read of an error is not missed
	after, _ := strconv.Atoi(answer.Header.Get("Retry-After"))   // 0 where it is absent, or a date, which API servers do not send
	var status metav1.Status
	if json.Unmarshal(text, &status) != nil || status.Kind != "Status" || status.Status == metav1.StatusSuccess {
		return apierrors.NewGenericServerResponse(answer.StatusCode, r.verb, schema.GroupResource{}, "", strings.TrimSpace(string(text)), after, true)
	}
	if status.Code == 0 {
		status.Code = int32(answer.StatusCode)
	}
	if after > 0 {
		if status.Details == nil {
			status.Details = &metav1.StatusDetails{}
		}
		status.Details.RetryAfterSeconds = int32(after)
	}
	return &apierrors.StatusError{ErrStatus: status}
}
