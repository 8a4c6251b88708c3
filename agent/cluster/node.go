package cluster

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"maps"
	"net/url"

	apierrors "k8s.io/apimachinery/pkg/api/errors"

	"github.com/mirrorlet/mirrorlet/agent"
	"github.com/mirrorlet/mirrorlet/agent/config"
	"github.com/mirrorlet/mirrorlet/api/v1alpha1"
)

// nodeMeta is what is kept of a Node. A kubelet writes its Node every few minutes; none of that is here.
type nodeMeta struct {
	UID         string            `json:"uid"`
	Labels      map[string]string `json:"labels"`
	Annotations map[string]string `json:"annotations"` // ours only
}

// nodeFeed watches our Node, by its metadata. A Node that is deleted stays as it was: whoever removes a node from the cluster does not ask
// for its images to come from elsewhere.
func (c *Cluster) nodeFeed() *feed {
	f := c.newFeed("Node "+c.Options.Node, "/api/v1/nodes", keepNode)
	f.query = url.Values{"fieldSelector": {"metadata.name=" + c.Options.Node}}
	f.partial, f.gone = true, goneNever
	return f
}

func keepNode(object []byte) []byte {
	var o struct {
		Metadata nodeMeta `json:"metadata"`
	}
	_ = json.Unmarshal(object, &o) // it was read as an object with a name before, and the types are those of any metadata
	maps.DeleteFunc(o.Metadata.Annotations, func(key, _ string) bool { return key != v1alpha1.EnabledKey && key != v1alpha1.PausedKey })
	kept, _ := json.Marshal(o.Metadata)
	return kept
}

// meta returns what is known of our Node.
func (c *Cluster) meta() (nodeMeta, error) {
	var m nodeMeta
	now := c.node.state()
	kept, there := now.items[c.Options.Node]
	switch {
	case there:
		return m, json.Unmarshal(kept, &m)
	case now.err != nil:
		return m, fmt.Errorf("Node %s is %w: %w", c.Options.Node, agent.ErrUnknown, explain(now.err, "Nodes"))
	case now.listed:
		return m, fmt.Errorf("Node %s is %w to the API server; NODE_NAME must be spec.nodeName, as in the DaemonSet", c.Options.Node, agent.ErrUnknown)
	}
	return m, fmt.Errorf("Node %s is %w yet: the API server has not answered so far", c.Options.Node, agent.ErrUnknown)
}

// Node says what the API server says of our Node. The error is agent.ErrUnknown until it has said anything.
func (c *Cluster) Node() (agent.Node, error) {
	m, err := c.meta()
	if err != nil {
		return agent.Node{}, err
	}
	node := agent.Node{Name: c.Options.Node, Labels: m.Labels, Enrolled: c.enrolled(m)}
	if node.Labels == nil {
		node.Labels = map[string]string{} // none, other than not known
	}
	if config.Pauses(m.Annotations) {
		node.Paused = "the annotation " + v1alpha1.PausedKey + " of Node " + c.Options.Node
	}
	return node, nil
}

// enrolled says that the machine is to be configured: "false" wins, wherever it stands.
func (c *Cluster) enrolled(m nodeMeta) bool {
	label, annotation := m.Labels[v1alpha1.EnabledKey], m.Annotations[v1alpha1.EnabledKey]
	if label == "false" || annotation == "false" {
		return false
	}
	return c.EnrollAll || label == "true" || annotation == "true"
}

// UID is that of our Node, for what is to go with it; empty while it is not known.
func (c *Cluster) UID() string {
	m, err := c.meta()
	if err != nil {
		return ""
	}
	return m.UID
}

// RuntimeVersion is what the kubelet says of its container runtime, such as "containerd://2.4.2"; empty while it is not known. It is asked
// for once.
func (c *Cluster) RuntimeVersion() string {
	if version := c.runtime.Load(); version != nil {
		return *version
	}
	return ""
}

// askRuntime looks at the whole Node, once.
func (c *Cluster) askRuntime(ctx context.Context) {
	for failures := 1; ctx.Err() == nil; failures++ {
		var o struct {
			Status struct {
				NodeInfo struct {
					ContainerRuntimeVersion string `json:"containerRuntimeVersion"`
				} `json:"nodeInfo"`
			} `json:"status"`
		}
		data, err := c.client.do(ctx, request{verb: "GET", path: "/api/v1/nodes/" + c.Options.Node})
		if err == nil {
			err = json.Unmarshal(data, &o)
		}
		if err == nil {
			c.runtime.Store(&o.Status.NodeInfo.ContainerRuntimeVersion)
			return
		}
		wait(ctx, max(backoff(failures, c.Chance()), told(err, c.Chance())))
	}
}

// explain adds to an error of the API server what a person can do about it.
func explain(err error, what string) error {
	remedy := "the API server cannot be reached at the moment; it is tried again"
	switch {
	case apierrors.IsNotFound(err):
		remedy = what + " are not known to the API server; apply the CRDs of Mirrorlet"
	case apierrors.IsForbidden(err):
		remedy = "apply the ClusterRole of Mirrorlet again"
	case apierrors.IsUnauthorized(err):
		remedy = "the API server does not accept our token; look at the ServiceAccount mirrorlet"
	case errors.Is(err, errSilent):
		remedy = "look at the API server, and at what is between it and the node"
	}
	return fmt.Errorf("%s (%w)", remedy, err)
}
