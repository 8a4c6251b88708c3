package containerd

import (
	"errors"
	"io/fs"
	"path"
	"slices"
	"strings"

	"github.com/mirrorlet/mirrorlet/runtimes"
)

// defaultConfig is read when no flag names another: cmd/containerd/command/main.go and defaults/defaults_unix.go of every version.
const defaultConfig = "/etc/containerd/config.toml"

// binaries are where containerd is installed by its own releases, by Debian, Docker and the cloud images.
var binaries = []string{"/usr/bin/containerd", "/usr/local/bin/containerd", "/bin/containerd", "/usr/local/sbin/containerd", "/opt/bin/containerd"}

// daemon is one containerd of a host: which config it was told to read.
type daemon struct {
	process  runtimes.Process
	config   string
	explicit bool // a flag names the config, so that it must be there
	address  string
}

// daemons returns every containerd that may serve a kubelet: those that run; where none does, the one that is installed.
func daemons(procs []runtimes.Process, host fs.FS) []daemon {
	var running, installed []daemon
	docker := false
	for _, p := range procs {
		d, ok := parseDaemon(p)
		switch {
		case !ok:
		case d.ofDocker():
			docker = true
		case p.PID == 0:
			installed = append(installed, d)
		default:
			running = append(running, d)
		}
	}
	if len(running) > 0 {
		return running
	}
	idle := daemon{config: defaultConfig}
	switch {
	case len(installed) > 0:
		return installed[:1]
	case binary(host) != "":
		idle.process.Exe = binary(host)
	}
	// A binary that only Docker uses, with no config of its own, is Docker's.
	if there(host, defaultConfig) || idle.process.Exe != "" && !docker {
		return []daemon{idle}
	}
	return nil
}

// parseDaemon reads the flags of a process; false when it is no daemon: another program, or a subcommand such as publish, which
// shims run for every event.
func parseDaemon(p runtimes.Process) (daemon, bool) {
	name := p.Exe
	if name == "" && len(p.Argv) > 0 {
		name = p.Argv[0]
	}
	if path.Base(strings.TrimSuffix(name, deleted)) != "containerd" {
		return daemon{}, false
	}
	d := daemon{process: p, config: defaultConfig}
	for i := 1; i < len(p.Argv); i++ {
		flag, isFlag := strings.CutPrefix(p.Argv[i], "-")
		if !isFlag || flag == "" {
			return daemon{}, false
		}
		key, value, joined := strings.Cut(strings.TrimPrefix(flag, "-"), "=")
		if !joined && slices.Contains(valueFlags, key) && i+1 < len(p.Argv) {
			i++
			value = p.Argv[i]
		}
		d.set(key, value)
	}
	return d, true
}

// deleted is what Linux appends to /proc/PID/exe when the binary was replaced since.
const deleted = " (deleted)"

// valueFlags take a value: cmd/containerd/command/main.go of 1.6.38, 1.7.35 and 2.4.2. A single dash is as good as two.
var valueFlags = []string{"config", "c", "log-level", "l", "address", "a", "root", "state", "service-name"}

func (d *daemon) set(flag, value string) {
	switch flag {
	case "config", "c":
		d.config, d.explicit = value, true
	case "address", "a":
		d.address = value
	}
}

// ofDocker says that dockerd started the daemon for itself: it writes that config into its exec root, /var/run/docker or
// /run/user/UID/docker (libcontainerd/supervisor/remote_daemon.go of moby 28.5.2).
func (d daemon) ofDocker() bool {
	return strings.HasSuffix(path.Clean(d.config), "/docker/containerd/containerd.toml")
}

// kubernetes says that the flags are those with which a Kubernetes distribution starts its own containerd beside the host's.
func (d daemon) kubernetes() bool {
	return slices.ContainsFunc([]string{"/k3s/", "/rke2/", "/k0s/", "/microk8s/", "/etc/cri/"}, func(mark string) bool {
		return strings.Contains(d.config, mark) || strings.Contains(d.address, mark)
	})
}

func binary(host fs.FS) string {
	for _, p := range binaries {
		if _, err := fs.Stat(host, inFS(p)); err == nil {
			return p
		}
	}
	return ""
}

// there says that something stands at a path, or that this cannot be told: not being able to look is not the same as nothing.
func there(host fs.FS, p string) bool {
	_, err := fs.Stat(host, inFS("/"+p))
	return !errors.Is(err, fs.ErrNotExist)
}
