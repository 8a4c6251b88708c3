package main

import (
	"errors"
	"fmt"
	"log/slog"
	"math/rand/v2"
	"strings"
	"time"

	"github.com/mirrorlet/mirrorlet/agent"
	"github.com/mirrorlet/mirrorlet/agent/host"
	"github.com/mirrorlet/mirrorlet/agent/plan"
	"github.com/mirrorlet/mirrorlet/runtimes"
	"github.com/mirrorlet/mirrorlet/runtimes/containerd"
	"github.com/spf13/cobra"
)

// known are the runtimes that this program speaks.
func known() []runtimes.Runtime { return []runtimes.Runtime{containerd.Runtime{}} }

// machine is what the flags say about the machine and its documents.
type machine struct {
	root, config, runtime string
	labels                map[string]string
	nudges                <-chan struct{}
}

func (m *machine) flags(c *cobra.Command) {
	m.rootFlag(c)
	m.runtimeFlag(c)
	c.Flags().StringVar(&m.config, "config", "/etc/mirrorlet", "the file or folder of documents, as seen from outside --root")
	c.Flags().StringToStringVar(&m.labels, "node-labels", nil, "the labels of this machine, for nodeSelector, such as zone=a,disk=ssd")
}

func (m *machine) rootFlag(c *cobra.Command) {
	c.Flags().StringVar(&m.root, "root", "/", "the root folder of the machine that is meant")
}

func (m *machine) runtimeFlag(c *cobra.Command) {
	c.Flags().StringVar(&m.runtime, "runtime", "", "take this runtime as given instead of looking for one: NAME[@VERSION], such as containerd@2.4.2")
}

// enter opens the documents, goes to the machine's root, and returns the agent for it. What it returns second is to be called at the
// end.
func (m *machine) enter(c *cobra.Command) (*agent.Agent, func(), error) {
	documents, err := host.OpenConfig(m.config)
	if err != nil {
		return nil, nil, fmt.Errorf("%w; %s", err, noDocuments)
	}
	return m.enterWith(c, documents)
}

// noDocuments is what to do where there are none.
const noDocuments = "put your MirrorConfig there, or name another place with --config"

// await is enter for who can wait until the documents are there.
func (m *machine) await(c *cobra.Command) (*agent.Agent, func(), error) {
	log := logger(c)
	documents, err := host.AwaitConfig(c.Context(), m.config, func(reason error) {
		log.Warn("waiting for the documents; until they are there, nothing is changed", "reason", reason, "remedy", noDocuments)
	})
	if err != nil {
		return nil, nil, err
	}
	if err := documents.Unwatched(); err != nil {
		log.Warn("the documents are not watched; a change to them is noticed within a minute", "error", err)
	}
	return m.enterWith(c, documents)
}

func (m *machine) enterWith(c *cobra.Command, documents *host.Config) (*agent.Agent, func(), error) {
	a, err := m.enterHost(c)
	if err != nil {
		return nil, nil, errors.Join(err, documents.Close())
	}
	a.Documents, m.nudges = agent.NewFolder(documents, time.Now), documents.Changed()
	return a, func() { _ = documents.Close() }, nil
}

// enterHost is enter for verbs that need no documents.
func (m *machine) enterHost(c *cobra.Command) (*agent.Agent, error) {
	assume, err := m.assumed()
	if err != nil {
		return nil, err
	}
	if err := host.Enter(m.root); err != nil {
		return nil, err
	}
	h, err := host.Open("/")
	if err != nil {
		return nil, err
	}
	return &agent.Agent{
		Host: h, Runtimes: known(), Assume: assume, Node: agent.Machine(m.labels), Now: time.Now, Uptime: host.Uptime, Chance: rand.Float64,
		Log: logger(c),
	}, nil
}

func logger(c *cobra.Command) *slog.Logger {
	return slog.New(slog.NewTextHandler(c.ErrOrStderr(), nil))
}

// assumed is the runtime that --runtime takes as given; nil without it.
func (m *machine) assumed() (*plan.Found, error) {
	if m.runtime == "" {
		return nil, nil
	}
	name, version, versioned := strings.Cut(m.runtime, "@")
	var major, minor int
	if n, _ := fmt.Sscanf(version, "%d.%d", &major, &minor); versioned && n < 2 {
		return nil, fmt.Errorf("--runtime %s: %q is no version; write one such as containerd@2.4.2, or leave it out", m.runtime, version)
	}
	var names []string
	for _, r := range known() {
		if r.Name() == name {
			return &plan.Found{Runtime: r, Facts: r.Assume(version)}, nil
		}
		names = append(names, r.Name())
	}
	return nil, fmt.Errorf("--runtime %s: unknown runtime %q; known are: %s", m.runtime, name, strings.Join(names, ", "))
}
