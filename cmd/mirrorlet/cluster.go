package main

import (
	"cmp"
	"context"
	"errors"
	"fmt"
	"log/slog"
	"math/rand/v2"
	"os"

	"github.com/spf13/cobra"

	"github.com/mirrorlet/mirrorlet/agent"
	"github.com/mirrorlet/mirrorlet/agent/cluster"
	"github.com/mirrorlet/mirrorlet/agent/host"
	"github.com/mirrorlet/mirrorlet/agent/metrics"
	"github.com/mirrorlet/mirrorlet/agent/probe"
)

// service is what the flags say about an agent that runs for long: its cluster, if it has one, and what it listens on.
type service struct {
	cluster         bool
	kubeconfig      string
	node, namespace string
	enroll          string
	proof, listen   string

	follow   func(context.Context) // follows the cluster until the end; nil without one
	reported func() bool           // says that the cluster has been told; nil without one
}

func (s *service) flags(c *cobra.Command) {
	f := c.Flags()
	f.BoolVar(&s.cluster, "cluster", false, "this machine is a node of a cluster: MirrorConfigs and what is said about the node come from the API server, a MirrorNode reports; with --config the documents are those of a folder")
	f.StringVar(&s.kubeconfig, "kubeconfig", "", "with --cluster: how to reach the API server; else by the service account of the Pod")
	f.StringVar(&s.node, "node", os.Getenv("NODE_NAME"), "with --cluster: the name of this Node; NODE_NAME")
	f.StringVar(&s.namespace, "namespace", cmp.Or(os.Getenv("POD_NAMESPACE"), "mirrorlet-system"), "with --cluster: where Secrets and ConfigMaps are; POD_NAMESPACE")
	f.StringVar(&s.enroll, "enroll", "annotated", "with --cluster: annotated, for nodes with the label or annotation mirrorlet.dev/enabled=true, or all but those with =false")
	f.StringVar(&s.proof, "proof", "127.0.0.1:9354", `where to wait for the runtime's proof that it reads what is written, on loopback; "" for no proof`)
	f.StringVar(&s.listen, "listen", "", "where /metrics, /healthz and /readyz are served, such as 127.0.0.1:9353; by default nowhere")
}

func (s *service) check() error {
	switch {
	case s.enroll != "annotated" && s.enroll != "all":
		return fmt.Errorf("--enroll %q: write annotated or all", s.enroll)
	case s.cluster && s.node == "":
		return errors.New("--cluster needs the name of this Node: set NODE_NAME, or --node")
	case !s.cluster && s.kubeconfig != "":
		return errors.New("--kubeconfig is of use with --cluster only")
	}
	return nil
}

// enter goes to the machine, with the documents and what is said about the node from where the flags say.
func (s *service) enter(ctx context.Context, c *cobra.Command, m *machine) (*agent.Agent, func(), error) {
	if !s.cluster {
		a, leave, err := m.await(c)
		if err == nil {
			a.Log.Info("watching", "config", m.config, "version", version())
		}
		return a, leave, err
	}
	files := c.Flags().Changed("config")
	k, err := s.connect(logger(c), !files) // before the machine is entered, where the service account's files are not
	if err != nil {
		return nil, nil, err
	}
	var a *agent.Agent
	leave := func() {}
	if files {
		a, leave, err = m.await(c)
	} else {
		a, err = m.enterHost(c)
	}
	if err != nil {
		return nil, nil, err
	}
	if files {
		m.nudges = either(ctx, k.Changed(), m.nudges)
	} else {
		a.Documents, m.nudges = k, k.Changed()
	}
	a.Node, a.Tell, a.Connected = k.Node, k.Publish, k.Connected
	s.follow, s.reported = k.Run, k.Reported
	a.Log.Info("watching the cluster", "node", s.node, "version", version())
	return a, leave, nil
}

// connect opens the way to the API server, to hear from it and to report.
func (s *service) connect(log *slog.Logger, objects bool) (*cluster.Cluster, error) {
	config, err := cluster.InCluster(cluster.ServiceAccount, os.Getenv)
	if s.kubeconfig != "" {
		config, err = cluster.Kubeconfig(s.kubeconfig)
	}
	if err != nil {
		return nil, err
	}
	return cluster.New(cluster.Options{
		Config: config, Node: s.node, Namespace: s.namespace, EnrollAll: s.enroll == "all", Objects: objects,
		Version: version(), Log: log, Chance: rand.Float64,
	})
}

// serve starts what an agent that runs for long has beside its loop. What fails of it stops the agent.
func (s *service) serve(ctx context.Context, a *agent.Agent, stop context.CancelCauseFunc) error {
	a.Version, a.Metrics = version(), metrics.New(version(), host.Uptime)
	a.Metrics.Ready(s.reported)
	if s.proof != "" {
		registry, err := probe.Listen(s.proof)
		if err != nil {
			return err
		}
		context.AfterFunc(ctx, func() { _ = registry.Close() })
		a.Prover = registry
	}
	if s.listen != "" {
		go func() {
			if err := a.Metrics.Serve(ctx, s.listen); err != nil {
				stop(err)
			}
		}()
	}
	if s.follow != nil {
		go s.follow(ctx)
	}
	return nil
}

// either gives a nudge for each of two sources of nudges.
func either(ctx context.Context, a, b <-chan struct{}) <-chan struct{} {
	out := make(chan struct{}, 1)
	go func() {
		for {
			select {
			case <-ctx.Done():
				return
			case <-a:
			case <-b:
			}
			select {
			case out <- struct{}{}:
			default:
			}
		}
	}()
	return out
}
