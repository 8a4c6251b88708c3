package probe_test

import (
	"context"
	"errors"
	"path/filepath"
	"strings"
	"sync/atomic"
	"testing"
	"time"

	"google.golang.org/grpc"
	"google.golang.org/grpc/codes"
	"google.golang.org/grpc/status"

	"github.com/mirrorlet/mirrorlet/agent/probe"
	"github.com/mirrorlet/mirrorlet/runtimes"
)

var name = runtimes.ProofName("0a1b2c3d4e5f")

func listen(t *testing.T) *probe.Registry { return listenAt(t, "127.0.0.1:0") }

func listenAt(t *testing.T, address string) *probe.Registry {
	t.Helper()
	r, err := probe.Listen(address)
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() {
		if err := r.Close(); err != nil {
			t.Error(err)
		}
	})
	return r
}

func ask(t *testing.T, r *probe.Registry, pull func(ctx context.Context, image string) error) probe.Answer {
	t.Helper()
	d := &daemon{pull: pull}
	return r.Ask(t.Context(), d.start(t), name)
}

var errNotFound = status.Error(codes.NotFound, "failed to resolve\nimage: not found")

func TestARequestThatArrivesIsTheProof(t *testing.T) {
	r := listen(t)
	a := ask(t, r, func(ctx context.Context, image string) error {
		response, err := request(ctx, r.Address(), image, name)
		if err != nil || response.StatusCode != 404 {
			t.Errorf("%v, %v", response, err)
		}
		return errNotFound
	})
	if !a.Asked || a.Err != nil || a.Runtime != "containerd/v2.4.2" || a.After <= 0 || a.After > 5*time.Second {
		t.Errorf("%+v", a)
	}
}

func TestAPullThatGoesElsewhereIsNoProof(t *testing.T) {
	a := ask(t, listen(t), func(context.Context, string) error { return errNotFound })
	if a.Asked || a.Err != nil || a.Said != "failed to resolve image: not found" {
		t.Errorf("%+v", a)
	}
}

func TestTheReasonForWhichARuntimeDidNotAskReadsTheSameEachTime(t *testing.T) {
	r := listen(t)
	d := &daemon{pull: func(_ context.Context, image string) error {
		return status.Error(codes.Unknown, strings.Repeat("failed to resolve "+image+": ", 10)+"lookup "+name+": no such host")
	}}
	socket := d.start(t)
	first, second := r.Ask(t.Context(), socket, name), r.Ask(t.Context(), socket, name)
	if first.Said != second.Said || !strings.HasSuffix(first.Said, "no such host") || len(first.Said) > 310 {
		t.Errorf("%q, %q", first.Said, second.Said)
	}
}

func TestARequestInTheNameOfAnotherRevisionIsNoProof(t *testing.T) {
	r := listen(t)
	a := ask(t, r, func(ctx context.Context, image string) error {
		_, err := request(ctx, r.Address(), image, runtimes.ProofName("f5e4d3c2b1a0"))
		return errors.Join(errNotFound, err)
	})
	if a.Asked || a.Err != nil {
		t.Errorf("%+v", a)
	}
}

func TestARequestForWhatNobodyAskedIsNoProof(t *testing.T) {
	r := listen(t)
	a := ask(t, r, func(ctx context.Context, _ string) error {
		_, err := request(ctx, r.Address(), name+"/guess:proof", name)
		return errors.Join(errNotFound, err)
	})
	if a.Asked || a.Err != nil {
		t.Errorf("%+v", a)
	}
}

func TestARuntimeThatSendsNoNamespaceProvesAsWell(t *testing.T) {
	r := listen(t)
	a := ask(t, r, func(ctx context.Context, image string) error {
		_, err := request(ctx, r.Address(), image, "")
		return errors.Join(errNotFound, err)
	})
	if !a.Asked {
		t.Errorf("%+v", a)
	}
}

func TestEachQuestionIsAboutAnImageThatWasNeverAskedFor(t *testing.T) {
	r, seen := listen(t), map[string]bool{}
	d := &daemon{pull: func(_ context.Context, image string) error {
		seen[image] = true
		return errNotFound
	}}
	socket := d.start(t)
	for range 3 {
		r.Ask(t.Context(), socket, name)
	}
	for image := range seen {
		if _, err := runtimes.ParseRef(image); err != nil || !strings.HasPrefix(image, name+"/") {
			t.Errorf("%s: %v", image, err)
		}
	}
	if len(seen) != 3 {
		t.Errorf("asked for %v", seen)
	}
}

func TestAQuestionThatCannotBePutSaysWhy(t *testing.T) {
	r := listen(t)
	says := func(code codes.Code, what string) string {
		d := &daemon{pull: func(context.Context, string) error { return status.Error(code, what) }}
		return d.start(t)
	}
	for socket, want := range map[string]error{
		"":                                      probe.ErrUnreachable,
		filepath.Join(t.TempDir(), "none.sock"): probe.ErrUnreachable,
		serve(t, grpc.NewServer()):              probe.ErrNoCRI,
		says(codes.Unknown, "server is not initialized yet"):     probe.ErrUnreachable,
		says(codes.Unavailable, "server is not initialized yet"): probe.ErrUnreachable,
		says(codes.Canceled, "context canceled"):                 probe.ErrUnreachable,
	} {
		a := r.Ask(t.Context(), socket, name)
		if a.Asked || !errors.Is(a.Err, want) || !strings.Contains(a.Err.Error(), socket) || strings.Contains(a.Err.Error(), "\n") {
			t.Errorf("%q: %+v", socket, a)
		}
	}
}

// hang is a pull that ends with the patience of who asked for it.
func hang(ctx context.Context, _ string) error {
	<-ctx.Done()
	return status.FromContextError(ctx.Err()).Err()
}

func TestAPullThatNeverComesBackIsGivenUp(t *testing.T) {
	ctx, cancel := context.WithTimeout(t.Context(), 50*time.Millisecond)
	defer cancel()
	d := &daemon{pull: hang}
	if a := listen(t).Ask(ctx, d.start(t), name); a.Asked || !errors.Is(a.Err, probe.ErrNoEnd) {
		t.Errorf("%+v", a)
	}
}

func TestAPullThatHangsAfterItsRequestIsEndedAndProves(t *testing.T) {
	r, ended := listen(t), make(chan struct{})
	a := ask(t, r, func(ctx context.Context, image string) error {
		defer close(ended)
		if _, err := request(ctx, r.Address(), image, name); err != nil {
			t.Error(err)
		}
		return hang(ctx, image)
	})
	if !a.Asked || a.Err != nil {
		t.Errorf("%+v", a)
	}
	<-ended
}

func TestARuntimeIsAskedOneQuestionAtATime(t *testing.T) {
	r, done := listen(t), make(chan probe.Answer)
	var pulls, most atomic.Int32
	d := &daemon{pull: func(ctx context.Context, image string) error {
		most.Store(max(most.Load(), pulls.Add(1)))
		defer pulls.Add(-1)
		_, err := request(ctx, r.Address(), image, name)
		return errors.Join(errNotFound, err)
	}}
	socket := d.start(t)
	const questions = 8
	for range questions {
		go func() { done <- r.Ask(t.Context(), socket, name) }()
	}
	for range questions {
		if a := <-done; !a.Asked {
			t.Errorf("%+v", a)
		}
	}
	if most.Load() != 1 {
		t.Errorf("%d pulls at once", most.Load())
	}
}

func TestARuntimeThatHangsDelaysNoOther(t *testing.T) {
	r, begun := listen(t), make(chan struct{})
	ctx, cancel := context.WithCancel(t.Context())
	slow := &daemon{pull: func(ctx context.Context, image string) error {
		close(begun)
		return hang(ctx, image)
	}}
	socket, stuck := slow.start(t), make(chan probe.Answer)
	go func() { stuck <- r.Ask(ctx, socket, name) }()
	<-begun
	if a := ask(t, r, func(context.Context, string) error { return errNotFound }); a.Said == "" {
		t.Errorf("%+v", a)
	}
	cancel()
	if a := <-stuck; !errors.Is(a.Err, context.Canceled) {
		t.Errorf("%+v", a)
	}
}

func TestAnImageThatAMirrorMadeUpIsRemoved(t *testing.T) {
	d := &daemon{}
	d.pull = func(_ context.Context, image string) error {
		d.keep(image, image)
		return nil
	}
	a := listen(t).Ask(t.Context(), d.start(t), name)
	if a.Asked || a.Err != nil || !strings.Contains(a.Said, "a mirror answers to every name") || len(d.removed) != 1 {
		t.Errorf("%+v, removed %v", a, d.removed)
	}
}

func TestAnImageThatTheRuntimeKnowsByAnotherNameIsNeverRemoved(t *testing.T) {
	d := &daemon{}
	d.pull = func(_ context.Context, image string) error {
		d.keep(image, image, "registry.k8s.io/pause:3.10")
		return nil
	}
	a := listen(t).Ask(t.Context(), d.start(t), name)
	if a.Asked || !strings.Contains(a.Said, "registry.k8s.io/pause:3.10") || len(d.removed) != 0 {
		t.Errorf("%+v, removed %v", a, d.removed)
	}
}
