// Package cluster is the only one that knows the API server: it watches what is wanted of this node and reports what became of it.
//
// What cannot be read stays as it was last. Nothing is ever taken away because the API server is gone, denies an answer, or does not know
// our kinds any more; what it was never heard of is unknown (agent.ErrUnknown), not absent.
package cluster

import (
	"context"
	"errors"
	"log/slog"
	"math/rand/v2"
	"sync"
	"sync/atomic"
	"time"

	"k8s.io/client-go/rest"

	"github.com/mirrorlet/mirrorlet/agent/config"
	"github.com/mirrorlet/mirrorlet/api/v1alpha1"
)

// Options say which node of which cluster it is.
type Options struct {
	// Config is the way to the API server: InCluster or Kubeconfig.
	Config *rest.Config
	// Node is the name of our Node, Namespace that of the agent, in which Secrets and ConfigMaps are looked up.
	Node, Namespace string
	// EnrollAll takes every node that does not say mirrorlet.dev/enabled=false.
	EnrollAll bool
	// Objects has MirrorConfigs and what they reference read; otherwise the documents come from elsewhere.
	Objects bool
	// Version is the agent's own, for the user agent.
	Version string
	Log     *slog.Logger
	// Now is the time of day, Uptime a clock that nobody can set, and Chance a random number from 0 to 1, which spreads the requests of
	// many nodes; each nil for the usual one.
	Now    func() time.Time
	Uptime func() time.Duration
	Chance func() float64
}

// Cluster is what the API server says. It is an agent.Source, and Node says what the agent needs to know of its Node.
type Cluster struct {
	Options
	client  *client
	node    *feed
	configs *feed // nil where the documents come from elsewhere
	changed chan struct{}
	edition atomic.Int64 // of all that is known
	runtime atomic.Pointer[string]
	report  *Reporter

	mu         sync.Mutex
	start      func(*feed) (stop func()) // nil while nothing runs
	references map[collection]*watched
	parsed     parsed
	read       int64 // the edition that Read returned last
}

// parsed is what the objects of one edition came to.
type parsed struct {
	edition   int
	documents config.Documents
	errs      []config.Error
}

// New returns what the API server says as soon as Run has heard it. It does not connect.
func New(o Options) (*Cluster, error) {
	switch {
	case o.Node == "":
		return nil, errors.New("the name of the node is not known; set NODE_NAME from spec.nodeName, as the DaemonSet does")
	case o.Namespace == "" && o.Objects:
		return nil, errors.New("the namespace of the agent is not known; set POD_NAMESPACE from metadata.namespace, as the DaemonSet does")
	}
	client, err := newClient(o.Config, o.Version)
	if err != nil {
		return nil, err
	}
	c := &Cluster{Options: o.complete(), client: client, changed: make(chan struct{}, 1), references: map[collection]*watched{}}
	c.parsed.edition = -1
	c.node = c.nodeFeed()
	if o.Objects {
		c.configs = c.configFeed()
	}
	c.report = newReporter(client, ReporterConfig{Node: c.Options.Node, UID: c.UID, Version: c.Version, Log: c.Log, Now: c.Now, Chance: c.Chance})
	return c, nil
}

// complete returns the options with the usual clocks and dice where there are none.
func (o Options) complete() Options {
	if o.Now == nil {
		o.Now = time.Now
	}
	if o.Uptime == nil {
		began := time.Now()
		o.Uptime = func() time.Duration { return time.Since(began) }
	}
	if o.Chance == nil {
		o.Chance = rand.Float64
	}
	return o
}

// newFeed returns a feed of everything at a path.
func (c *Cluster) newFeed(what, path string, keep func([]byte) []byte) *feed {
	return &feed{
		client: c.client, log: c.Log, now: c.Now, uptime: c.Uptime, chance: c.Chance, changed: c.nudge,
		what: what, path: path, keep: keep,
		items: map[string][]byte{}, missing: map[string]time.Duration{}, settled: make(chan struct{}),
	}
}

// Publish says where the node stands, see Reporter.
func (c *Cluster) Publish(status v1alpha1.MirrorNodeStatus) { c.report.Publish(status) }

// Reported says that the MirrorNode has once said what was published.
func (c *Cluster) Reported() bool { return c.report.written.Load() }

// Run watches, and reports what is published, until the context ends. It is called once.
func (c *Cluster) Run(ctx context.Context) {
	var running sync.WaitGroup
	c.mu.Lock()
	c.start = func(f *feed) func() {
		ctx, stop := context.WithCancel(ctx)
		running.Go(func() { f.run(ctx) })
		return stop
	}
	c.start(c.node)
	if c.configs != nil {
		c.start(c.configs)
	}
	c.mu.Unlock()
	running.Go(func() { c.askRuntime(ctx) })
	running.Go(func() { c.report.Run(ctx) })
	<-ctx.Done()
	c.mu.Lock()
	c.start = nil
	c.mu.Unlock()
	running.Wait()
}

// Changed is nudged when Read or Node would return something else, once for many changes that nobody has looked at yet.
func (c *Cluster) Changed() <-chan struct{} { return c.changed }

func (c *Cluster) nudge() {
	c.edition.Add(1)
	select {
	case c.changed <- struct{}{}:
	default:
	}
}

// Fresh is the time up to which Node and Read are known to be what the API server has: now while all is watched, the zero Time before.
func (c *Cluster) Fresh() time.Time {
	fresh := c.node.freshness()
	if c.configs != nil {
		if t := c.configs.freshness(); t.Before(fresh) {
			fresh = t
		}
	}
	return fresh
}

// Connected says that all is watched at this moment. It may take a minute until a connection that died without a word is noticed.
func (c *Cluster) Connected() bool {
	return c.node.following() && (c.configs == nil || c.configs.following())
}
