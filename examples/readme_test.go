package examples_test

import (
	"os"
	"path/filepath"
	"strings"
	"testing"
)

// onThisMachine makes a pretended machine of the reader's: the README's document is in its /etc/mirrorlet, its containerd is a
// 2.4.2, and its owner has a hosts.toml for quay.io.
const onThisMachine = `mirrorlet() {
	verb=$1; shift
	case $verb in
	check) command mirrorlet check -f mirrors ;;
	uninstall) command mirrorlet uninstall --root host ;;
	explain) command mirrorlet explain "$@" --root host --runtime containerd@2.4.2 ;;
	*) command mirrorlet $verb "$@" --root host --runtime containerd@2.4.2 --config mirrors ;;
	esac
}
`

func TestTheReadmeShowsWhatTheProgramPrints(t *testing.T) {
	path, dir := program(t), t.TempDir()
	const readme = "../README.md"
	before := read(t, readme)
	_, rest, _ := strings.Cut(before, "```yaml\n")
	document, _, _ := strings.Cut(rest, "```\n")
	for file, content := range map[string]string{
		"mirrors/cluster.yaml":                           document,
		"host/etc/containerd/certs.d/quay.io/hosts.toml": "server = \"https://quay.io\"\n",
	} {
		if err := os.MkdirAll(filepath.Join(dir, filepath.Dir(file)), 0o755); err != nil {
			t.Fatal(err)
		}
		if err := os.WriteFile(filepath.Join(dir, file), []byte(content), 0o644); err != nil {
			t.Fatal(err)
		}
	}
	after := replay(t, before, func(command string) []string { return run(t, path, dir, onThisMachine+command) })
	if *update {
		if err := os.WriteFile(readme, []byte(after), 0o644); err != nil {
			t.Fatal(err)
		}
	} else if after != before {
		t.Errorf("the README is not what comes out; go test ./examples -update writes it\nit should be:\n%s", after)
	}
}
