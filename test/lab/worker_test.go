package lab

import (
	"os"
	"os/exec"
	"strings"
	"testing"

	"github.com/mirrorlet/mirrorlet/test/parts"
)

func TestTheConfigFileOfAWorkerMeansWhatItsTestWants(t *testing.T) {
	const one = "/etc/containerd/certs.d"
	// 2.4 puts its default of two folders in when the plugin starts (v2.4.2 plugins/cri/images/plugin.go), so a dump does not show it.
	for name, c := range map[string]struct{ release, text, path string }{
		"2.4 reads one folder":           {"2.4", "", one},
		"2.4 left alone has its default": {"2.4", "version = 3\n", ""},
		"2.4 in the newest form":         {"2.4", "version = 4\n", ""},
		"2.4 in the form of old":         {"2.4", "version = 2\n[plugins.'io.containerd.grpc.v1.cri'.registry]\n  config_path = '/x'\n", "/x"},
		"1.7 reads one folder":           {"1.7", "", one},
		"1.7 left alone reads none":      {"1.7", "version = 2\n", ""},
		"1.6 reads one folder":           {"1.6", "", one},
		"1.6 left alone reads none":      {"1.6", "version = 2\n", ""},
	} {
		t.Run(name, func(t *testing.T) {
			program, err := parts.Path("containerd-" + c.release)
			Need(t, err)
			file := t.TempDir() + "/config.toml"
			if err := os.WriteFile(file, []byte(WorkerConfig{Containerd: c.release, ConfigTOML: c.text}.toml()), 0o644); err != nil {
				t.Fatal(err)
			}
			dump, err := exec.Command(program, "--config", file, "config", "dump").CombinedOutput()
			if err != nil {
				t.Fatalf("%v: %s", err, dump)
			}
			got := strings.ReplaceAll(string(dump), `"`, "'") // of old, TOML was written with the other quotes
			for _, want := range []string{"config_path = '" + c.path + "'", "restrict_oom_score_adj = true", "= '" + SandboxImage + "'"} {
				if !strings.Contains(got, want) {
					t.Errorf("%s is missing in\n%s", want, got)
				}
			}
		})
	}
}
