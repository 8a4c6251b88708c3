package cluster

import (
	"context"
	"encoding/json"
	"log/slog"
	"math/rand/v2"
	"sync"
	"sync/atomic"
	"time"

	"golang.org/x/time/rate"
	"k8s.io/client-go/rest"

	"github.com/mirrorlet/mirrorlet/api/v1alpha1"
)

// When a report is written.
const (
	// heartbeat is the time between two writes where nothing changes, on average. At 5,000 nodes that is less than three writes a second.
	heartbeat = 30 * time.Minute
	// A burst of writes is followed by one per pace.
	pace, burst = time.Second, 3
	// A failed write is followed by another after firstRetry, and after twice as long each time, up to lastRetry.
	firstRetry, lastRetry = time.Second, 5 * time.Minute
	// idle is for ever, where there is nothing to wait for.
	idle = 24 * time.Hour
)

// ReporterConfig is what a Reporter needs to know.
type ReporterConfig struct {
	// Node is the name of the node, and of its MirrorNode.
	Node string
	// UID returns the UID of the Node object, which will own the MirrorNode; "" while it is not known. It may be called at any time.
	UID func() string
	// Version is that of the program, for the user agent.
	Version string
	// Log is told of what keeps reports from being written, once each time.
	Log *slog.Logger
	// Now, After and Chance are the clock and the dice: time.Now, time.After and rand.Float64 where they are nil.
	Now    func() time.Time
	After  func(time.Duration) <-chan time.Time
	Chance func() float64
}

// Reporter keeps the MirrorNode of a node as it was last published, and tells Events on the Node of what a person must know. It writes
// what differs and nothing else, but for one heartbeat in half an hour; also after a restart, since it first reads what is there.
type Reporter struct {
	ReporterConfig
	client *client
	limit  *rate.Limiter
	events *recorder
	woken  chan struct{}
	// written says that the MirrorNode has said once what was published.
	written atomic.Bool

	mu     sync.Mutex
	latest *v1alpha1.MirrorNodeStatus // what was last published

	// What follows belongs to the goroutine of Run.

	known     *v1alpha1.MirrorNode       // as the API server has it; nil while that is not known
	pruned    map[string]json.RawMessage // what it did not take of the last write
	told      v1alpha1.MirrorNodeStatus  // of what Events have told
	began     bool                       // told is what a former life of ours has told
	beat      time.Time                  // when the next heartbeat is due
	until     time.Time                  // nothing is asked before
	failures  int                        // in a row
	complaint string                     // of which the log was told last
}

// NewReporter returns a Reporter that speaks with the API server of a connection, see InCluster. Run makes it work.
func NewReporter(connection *rest.Config, c ReporterConfig) (*Reporter, error) {
	client, err := newClient(connection, c.Version)
	if err != nil {
		return nil, err
	}
	return newReporter(client, c), nil
}

func newReporter(client *client, c ReporterConfig) *Reporter {
	if c.Now == nil {
		c.Now = time.Now
	}
	if c.After == nil {
		c.After = time.After
	}
	if c.Chance == nil {
		c.Chance = rand.Float64
	}
	return &Reporter{
		ReporterConfig: c, client: client, limit: rate.NewLimiter(rate.Every(pace), burst),
		events: newRecorder(client, c.Node, c.UID, c.Log), woken: make(chan struct{}, 1),
	}
}

// Publish says where the node stands. It never blocks: Run writes the latest in its own time. The status stays the caller's. Its
// heartbeat, and the times of its conditions, do not matter.
func (r *Reporter) Publish(status v1alpha1.MirrorNodeStatus) {
	s := bounded(status)
	r.mu.Lock()
	r.latest = &s
	r.mu.Unlock()
	select {
	case r.woken <- struct{}{}:
	default: // it is on its way already, and will see the latest
	}
}

// Run writes what is published until the context ends. Nothing is written before the first Publish.
func (r *Reporter) Run(ctx context.Context) {
	for ctx.Err() == nil {
		wait := r.step(ctx)
		select {
		case <-ctx.Done():
		case <-r.woken:
		case <-r.After(wait):
		}
	}
}

// step does what is due now, and returns for how long there is nothing to do unless something is published.
func (r *Reporter) step(ctx context.Context) time.Duration {
	status, now := r.wanted(), r.Now()
	switch wait := r.until.Sub(now); {
	case status == nil:
		return idle
	case wait > 0:
		return wait
	}
	err := r.write(ctx, *status)
	if err == nil {
		r.written.Store(true)
	}
	if err == nil || blocked(err) { // Events have rights of their own
		r.raise(*status)
		if failed := r.events.flush(ctx, r.Now()); err == nil {
			err = failed
		}
	}
	switch {
	case ctx.Err() != nil:
		return idle
	case err != nil:
		r.failed(err)
		return r.until.Sub(now)
	case r.until.After(now): // the pace
		return r.until.Sub(now)
	}
	r.succeeded()
	return max(r.beat.Sub(now), pace)
}

func (r *Reporter) wanted() *v1alpha1.MirrorNodeStatus {
	r.mu.Lock()
	defer r.mu.Unlock()
	return r.latest
}

// raise makes Events of what has changed since the last time.
func (r *Reporter) raise(status v1alpha1.MirrorNodeStatus) {
	for _, e := range events(r.told, status) {
		r.events.add(e, r.Now())
	}
	r.told, r.began = remember(r.told, status), true
}

// failed decides when to try again: the later the more often it has failed, at another moment on each node, and not before the API server
// wants to be asked again.
func (r *Reporter) failed(err error) {
	pause := lastRetry
	if r.failures < 16 {
		pause = min(pause, firstRetry<<r.failures)
	}
	pause = pause/2 + time.Duration(r.Chance()*float64(pause/2))
	r.failures++
	r.until = r.Now().Add(max(pause, told(err, r.Chance())))
	if kind := complaint(err); kind != r.complaint {
		r.complaint = kind
		r.Log.Warn(kind, "node", r.Node, "error", err)
	}
}

func (r *Reporter) succeeded() {
	if r.complaint != "" {
		r.Log.Info("reports are written again", "node", r.Node)
	}
	r.failures, r.complaint, r.until = 0, "", time.Time{}
}

// schedule sets the next heartbeat after one of the given time, which is on the API server's object and so by any clock.
func (r *Reporter) schedule(last, now time.Time) {
	pause := time.Duration((0.8 + 0.4*r.Chance()) * float64(heartbeat))
	age := min(max(now.Sub(last), 0), pause)
	r.beat = now.Add(pause - age) // reckoned from now, so that nobody's setting the clock matters
}
