package probe

import (
	"context"
	"crypto/rand"
	"errors"
	"fmt"
	"strings"
	"time"
	"unicode"
)

// Answer is what came of asking a runtime for a proof. There are three: Asked; not Asked and no Err, which means that the runtime tried to
// pull and went elsewhere; and Err, after which nothing is known.
type Answer struct {
	// Asked says that the runtime's request arrived: it has loaded what leads here.
	Asked bool
	// After is the time from the question to that request.
	After time.Duration
	// Runtime is what the runtime calls itself in that request, such as "containerd/v2.4.2".
	Runtime string
	// Said is what the runtime gave for its reason when it did not ask: one line, shortened, for a person. What is made up for one
	// question is left out, so that the same reason reads the same the next time.
	Said string
	// Err says why it could not be asked: ErrUnreachable, ErrNoCRI, ErrNoEnd, or the end of the caller's context.
	Err error
}

// Why a runtime could not be asked. What an Answer has wraps one of them.
var (
	// ErrUnreachable: nothing answers at the socket, or the runtime is only just starting.
	ErrUnreachable = errors.New("the runtime does not answer")
	// ErrNoCRI: the daemon is there and serves no CRI, or one older than v1; the plugin is disabled or did not load.
	ErrNoCRI = errors.New("the daemon serves no CRI v1")
	// ErrNoEnd: the pull neither asked nor came back in time. The runtime may wait for another mirror or for a name server.
	ErrNoEnd = errors.New("the pull did not come back")
)

// patience bounds a pull. A runtime that has loaded the entry asks within a tenth of a second.
const patience = 30 * time.Second

// farewell is how long a pull may take to end by itself once its request has arrived. It has nobody else to ask, so that it takes
// milliseconds; to let it end is to have the runtime tidy up behind it before another begins.
const farewell = time.Second

// question is one that waits for its request.
type question struct {
	registryName, repository string
	arrived                  chan arrival // the first one
}

type arrival struct {
	at    time.Time
	agent string
}

// Ask has the runtime at a socket of the CRI pull from a registry name, and says whether that led it to this registry. The image has a
// name that was never used before, so no copy of it is anywhere. It returns when the request has arrived, when the pull has failed
// elsewhere, or after half a minute; a runtime has one question at a time, others wait for theirs.
func (r *Registry) Ask(ctx context.Context, socket, registryName string) Answer {
	if socket == "" {
		return Answer{Err: fmt.Errorf("%w: its socket is not known", ErrUnreachable)}
	}
	ctx, cancel := context.WithTimeout(ctx, patience)
	defer cancel()
	done, ok := r.turn(ctx, socket)
	if !ok {
		return Answer{Err: fmt.Errorf("another question to %s is under way: %w", socket, over(ctx))}
	}
	defer done()
	q := r.expect(registryName)
	defer r.forget(q)

	// The runtime is not told of the deadline: it would give up a moment before us, and that would look like a pull that went elsewhere.
	pulling, stop := context.WithCancel(context.WithoutCancel(ctx))
	defer stop()
	begun := time.Now()
	pulled := make(chan Answer, 1)
	go func() { pulled <- q.judge(socket, pull(pulling, socket, q.image())) }()
	select {
	case a := <-q.arrived:
		leave(pulled, stop)
		return a.since(begun)
	case <-ctx.Done():
		stop()
		<-pulled
		return Answer{Err: fmt.Errorf("ask %s to pull: %w", socket, over(ctx))}
	case answer := <-pulled:
		select {
		case a := <-q.arrived: // both are true, and select takes either
			return a.since(begun)
		default:
			return answer
		}
	}
}

func (a arrival) since(begun time.Time) Answer {
	return Answer{Asked: true, After: a.at.Sub(begun), Runtime: a.agent}
}

// image is the reference that the runtime is asked for.
func (q *question) image() string { return q.registryName + "/" + q.repository + ":proof" }

// leave waits for a pull to end, and ends it if it does not.
func leave(pulled <-chan Answer, stop context.CancelFunc) {
	timer := time.NewTimer(farewell)
	defer timer.Stop()
	select {
	case <-pulled:
	case <-timer.C:
		stop()
		<-pulled
	}
}

// turn waits until no other question to the socket is under way.
func (r *Registry) turn(ctx context.Context, socket string) (done func(), ok bool) {
	r.mutex.Lock()
	turn := r.turns[socket]
	if turn == nil {
		turn = make(chan struct{}, 1)
		r.turns[socket] = turn
	}
	r.mutex.Unlock()
	select {
	case turn <- struct{}{}:
		return func() { <-turn }, true
	case <-ctx.Done():
		return nil, false
	}
}

// over says why a context has ended.
func over(ctx context.Context) error {
	if errors.Is(ctx.Err(), context.DeadlineExceeded) {
		return fmt.Errorf("%w in time", ErrNoEnd)
	}
	return ctx.Err()
}

// expect makes up a question that nobody can guess.
func (r *Registry) expect(registryName string) *question {
	q := &question{registryName: registryName, repository: strings.ToLower(rand.Text()), arrived: make(chan arrival, 1)}
	r.mutex.Lock()
	defer r.mutex.Unlock()
	r.waiting[q.repository] = q
	return q
}

func (r *Registry) forget(q *question) {
	r.mutex.Lock()
	defer r.mutex.Unlock()
	delete(r.waiting, q.repository)
}

// longest is how much of what somebody else says is kept, in bytes.
const longest = 300

// oneLine is what somebody else says, fit for a log and a status. Of a long error the end is kept: there stands the cause.
func oneLine(s string) string {
	if len(s) > longest {
		s = "…" + s[len(s)-longest:]
	}
	return strings.Map(func(c rune) rune {
		if !unicode.IsPrint(c) {
			return ' '
		}
		return c
	}, strings.ToValidUTF8(s, "?"))
}
