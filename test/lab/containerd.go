package lab

import (
	"context"
	"errors"
	"fmt"
	"os"
	"path/filepath"
	"strings"
	"text/template"
	"time"

	"google.golang.org/grpc/codes"
	grpcstatus "google.golang.org/grpc/status"
)

// readyTimeout is long: a shared machine may be busy. A containerd is ready within half a second otherwise.
const readyTimeout = 60 * time.Second

// ContainerdConfig says what kind of containerd is wanted.
type ContainerdConfig struct {
	// Binary is the daemon's program, as parts.Path returns it.
	Binary string
	// Version of its config file. 1.6 and 1.7 read 2; 2.0 and later 3 as well; 2.3 and later 4. 0: 2, which all of them read.
	Version int
	// ConfigPath is its config_path, verbatim. Empty: a certs.d folder of its own. "none": the key is left out.
	ConfigPath string
	// Extra is TOML that follows the lab's own tables.
	Extra string
	// Etc makes an /etc of the daemon's own, the machine's with the files of Folder/etc over it.
	Etc bool
}

// Containerd is a real one, with its own folders and socket. Its snapshots and tasks are its own; it runs no pods.
type Containerd struct {
	*Daemon
	// Folder holds all that it has: config.toml, log, and below it root, state, certs.d and etc.
	Folder string
	// CertsD is the folder for hosts.toml files that config_path names, unless the caller chose another.
	CertsD string
	// Socket is where its CRI listens.
	Socket string
}

// Containerd starts a containerd and returns when its CRI answers. It is stopped when the lab is closed.
func (l *Lab) Containerd(c ContainerdConfig) (*Containerd, error) {
	d, err := l.NewContainerd(c)
	if err != nil {
		return nil, err
	}
	return d, d.Start()
}

// NewContainerd makes the folders and the config file of a containerd, which the caller may still change, and does not start it.
func (l *Lab) NewContainerd(c ContainerdConfig) (*Containerd, error) {
	folder, err := l.Folder("containerd")
	if err != nil {
		return nil, err
	}
	d := &Containerd{Folder: folder, CertsD: filepath.Join(folder, "certs.d"), Socket: filepath.Join(folder, "containerd.sock")}
	switch c.ConfigPath {
	case "":
		c.ConfigPath = d.CertsD
	case "none":
		c.ConfigPath = ""
	}
	if c.Version == 0 {
		c.Version = 2
	}
	etc := ""
	if c.Etc {
		etc = filepath.Join(folder, "etc")
		if err := os.Mkdir(etc, 0o755); err != nil {
			return nil, err
		}
	}
	if err := os.Mkdir(d.CertsD, 0o755); err != nil {
		return nil, err
	}
	text, err := containerdTOML(c, folder)
	if err != nil {
		return nil, err
	}
	if err := os.WriteFile(d.Config(), []byte(text), 0o644); err != nil {
		return nil, err
	}
	d.Daemon = l.daemon(filepath.Join(folder, "log"), etc, c.Binary, "--config", d.Config())
	return d, nil
}

// Config is its config.toml.
func (d *Containerd) Config() string { return filepath.Join(d.Folder, "config.toml") }

// Start runs it and returns when its CRI answers.
func (d *Containerd) Start() error {
	if err := d.start(); err != nil {
		return fmt.Errorf("start containerd: %w", err)
	}
	if err := d.ready(); err != nil {
		return errors.Join(fmt.Errorf("containerd does not get ready: %w; the end of %s:\n%s", err, d.Log, d.tail()), d.Stop())
	}
	return nil
}

func (d *Containerd) ready() error {
	ctx, cancel := context.WithTimeout(context.Background(), readyTimeout)
	defer cancel()
	exited := d.Exited()
	go func() {
		select {
		case <-exited:
			cancel()
		case <-ctx.Done():
		}
	}()
	cri, err := DialCRI(d.Socket)
	if err != nil {
		return err
	}
	defer cri.Close()
	tick := time.NewTicker(20 * time.Millisecond)
	defer tick.Stop()
	for {
		_, err := cri.Version(ctx)
		if grpcstatus.Code(err) != codes.Unavailable { // "server is not initialized yet": with pods of before it listens some time earlier
			return err
		}
		select {
		case <-tick.C:
		case <-ctx.Done():
			return err
		}
	}
}

// containerdTOML is a config file in which nothing is shared with another containerd of the machine.
func containerdTOML(c ContainerdConfig, folder string) (string, error) {
	var b strings.Builder
	err := template.Must(template.New("").Parse(containerdTemplate)).Execute(&b, struct {
		ContainerdConfig
		Folder string
	}{c, folder})
	return b.String(), err
}

// The node resource interface listens on one path of the machine, unless it is disabled. The OOM score cannot be lowered where
// CAP_SYS_RESOURCE is missing, as in many containers. TOML's literal strings take a path as it is.
const containerdTemplate = `version = {{.Version}}
root = '{{.Folder}}/root'
state = '{{.Folder}}/state'
{{- if ge .Version 4}}
[plugins.'io.containerd.server.v1.grpc']
  address = '{{.Folder}}/containerd.sock'
[plugins.'io.containerd.server.v1.ttrpc']
  address = '{{.Folder}}/containerd.sock.ttrpc'
{{- else}}
[grpc]
  address = '{{.Folder}}/containerd.sock'
[ttrpc]
  address = '{{.Folder}}/containerd.sock.ttrpc'
{{- end}}
[plugins.'io.containerd.internal.v1.opt']
  path = '{{.Folder}}/opt'
[plugins.'io.containerd.nri.v1.nri']
  disable = true
{{- if ge .Version 3}}
[plugins.'io.containerd.cri.v1.runtime']
  restrict_oom_score_adj = true
{{- if .ConfigPath}}
[plugins.'io.containerd.cri.v1.images'.registry]
  config_path = '{{.ConfigPath}}'
{{- end}}
{{- else}}
[plugins.'io.containerd.grpc.v1.cri']
  restrict_oom_score_adj = true
{{- if .ConfigPath}}
[plugins.'io.containerd.grpc.v1.cri'.registry]
  config_path = '{{.ConfigPath}}'
{{- end}}
{{- end}}
{{.Extra}}
`
