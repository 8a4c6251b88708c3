package cluster

import (
	"fmt"
	"time"

	"github.com/mirrorlet/mirrorlet/agent"
	"github.com/mirrorlet/mirrorlet/agent/config"
	"github.com/mirrorlet/mirrorlet/api/v1alpha1"
)

// configsPath is where MirrorConfigs are.
const configsPath = "/apis/" + v1alpha1.APIVersion + "/mirrorconfigs"

// configFeed watches all MirrorConfigs.
func (c *Cluster) configFeed() *feed {
	f := c.newFeed("MirrorConfigs", configsPath, func(object []byte) []byte {
		if kept, err := config.Essence(object); err == nil {
			return kept
		}
		return object // config says what is wrong with it
	})
	f.gone = goneConfirmed
	return f
}

// Read returns the MirrorConfigs with the values of what they reference. A reference that has just come up is waited for, for some seconds
// at most. The error is agent.ErrUnknown where the API server has never answered, and where there is nothing while it does not answer.
func (c *Cluster) Read() (config.Documents, []config.Error, error) {
	c.mu.Lock()
	defer c.mu.Unlock()
	if c.configs == nil {
		return config.Documents{}, nil, fmt.Errorf("MirrorConfigs are %w: they are not read here", agent.ErrUnknown)
	}
	for {
		now, err := c.known()
		if err != nil {
			return config.Documents{}, nil, err
		}
		c.parse(now)
		c.follow(c.parsed.documents.References(c.labels()))
		c.await(referenceTime)
		c.read = c.edition.Load()
		if c.configs.state().edition == now.edition { // else they have changed while we waited
			return c.parsed.documents.With(c.values()), c.parsed.errs, nil
		}
	}
}

// Unchanged says that nothing has changed since Read.
func (c *Cluster) Unchanged() bool {
	c.mu.Lock()
	defer c.mu.Unlock()
	return c.read == c.edition.Load()
}

// known returns the MirrorConfigs, or why they are not known.
func (c *Cluster) known() (state, error) {
	c.read = c.edition.Load()
	now := c.configs.state()
	switch {
	case now.err != nil && len(now.items) == 0:
		return now, fmt.Errorf("MirrorConfigs are %w: %w", agent.ErrUnknown, explain(now.err, "MirrorConfigs"))
	case !now.listed:
		return now, fmt.Errorf("MirrorConfigs are %w yet: the API server has not answered so far", agent.ErrUnknown)
	}
	return now, nil
}

// parse reads the objects, unless that was done before.
func (c *Cluster) parse(now state) {
	if c.parsed.edition != now.edition {
		documents, errs := config.FromObjects(now.items)
		c.parsed = parsed{edition: now.edition, documents: documents, errs: errs}
	}
}

// labels are those of our Node; nil where it is not known.
func (c *Cluster) labels() map[string]string {
	m, err := c.meta()
	if err != nil {
		return nil
	}
	return m.Labels
}

// await waits until all references have been looked up, or until a time is over.
func (c *Cluster) await(most time.Duration) {
	over := time.After(most)
	for _, r := range c.references {
		select {
		case <-r.feed.asked():
		case <-over:
			return
		}
	}
}
