package cluster

import (
	"encoding/json"
	"strings"
	"time"

	"github.com/mirrorlet/mirrorlet/agent/config"
)

// referenceTime is how long a pass waits for what a document references anew. What then is not there is taken for missing, and the last
// good value stays.
const referenceTime = 3 * time.Second

// collection is where objects of one kind are, in one namespace.
type collection struct{ kind, namespace string }

// watched is what is watched for the sake of references.
type watched struct {
	feed *feed
	stop func()
}

// kinds are the kinds that a document may reference: their resource, and which of their values are kept, by key.
func kind(name string) (resource string, values func(object []byte) map[string][]byte) {
	switch name {
	case "Secret":
		return "secrets", secretValues
	case "ConfigMap":
		return "configmaps", configMapValues
	case "Service":
		return "services", serviceValues
	}
	return "", nil
}

// follow watches what is referenced, and nothing else any more: one watch for each kind and namespace.
func (c *Cluster) follow(references []config.Reference) {
	named := map[collection]map[string]bool{}
	for _, r := range references {
		at := collection{r.Kind, r.Namespace}
		if at.namespace == "" {
			at.namespace = c.Namespace
		}
		if named[at] == nil {
			named[at] = map[string]bool{}
		}
		named[at][r.Name] = true
	}
	for at, r := range c.references {
		if named[at] == nil {
			r.stop()
			delete(c.references, at)
		}
	}
	for at, names := range named {
		if r := c.references[at]; r != nil {
			r.feed.want(names)
		} else if c.start != nil {
			f := c.referenceFeed(at, names)
			c.references[at] = &watched{feed: f, stop: c.start(f)}
		}
	}
}

// referenceFeed watches objects that are named, in one namespace.
func (c *Cluster) referenceFeed(at collection, names map[string]bool) *feed {
	resource, values := kind(at.kind)
	f := c.newFeed(at.kind+"s of namespace "+at.namespace, "/api/v1/namespaces/"+at.namespace+"/"+resource, func(object []byte) []byte {
		kept, _ := json.Marshal(values(object)) // of texts and bytes
		return kept
	})
	f.names = names
	return f
}

// values are those of all objects that are referenced, under config's keys.
func (c *Cluster) values() map[string][]byte {
	all := map[string][]byte{}
	for at, r := range c.references {
		prefix := at.kind + "/"
		if at.kind == "Service" {
			prefix += at.namespace + "/"
		}
		known := r.feed.state()
		for name, kept := range known.items {
			var values map[string][]byte
			_ = json.Unmarshal(kept, &values) // we wrote it
			for key, value := range values {
				all[prefix+name+"/"+key] = value
			}
		}
		for _, name := range known.absent {
			if at.kind == "Service" { // what was a Service's is not any more; a Secret's last good value is as good as it was
				all[prefix+name+"/"+config.ClusterIPs] = []byte(config.NoService)
			}
		}
	}
	return all
}

// secretValues are the values of a Secret. One that does not read as one has none.
func secretValues(object []byte) map[string][]byte {
	var o struct {
		Data map[string][]byte `json:"data"`
	}
	if json.Unmarshal(object, &o) != nil {
		return nil
	}
	return o.Data
}

// configMapValues are the values of a ConfigMap.
func configMapValues(object []byte) map[string][]byte {
	var o struct {
		Data       map[string]string `json:"data"`
		BinaryData map[string][]byte `json:"binaryData"`
	}
	if json.Unmarshal(object, &o) != nil {
		return nil
	}
	values := map[string][]byte{}
	for key, value := range o.BinaryData {
		values[key] = value
	}
	for key, value := range o.Data {
		values[key] = []byte(value)
	}
	return values
}

// serviceValues are the addresses of a Service, one per family, or the word for why it has none. One that has none yet has no values.
func serviceValues(object []byte) map[string][]byte {
	var o struct {
		Spec struct {
			Type       string   `json:"type"`
			ClusterIPs []string `json:"clusterIPs"`
		} `json:"spec"`
	}
	if json.Unmarshal(object, &o) != nil {
		return nil
	}
	addresses := strings.Join(o.Spec.ClusterIPs, " ")
	switch {
	case o.Spec.Type == config.ExternalName:
		addresses = config.ExternalName
	case addresses == "":
		return nil
	}
	return map[string][]byte{config.ClusterIPs: []byte(addresses)}
}
