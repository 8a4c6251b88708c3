package lab

import (
	"context"
	"errors"
	"fmt"
	"os"
	"path/filepath"
	"strings"
	"syscall"
	"text/template"
	"time"

	"github.com/mirrorlet/mirrorlet/test/parts"
)

// CRIO is a real CRI-O, with its own folders, socket and /etc. It pulls images and runs no pods.
type CRIO struct {
	*Daemon
	// Folder holds all that it has: crio.conf, log, and below it root and run.
	Folder string
	// Etc lies over the machine's /etc for this daemon, so Etc/hosts is its /etc/hosts. It is to be written before the start; from then on the
	// files are at HostRoot.
	Etc string
	// Socket is where its CRI listens.
	Socket string
}

// NewCRIO makes the folders and the config of a CRI-O, which the caller may still change, and does not start it. extra is TOML that follows
// the lab's own tables. Its parts are crio, pinns, conmon and runc.
func (l *Lab) NewCRIO(extra string) (*CRIO, error) {
	folder, err := l.Folder("crio")
	if err != nil {
		return nil, err
	}
	d := &CRIO{Folder: folder, Etc: filepath.Join(folder, "etc"), Socket: filepath.Join(folder, "crio.sock")}
	for _, dir := range []string{"etc/containers/registries.conf.d", "etc/cni"} {
		if err := os.MkdirAll(filepath.Join(folder, dir), 0o755); err != nil {
			return nil, err
		}
	}
	programs := map[string]string{"Folder": folder, "Extra": extra}
	for _, name := range []string{"crio", "pinns", "conmon", "runc"} {
		if programs[name], err = parts.Path(name); err != nil {
			return nil, err
		}
	}
	var text strings.Builder
	if err := template.Must(template.New("").Parse(crioTemplate)).Execute(&text, programs); err != nil {
		return nil, err
	}
	if err := errors.Join(
		os.WriteFile(filepath.Join(folder, "policy.json"), []byte(`{"default": [{"type": "insecureAcceptAnything"}]}`), 0o644),
		os.WriteFile(filepath.Join(folder, "crio.conf"), []byte(text.String()), 0o644),
	); err != nil {
		return nil, err
	}
	d.Daemon = l.daemon(filepath.Join(folder, "log"), d.Etc, programs["crio"], "--config", filepath.Join(folder, "crio.conf"), "--config-dir", "")
	return d, nil
}

// CRIO starts a CRI-O and returns when its CRI answers. It is stopped when the lab is closed.
func (l *Lab) CRIO(extra string) (*CRIO, error) {
	d, err := l.NewCRIO(extra)
	if err != nil {
		return nil, err
	}
	return d, d.Start()
}

// Start runs it and returns when its CRI answers.
func (d *CRIO) Start() error {
	if err := d.start(); err != nil {
		return fmt.Errorf("start CRI-O: %w", err)
	}
	if err := answers(d.Socket, d.Exited()); err != nil {
		return errors.Join(fmt.Errorf("CRI-O does not get ready: %w; the end of %s:\n%s", err, d.Log, d.tail()), d.Stop())
	}
	return nil
}

// reloadTimeout is long: a shared machine may be busy. A reload takes some milliseconds otherwise.
const reloadTimeout = 30 * time.Second

// Reload tells the daemon to read its files again, as `systemctl reload crio` does, and returns when it has done so, or says in its log that it
// could not.
func (d *CRIO) Reload() error {
	done, failed := "Configuration reload completed", "Unable to reload configuration"
	before, err := d.counts(done, failed)
	if err != nil {
		return err
	}
	if err := d.cmd.Process.Signal(syscall.SIGHUP); err != nil {
		return err
	}
	late := time.After(reloadTimeout)
	tick := time.NewTicker(5 * time.Millisecond)
	defer tick.Stop()
	for {
		select {
		case <-tick.C:
		case <-d.Exited():
			return fmt.Errorf("CRI-O ended at its reload; the end of %s:\n%s", d.Log, d.tail())
		case <-late:
			return fmt.Errorf("CRI-O says of its reload nothing within %s; the end of %s:\n%s", reloadTimeout, d.Log, d.tail())
		}
		now, err := d.counts(done, failed)
		switch {
		case err != nil:
			return err
		case now[1] > before[1]:
			return fmt.Errorf("%w: %s", ErrReload, d.lastWith(failed))
		case now[0] > before[0]:
			return nil
		}
	}
}

// ErrReload says that the daemon kept what it had, as its log tells.
var ErrReload = errors.New("CRI-O took no reload")

// counts returns how often each text is in the log.
func (d *CRIO) counts(texts ...string) ([]int, error) {
	log, err := os.ReadFile(d.Log)
	out := make([]int, len(texts))
	for i, text := range texts {
		out[i] = strings.Count(string(log), text)
	}
	return out, err
}

// lastWith is the last line of the log with a text in it.
func (d *CRIO) lastWith(text string) string {
	log, _ := os.ReadFile(d.Log)
	found := ""
	for line := range strings.Lines(string(log)) {
		if strings.Contains(line, text) {
			found = strings.TrimSpace(line)
		}
	}
	return found
}

// answers returns when the CRI at a socket answers, or with an error when the daemon has exited or is too late.
func answers(socket string, exited <-chan struct{}) error {
	ctx, cancel := context.WithTimeout(context.Background(), readyTimeout)
	defer cancel()
	go func() {
		select {
		case <-exited:
			cancel()
		case <-ctx.Done():
		}
	}()
	cri, err := DialCRI(socket)
	if err != nil {
		return err
	}
	defer cri.Close()
	_, err = cri.Version(ctx)
	return err
}

// In this config nothing is shared with another CRI-O of the machine. The driver vfs needs no mounts, and cgroupfs no systemd.
const crioTemplate = `[crio]
root = '{{.Folder}}/root'
runroot = '{{.Folder}}/run'
log_dir = '{{.Folder}}/logs'
version_file = '{{.Folder}}/version'
version_file_persist = ''
clean_shutdown_file = '{{.Folder}}/clean'
storage_driver = 'vfs'
[crio.api]
listen = '{{.Folder}}/crio.sock'
stream_port = '0'
[crio.runtime]
cgroup_manager = 'cgroupfs'
conmon_cgroup = 'pod'
pinns_path = '{{.pinns}}'
namespaces_dir = '{{.Folder}}/namespaces'
container_exits_dir = '{{.Folder}}/exits'
container_attach_socket_dir = '{{.Folder}}/attach'
default_runtime = 'runc'
disable_hostport_mapping = true
irqbalance_config_restore_file = 'disable'
[crio.runtime.runtimes.runc]
runtime_path = '{{.runc}}'
monitor_path = '{{.conmon}}'
monitor_cgroup = 'pod'
[crio.nri]
enable_nri = false
[crio.network]
network_dir = '{{.Folder}}/etc/cni'
plugin_dirs = ['{{.Folder}}/etc/cni']
[crio.image]
signature_policy = '{{.Folder}}/policy.json'
signature_policy_dir = '{{.Folder}}/policies'
{{.Extra}}
`
