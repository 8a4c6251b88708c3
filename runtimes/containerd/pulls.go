package containerd

import (
	"path"
	"slices"
	"strings"
)

// pulls is what a merged config says about the CRI's pulling of images, with the defaults of one release.
type pulls struct {
	daemon     daemon
	release    release
	config     merged
	configPath string // as containerd takes it; empty: no certs.d is read
	builtin    bool   // configPath is containerd's own default
	mirrors    bool   // registry.mirrors has entries
	tls        bool   // registry.configs has TLS settings, and the release reads them
	disabled   bool   // there is no CRI at all
	local      string // why pulls are local ones; empty: they go through the transfer service
}

// section names the plugin section that the release reads.
func (m merged) section(r release) string {
	switch {
	case r.since(2, 0, 0):
		return sectionImages
	case m.version < 2:
		return sectionV1
	default:
		return sectionGRPC
	}
}

// pulls reads the merged config as the release does.
func (m merged) pulls(d daemon, r release) (pulls, error) {
	p := pulls{daemon: d, release: r, config: m}
	top := &section{file: m.holder(r), name: "plugins", values: m.plugins}
	images := top.table(m.section(r))
	registry := images.table("registry")
	mirrors, configs, auths := registry.table("mirrors").values, registry.table("configs"), registry.table("auths").values
	p.configPath, p.mirrors, p.disabled = registry.text("config_path"), len(mirrors) > 0, m.criDisabled(r)
	if registry.values["config_path"] == nil && r.hasEarlyDefault() {
		p.configPath, p.builtin = builtinRoots, true
	}
	// InitFn in plugins/cri/images/plugin.go of 2.2.2 to 2.4.2.
	if r.since(2, 2, 2) && p.configPath == "" && !p.mirrors {
		p.configPath, p.builtin = builtinRoots, true
	}
	// 1.x only: RegistryConfig in internal/cri/config/config.go of 2.0.5 has no tls.
	for host := range configs.values {
		p.tls = p.tls || !r.since(2, 0, 0) && configs.table(host).values["tls"] != nil
	}
	// registry.config_path came with 1.5 (pkg/cri/config/config.go of 1.5.0).
	if !r.since(1, 5, 0) {
		p.configPath = ""
	}
	p.local = localReason(r, images, p.mirrors, len(configs.values) > 0, len(auths) > 0)
	return p, top.err()
}

// localReason says why the CRI pulls by itself and not through the transfer service: CheckLocalImagePullConfigs in
// internal/cri/config/config.go of 2.1.4 to 2.4.2, where only the first that applies counts. Before 2.1 there was nothing else.
func localReason(r release, images *section, mirrors, configs, auths bool) string {
	if !r.since(2, 1, 0) {
		return "there is no transfer service before 2.1"
	}
	conditions := []struct {
		reason string
		holds  bool
	}{
		{"use_local_image_pull", images.flag("use_local_image_pull", false)},
		{"disable_snapshot_annotations = false", !images.flag("disable_snapshot_annotations", true)},
		{"discard_unpacked_layers", images.flag("discard_unpacked_layers", false)},
		{"registry.mirrors", mirrors},
		{"registry.configs", configs},
		{"registry.auths", auths},
		{"max_concurrent_downloads", images.integer("max_concurrent_downloads", 3) != 3},
		{"image_pull_with_sync_fs", images.flag("image_pull_with_sync_fs", false)},
	}
	reason := ""
	for _, c := range slices.Backward(conditions) {
		if c.holds {
			reason = c.reason
		}
	}
	return reason
}

// criDisabled says that disabled_plugins names the CRI: by its short name in a config of version 1, by its full one else. Since 2.0 it
// is made of three plugins and needs all of them (initCRIService in plugins/cri/cri.go of 2.0.5 to 2.4.2).
func (m merged) criDisabled(r release) bool {
	if !r.since(2, 0, 0) && m.version < 2 {
		return slices.Contains(m.disabled, sectionV1)
	}
	return slices.Contains(m.disabled, sectionGRPC) ||
		r.since(2, 0, 0) && (slices.Contains(m.disabled, sectionImages) || slices.Contains(m.disabled, sectionRuntime))
}

// roots are the folders that are searched, literally as the release takes them. The transfer service does not split the list
// (internal/cri/server/images/image_pull.go of 2.1.4 to 2.4.2; containerd/containerd#12415, #12636, #12808).
func (p pulls) roots() []string {
	switch {
	case p.configPath == "" || p.disabled || p.mirrors || p.tls || !path.IsAbs(p.configPath):
		return nil
	case p.local == "":
		return []string{path.Clean(p.configPath)}
	}
	return clean(splitList(p.configPath))
}

// folder is where our files go: the first folder of config_path, else the conventional one.
func (p pulls) folder() string {
	if list := splitList(p.configPath); len(list) > 0 && path.IsAbs(list[0]) {
		return path.Clean(list[0])
	}
	return conventional
}

// conventional is where every packager has certs.d.
const conventional = "/etc/containerd/certs.d"

// splitList is filepath.SplitList of a Unix, wherever we run.
func splitList(list string) []string {
	if list == "" {
		return nil
	}
	return strings.Split(list, ":")
}

func clean(paths []string) []string {
	for i, p := range paths {
		if p != "" { // an empty one is the daemon's working directory
			paths[i] = path.Clean(p)
		}
	}
	return paths
}
