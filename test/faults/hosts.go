package faults

import (
	"fmt"
	"io/fs"
	"os"
	"path/filepath"
)

// HostsHost is the host of somebody who keeps a hosts file of his own: with DOS lines and no newline at its end, another owner and mode.
func HostsHost() Tree {
	t := Tree{}
	for _, dir := range []string{"/etc", "/etc/containerd", certsD, "/run", "/tmp", "/var", "/var/lib"} {
		t[dir] = Node{Mode: fs.ModeDir | 0o755}
	}
	t["/etc/hosts"] = Node{Mode: 0o640, UID: 7, GID: 8, Content: "127.0.0.1\tlocalhost\r\n10.0.0.9 harbor.example # mine"}
	t["/etc/containerd/config.toml"] = Node{Mode: 0o644, Content: "version = 3\n"}
	return t
}

// HostsStories are an apply of a registry with a name for its mirror, an edit that gives the name another address, adds a second one and
// one that the owner has, and takes the registry away, and leaving. The documents are written to a folder for each.
func HostsStories(folder string) ([]Story, error) {
	const registry = "\n  - {prefix: quay.io, mirrors: [{location: 'https://mirror.example'}]}"
	specs := []string{
		registry + "\n  hosts:\n  - {names: [mirror.example], addresses: [10.0.0.1, 'fd00::1']}\n",
		" []\n  hosts:\n  - {names: [mirror.example], addresses: [10.0.0.2]}\n  - {names: [other.example, harbor.example], addresses: [10.0.0.3]}\n",
	}
	stories := []Story{{Name: "hosts: apply", Verb: "apply"}, {Name: "hosts: edit", Verb: "apply"}, {Name: "hosts: uninstall", Verb: "uninstall"}}
	for i, spec := range specs {
		config := filepath.Join(folder, fmt.Sprintf("hosts-%d", i))
		stories[i].Args = []string{"--config", config, "--runtime", "containerd@2.4.2"}
		if err := os.Mkdir(config, 0o755); err != nil {
			return nil, err
		}
		document := "apiVersion: mirrorlet.dev/v1alpha1\nkind: MirrorConfig\nmetadata: {name: cluster}\nspec:\n  registries:" + spec
		if err := os.WriteFile(filepath.Join(config, "cluster.yaml"), []byte(document), 0o644); err != nil {
			return nil, err
		}
	}
	return stories, nil
}
