package crio

import (
	"io/fs"
	"path"
	"slices"
	"strings"

	"github.com/mirrorlet/mirrorlet/runtimes"
)

// Where CRI-O looks when no flag names another place: pkg/config/config_unix.go of cri-o v1.34.0.
const (
	defaultConfig  = "/etc/crio/crio.conf"
	defaultFolder  = "/etc/crio/crio.conf.d"
	defaultSocket  = "/var/run/crio/crio.sock"
	binaryName     = "crio"
	deletedProgram = " (deleted)" // what Linux appends to /proc/PID/exe when the binary was replaced since
)

// binaries are where the packages of CRI-O, its own bundle and the distributions put it.
var binaries = []string{"/usr/bin/crio", "/usr/local/bin/crio", "/bin/crio", "/opt/bin/crio"}

// flags are those that decide where something is read, or what: internal/criocli/criocli.go of cri-o v1.34.0. A flag wins over the files.
type flags struct {
	config, folder, listen   string
	registries, registriesIn string // --registries-conf and --registries-conf-dir, which no help shows
	autoReload               bool
}

// daemon is one CRI-O of a host, or a program that is installed and does not run.
type daemon struct {
	process runtimes.Process
	flags   flags
}

// subcommands are no daemons: internal/criocli of cri-o v1.34.0.
var subcommands = []string{"check", "complete", "completion", "config", "help", "man", "markdown", "md", "status", "version", "wipe", "h"}

// daemons returns those that run; where none does, the one that is installed.
func daemons(procs []runtimes.Process, host fs.FS) []daemon {
	var running, installed []daemon
	for _, p := range procs {
		d, ok := parseDaemon(p)
		switch {
		case !ok:
		case p.PID == 0:
			installed = append(installed, d)
		default:
			running = append(running, d)
		}
	}
	switch {
	case len(running) > 0:
		return running
	case len(installed) > 0:
		return installed[:1]
	}
	for _, b := range binaries {
		if _, err := fs.Stat(host, b[1:]); err == nil {
			d, _ := parseDaemon(runtimes.Process{Exe: b})
			return []daemon{d}
		}
	}
	return nil
}

// parseDaemon reads the flags of a process; false when it is no daemon.
func parseDaemon(p runtimes.Process) (daemon, bool) {
	name := p.Exe
	if name == "" && len(p.Argv) > 0 {
		name = p.Argv[0]
	}
	if path.Base(strings.TrimSuffix(name, deletedProgram)) != binaryName {
		return daemon{}, false
	}
	d := daemon{process: p, flags: flags{config: defaultConfig, folder: defaultFolder}}
	for i := 1; i < len(p.Argv); i++ {
		flag, isFlag := strings.CutPrefix(p.Argv[i], "-")
		if !isFlag {
			if slices.Contains(subcommands, p.Argv[i]) {
				return daemon{}, false
			}
			continue // the value of a flag that is not ours to know
		}
		key, value, joined := strings.Cut(strings.TrimPrefix(flag, "-"), "=")
		if target := d.flags.named(key); target != nil {
			if !joined && i+1 < len(p.Argv) {
				i++
				value = p.Argv[i]
			}
			*target = value
		}
		d.flags.autoReload = d.flags.autoReload || key == "auto-reload-registries" && value != "false"
	}
	return d, true
}

func (f *flags) named(key string) *string {
	switch key {
	case "config", "c":
		return &f.config
	case "config-dir", "d":
		return &f.folder
	case "listen":
		return &f.listen
	case "registries-conf":
		return &f.registries
	case "registries-conf-dir":
		return &f.registriesIn
	default:
		return nil
	}
}
