package containerd

import (
	"cmp"
	"path"
)

// defaultSocket is DefaultAddress in defaults/defaults_unix.go of 1.6.38 and 1.7.35, defaults/defaults_linux.go of 2.4.2.
const defaultSocket = "/run/containerd/containerd.sock"

// sectionServer has the address since 2.3, and in config version 4.
const sectionServer = "io.containerd.server.v1.grpc"

// moveAddress does to a document below version 4 what serviceMigrate in cmd/containerd/server/config/config.go of 2.3.0 to 2.4.2 does: the
// address moves to the server plugin, unless that has a table, which then counts alone.
func (d *document) moveAddress() {
	if d.address != "" && d.plugins[sectionServer] == nil {
		d.plugins[sectionServer] = map[string]any{"address": d.address}
	}
}

// socket is where the release listens: the flag wins (applyFlags in cmd/containerd/command/main.go of 1.6.38 to 2.4.2), then the config.
func (m merged) socket(d daemon, r release) string {
	address := m.address
	if r.since(2, 3, 0) {
		server, _ := m.plugins[sectionServer].(map[string]any)
		address, _ = server["address"].(string)
	}
	return absoluteSocket(cmp.Or(d.address, address, defaultSocket))
}

// absoluteSocket is a path that means the same to everybody. A relative one starts where the daemon was started, which is not known.
func absoluteSocket(address string) string {
	if !path.IsAbs(address) {
		return ""
	}
	return path.Clean(address)
}
