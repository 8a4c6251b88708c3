package main

import (
	"fmt"
	"os"
	"os/exec"
	"path/filepath"
	"strings"
)

const pretended = `apiVersion: mirrorlet.dev/v1alpha1
kind: MirrorConfig
metadata: {name: cluster}
spec:
  registries:
  - prefix: docker.io
    mirrors: [{location: https://harbor.example.com/dockerhub}]
  - prefix: gcr.io
    mirrors: [{location: https://172.18.0.20/library}]
  - prefix: cr.example.io/library
    mirrors: [{location: https://10.10.100.1:35007/library}]
  - prefix: quay.io
    mirrors: [{location: https://harbor.example.com/quay}]
`

// pretend shows plan, apply, explain and uninstall on a folder that looks like a host.
func pretend(program string) error {
	dir, err := os.MkdirTemp("", "demo-")
	if err != nil {
		return err
	}
	defer os.RemoveAll(dir)
	for file, content := range map[string]string{
		"mirrors/cluster.yaml":                           pretended,
		"host/etc/containerd/certs.d/quay.io/hosts.toml": "server = \"https://quay.io\"\n",
	} {
		if err := write(filepath.Join(dir, file), content); err != nil {
			return err
		}
	}
	title("A pretended host, without root. The wish:")
	fmt.Print(indent(pretended))
	const machine = " --root host --runtime containerd@2.4.2"
	for _, s := range []struct {
		args string
		code int
		want string
	}{
		{"plan --config mirrors" + machine, 2, "2 to add, 0 to change, 1 not expressible, 1 conflict"},
		{"apply --config mirrors" + machine, 0, "2 added, 0 changed, 1 not expressible, 1 conflict"},
		{"explain gcr.io/google-containers/pause:3.9" + machine, 0, "https://172.18.0.20/v2/library/google-containers/pause/manifests/3.9?ns=gcr.io"},
		{"plan --config mirrors" + machine, 0, "0 to add, 0 to change"},
		{"uninstall --root host", 0, "2 removed"},
	} {
		fmt.Printf("\n    $ mirrorlet %s\n", s.args)
		cmd := exec.Command(program, strings.Fields(s.args)...)
		cmd.Dir = dir
		out, _ := cmd.CombinedOutput() // the exit code is looked at below
		fmt.Print(indent(string(out)))
		if code := cmd.ProcessState.ExitCode(); code != s.code || !strings.Contains(string(out), s.want) {
			return fmt.Errorf("mirrorlet %s: exit code %d, want %d with %q", s.args, code, s.code, s.want)
		}
	}
	return nil
}

func write(file, content string) error {
	if err := os.MkdirAll(filepath.Dir(file), 0o755); err != nil {
		return err
	}
	return os.WriteFile(file, []byte(content), 0o644)
}

func title(s string) { fmt.Printf("\n== %s\n", s) }

func indent(s string) string {
	return "    " + strings.ReplaceAll(strings.TrimSuffix(s, "\n"), "\n", "\n    ") + "\n"
}
