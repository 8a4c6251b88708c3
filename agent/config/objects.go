package config

import "github.com/mirrorlet/mirrorlet/api/v1alpha1"

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
