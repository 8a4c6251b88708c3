package faults

import (
	"fmt"
	"io/fs"
	"maps"
	"os"
	"path/filepath"
	"slices"
	"strings"
)

const certsD = "/etc/containerd/certs.d"

// ContainerdHost is the host of somebody who has already done things with his containerd: a hosts.toml of his own with another owner
// and mode, one that is a symbolic link, one that is not for us, an empty folder, a folder that has only a certificate.
func ContainerdHost(ca []byte) Tree {
	t := Tree{}
	for _, dir := range []string{"/etc", "/etc/containerd", certsD, "/run", "/tmp", "/var", "/var/lib", "/var/lib/other"} {
		t[dir] = Node{Mode: fs.ModeDir | 0o755}
	}
	for _, registry := range []string{"quay.io", "ghcr.io", "kept.example", "registry.k8s.io"} {
		t[certsD+"/"+registry] = Node{Mode: fs.ModeDir | 0o755}
	}
	t["/etc/containerd/config.toml"] = Node{Mode: 0o644, Content: "version = 3\n"}
	t["/etc/containerd/theirs.toml"] = Node{Mode: 0o640, UID: 7, GID: 8, Content: "server = \"https://theirs.example\"\n"}
	t["/var/lib/other/file"] = Node{Mode: 0o600, UID: 9, Content: "not yours\n"}
	t[certsD+"/quay.io/hosts.toml"] = Node{Mode: 0o640 | fs.ModeSetgid, UID: 1001, GID: 1002, Content: "server = \"https://quay.io\"\n"}
	t[certsD+"/ghcr.io/hosts.toml"] = Node{Mode: fs.ModeSymlink | 0o777, UID: 1001, Content: "../../theirs.toml"}
	t[certsD+"/kept.example/hosts.toml"] = Node{Mode: 0o644, Content: "server = \"https://kept.example\"\n"}
	t[certsD+"/gcr.io"] = Node{Mode: fs.ModeDir | 0o700, UID: 1003}
	t[certsD+"/registry.k8s.io/ca.crt"] = Node{Mode: 0o444, UID: 1004, Content: string(ca)}
	return t
}

// ContainerdStories are an apply of 20 registries on that host, an edit that adds three, changes four and removes four of them, two
// of which are in the place of a file of the owner's, and leaving. The documents are written to a folder for each.
func ContainerdStories(folder string, ca []byte) ([]Story, error) {
	first, second := registries(0, 15, "m"), registries(3, 12, "m")
	maps.Copy(second, registries(12, 18, "edited"))
	first["quay.io"], first["ghcr.io"], second["ghcr.io"] = "m", "m", "edited"
	stories := []Story{{Name: "apply", Verb: "apply"}, {Name: "edit", Verb: "apply"}, {Name: "uninstall", Verb: "uninstall"}}
	for i, mirrors := range []map[string]string{first, second} {
		for _, registry := range []string{"gcr.io", "kept.example", "registry.k8s.io"} {
			mirrors[registry] = "m"
		}
		config := filepath.Join(folder, stories[i].Name)
		stories[i].Args = []string{"--config", config, "--runtime", "containerd@2.4.2"}
		if err := os.Mkdir(config, 0o755); err != nil {
			return nil, err
		}
		if err := os.WriteFile(filepath.Join(config, "cluster.yaml"), []byte(document(mirrors, ca)), 0o644); err != nil {
			return nil, err
		}
	}
	return stories, nil
}

// registries are numbered registries, from one number to before another, with the name of their mirror.
func registries(from, to int, mirror string) map[string]string {
	out := map[string]string{}
	for i := from; i < to; i++ {
		out[fmt.Sprintf("r%02d.example", i)] = mirror
	}
	return out
}

// document is the MirrorConfig with these registries, in the order of their names. Every third mirror has a CA, every fifth
// credentials.
func document(mirrors map[string]string, ca []byte) string {
	var b strings.Builder
	b.WriteString("apiVersion: mirrorlet.dev/v1alpha1\nkind: MirrorConfig\nmetadata: {name: cluster}\nspec:\n  registries:\n")
	for i, registry := range slices.Sorted(maps.Keys(mirrors)) {
		fmt.Fprintf(&b, "  - prefix: %s\n", registry)
		if registry != "kept.example" {
			b.WriteString("    onExisting: Replace\n")
		}
		fmt.Fprintf(&b, "    mirrors:\n    - location: https://%s.example.com/p\n", mirrors[registry])
		if i%3 == 0 {
			b.WriteString("      ca: {configMapRef: {name: ca, key: ca.crt}}\n")
		}
		if i%5 == 0 {
			b.WriteString("      auth: {secretRef: {name: robot}}\n")
		}
	}
	b.WriteString("---\napiVersion: v1\nkind: Secret\nmetadata: {name: robot}\ntype: kubernetes.io/basic-auth\nstringData: {username: robot, password: secret}\n")
	fmt.Fprintf(&b, "---\napiVersion: v1\nkind: ConfigMap\nmetadata: {name: ca}\ndata:\n  ca.crt: |\n    %s\n",
		strings.ReplaceAll(strings.TrimSpace(string(ca)), "\n", "\n    "))
	return b.String()
}
