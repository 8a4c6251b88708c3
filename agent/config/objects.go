package config

import (
	"cmp"
	"encoding/json"
	"errors"
	"maps"
	"slices"
	"strings"

	"github.com/mirrorlet/mirrorlet/api/v1alpha1"
)

// Object is a MirrorConfig as it was read.
type Object struct {
	Name string
	// Generation is the API server's; 0 in a file.
	Generation int64
}

// Objects are the MirrorConfigs, by name.
func (d Documents) Objects() []Object {
	var all []Object
	for _, c := range d.configs {
		all = append(all, Object{Name: c.name, Generation: c.generation})
	}
	return all
}

// Paused names the MirrorConfig whose annotation asks that nothing be changed on any node; empty: none does.
func (d Documents) Paused() string {
	for _, c := range d.configs {
		if c.paused {
			return "the annotation " + v1alpha1.PausedKey + " of MirrorConfig " + c.name
		}
	}
	return ""
}

// Pauses says that a set of annotations asks that nothing be changed.
func Pauses(annotations map[string]string) bool {
	value, there := annotations[v1alpha1.PausedKey]
	return there && value != "false"
}

// FromObjects reads MirrorConfigs as an API server has them: JSON, by name. The errors say MirrorConfig/NAME where those of files say
// file and line. Metadata that only an API server writes is passed over, so that a newer one may write more of it, and so is a status.
// References are resolved only in Documents that have got values by With.
func FromObjects(configs map[string][]byte) (Documents, []Error) {
	var d Documents
	for _, name := range slices.Sorted(maps.Keys(configs)) {
		from := len(d.errs)
		file := v1alpha1.MirrorConfigKind + "/" + name
		if data, err := Essence(configs[name]); err != nil {
			d.count++
			d.refuse(Error{File: file, Message: "is not an object in JSON", Remedy: "read it with kubectl get mirrorconfig " + name + " -o yaml, and write it anew"})
		} else {
			d.parse(file, data)
		}
		unline(d.errs[from:])
	}
	for i := range d.configs {
		unline(d.configs[i].errs)
	}
	d.sort()
	return d, d.errs
}

// Essence is a MirrorConfig in JSON without what the API server adds to it and nobody here reads. Two with the same essence want the same.
func Essence(object []byte) ([]byte, error) {
	var fields map[string]json.RawMessage
	if err := json.Unmarshal(object, &fields); err != nil || fields == nil {
		return nil, errors.Join(err, errors.New("not an object"))
	}
	var kept struct {
		Name        string            `json:"name,omitempty"`
		Generation  int64             `json:"generation,omitempty"`
		Annotations map[string]string `json:"annotations,omitempty"`
	}
	if err := json.Unmarshal(fields["metadata"], &kept); err != nil {
		return nil, err
	}
	maps.DeleteFunc(kept.Annotations, func(key, _ string) bool { return key != v1alpha1.PausedKey })
	metadata, err := json.Marshal(kept)
	if err != nil {
		return nil, err
	}
	fields["metadata"] = metadata
	delete(fields, "status")
	return json.Marshal(fields)
}

// unline removes the lines, which in an object nobody has seen.
func unline(errs []Error) {
	for i := range errs {
		errs[i].Line = 0
	}
}

// With returns the documents with the values that are there for what they reference, under keys such as "Secret/harbor-ca/ca.crt",
// "ConfigMap/bundle/ca.crt" and "Service/registry/cache/clusterIPs" (see ClusterIPs). A value that is not among them is not known, and the
// last good one counts. They stay the caller's, who must not change them any more.
func (d Documents) With(values map[string][]byte) Documents {
	d.values = values
	return d
}

// Reference names an object in which a document says that a value is. Namespace is empty for Secrets and ConfigMaps, which are always in
// the agent's own.
type Reference struct{ Kind, Namespace, Name string }

// References are what the documents reference that select a node with these labels; each once, in order.
func (d Documents) References(labels map[string]string) []Reference {
	var all []Reference
	add := func(kind, namespace, name string) {
		if r := (Reference{kind, namespace, name}); name != "" && !slices.Contains(all, r) {
			all = append(all, r)
		}
	}
	for _, doc := range d.configs {
		if doc.refused() || !selects(doc.selector, labels) {
			continue
		}
		for _, entry := range doc.registries {
			for _, refs := range append(slices.Clone(entry.mirrors), entry.upstream) {
				if refs.ca != nil {
					add(refs.ca.kind, "", refs.ca.name)
				}
				add("Secret", "", refs.clientCert)
				add("Secret", "", refs.auth)
			}
		}
		for _, h := range doc.hosts {
			if namespace, name, found := strings.Cut(h.service, "/"); found {
				add("Service", namespace, name)
			}
		}
	}
	slices.SortFunc(all, func(a, b Reference) int {
		return cmp.Or(strings.Compare(a.Kind, b.Kind), strings.Compare(a.Namespace, b.Namespace), strings.Compare(a.Name, b.Name))
	})
	return all
}
