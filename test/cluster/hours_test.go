package cluster_test

import (
	"context"
	"errors"
	"log/slog"
	"strings"
	"sync/atomic"
	"testing"
	"time"

	"github.com/mirrorlet/mirrorlet/agent"
	"github.com/mirrorlet/mirrorlet/agent/cluster"
	"github.com/mirrorlet/mirrorlet/agent/host"
	"github.com/mirrorlet/mirrorlet/agent/plan"
	"github.com/mirrorlet/mirrorlet/runtimes/containerd"
	"github.com/mirrorlet/mirrorlet/test/lab"
	"github.com/mirrorlet/mirrorlet/test/site"
)

// ahead is a clock that goes as any other does, and can be put forward.
type ahead struct{ by atomic.Int64 }

func (c *ahead) now() time.Time { return time.Now().Add(time.Duration(c.by.Load())) }

func (c *ahead) uptime() time.Duration { return host.Uptime() + time.Duration(c.by.Load()) }

func (c *ahead) forward(d time.Duration) { c.by.Add(int64(d)) }

// mind is an agent within the test, which makes a pass when it is told to.
type mind struct {
	*agent.Agent
	cluster *cluster.Cluster
	t       *testing.T
}

// mind makes one for the node of a cluster. It takes the containerd as given, whose process it would have to enter the node's root to see.
func (m *member) mind(kubeconfig string, clock *ahead) *mind {
	m.t.Helper()
	connection, err := cluster.Kubeconfig(kubeconfig)
	must(m.t, err)
	log := slog.New(slog.NewTextHandler(m.t.Output(), nil))
	k, err := cluster.New(cluster.Options{
		Config: connection, Node: m.Name, Namespace: site.Namespace, Objects: true, Version: "v0.4.0", Log: log, Now: clock.now, Uptime: clock.uptime,
	})
	must(m.t, err)
	ctx, stop := context.WithCancel(m.t.Context())
	done := make(chan struct{})
	go func() { k.Run(ctx); close(done) }()
	m.t.Cleanup(func() { stop(); <-done })
	h, err := host.Open(m.Node.Root)
	must(m.t, err)
	runtime := containerd.Runtime{}
	return &mind{&agent.Agent{
		Host: h, Documents: k, Node: k.Node, Assume: &plan.Found{Runtime: runtime, Facts: runtime.Assume("2.4.2")}, Patience: time.Minute,
		Log: log, Now: clock.now, Uptime: clock.uptime,
	}, k, m.t}
}

// until makes passes whenever the API server has said something, until one is as wanted.
func (a *mind) until(what string, is func(agent.Report) bool) {
	a.t.Helper()
	late := time.After(70 * time.Second)
	for {
		report, err := a.Sync(a.t.Context())
		if err == nil && is(report) {
			return
		}
		select {
		case <-a.cluster.Changed():
		case <-late:
			a.t.Fatalf("it is not %s but %s, %v", what, report.State, err)
		}
	}
}

func TestAnOutageOfTwentyHoursChangesNothingAndTheLastDeletionCountsAfterAMinute(t *testing.T) {
	t.Parallel()
	m := arrive(t, lab.APIServerConfig{})
	pristine := etc(m.tree())
	kubeconfig, err := m.API.TokenKubeconfig(site.Namespace, "mirrorlet")
	must(t, err)
	var clock ahead
	a := m.mind(kubeconfig, &clock)
	m.want(m.Mirror)
	a.until("applied", func(r agent.Report) bool { return r.Applied })
	m.pullsThrough(m.Mirror)

	tree, began := m.tree(), clock.now()
	must(t, m.API.Stop())
	newcomer := m.mind(kubeconfig, &clock) // another life, which has never heard anything
	for range 20 * 6 {                     // a day would be too long for the certificates of the lab
		clock.forward(10 * time.Minute)
		if r, err := a.Sync(t.Context()); err != nil || r.State != agent.Applied || r.Waiting {
			t.Fatalf("after %s: %s, %v", clock.now().Sub(began), r.State, err)
		}
		if _, err := newcomer.Sync(t.Context()); !errors.Is(err, agent.ErrUnknown) {
			t.Fatalf("after %s in another life: %v", clock.now().Sub(began), err)
		}
	}
	m.stays(tree, 0)
	m.pullsThrough(m.Mirror)
	if a.cluster.Connected() || a.cluster.Fresh().Sub(began) > time.Hour {
		t.Errorf("it says that it knew all until %s, and the API server went at %s", a.cluster.Fresh(), began)
	}

	must(t, m.API.Start())
	m.want(m.Spare)
	a.until("applied", func(r agent.Report) bool { return r.Applied })
	m.pullsThrough(m.Spare)

	m.kubectl("delete", "mirrorconfigs", "--all")
	tree = m.tree()
	a.until("waiting", func(r agent.Report) bool { return r.Waiting })
	clock.forward(50 * time.Second)
	a.until("waiting", func(r agent.Report) bool { return r.Waiting })
	m.stays(tree, 0)
	m.pullsThrough(m.Spare)
	clock.forward(10 * time.Second)
	a.until("given back", func(r agent.Report) bool { return !r.Waiting })
	if now := etc(m.tree()); now != pristine {
		t.Errorf("it was\n%s\nand is\n%s", pristine, now)
	}
}

// etc is what of a tree is in /etc.
func etc(tree string) string {
	before, _, _ := strings.Cut(tree, "\n/var/")
	return before
}
