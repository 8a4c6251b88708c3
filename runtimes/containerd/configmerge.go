package containerd

import (
	"cmp"
	"fmt"
	"maps"
	"slices"
	"strings"
)

// The plugin sections that say how the CRI pulls.
const (
	sectionV1       = "cri"                             // config version 1
	sectionGRPC     = "io.containerd.grpc.v1.cri"       // config version 2
	sectionImages   = "io.containerd.cri.v1.images"     // config version 3 and later
	sectionRuntime  = "io.containerd.cri.v1.runtime"    // likewise; the CRI does not load without it
	sectionTransfer = "io.containerd.transfer.v1.local" // has a config_path that nothing uses (containerd/containerd#12550)
)

// builtinRoots is the default since 2.2.
const builtinRoots = "/etc/containerd/certs.d:/etc/docker/certs.d"

// add merges one more document, as mergeConfig of the release does.
func (m *merged) add(d document, r release) error {
	m.documents = append(m.documents, d)
	if err := m.versionFits(d, r); err != nil {
		return err
	}
	if !r.since(2, 0, 0) {
		// 1.x replaces whole sections: a drop-in with one key of the CRI plugin erases the others (containerd/containerd#7276).
		maps.Copy(m.plugins, d.plugins)
		m.take(d)
		return nil
	}
	d = d.clone()
	if d.version < 2 {
		d.rename()
	}
	switch {
	case r.since(2, 3, 0):
		// Each file is taken to the newest version before it is merged.
		if d.version < m.version {
			if err := migrate(d.plugins, d.path, r); err != nil {
				return err
			}
			d.moveAddress()
			d.version = m.version
		}
	case d.version < 2:
		// 2.0 to 2.2 only rename the plugins of a version 1 file and call the result the newest, so that nothing moves its registry
		// settings to where they are read.
		d.version = m.version
	}
	mergeTables(m.plugins, d.plugins)
	m.take(d)
	return nil
}

// take merges what is no plugin's: lists are appended, and what is empty replaces nothing.
func (m *merged) take(d document) {
	if d.version != 0 {
		m.version = d.version
	}
	m.disabled, m.required = append(m.disabled, d.disabled...), append(m.required, d.required...)
	m.address = cmp.Or(d.address, m.address)
}

// versionFits refuses a file by its version, where that ends the daemon.
func (m *merged) versionFits(d document, r release) error {
	if d.version < 0 {
		return &unreadable{file: d.path, what: fmt.Sprintf("version = %d is no config version, so containerd does not start: correct it", d.version)}
	}
	// LoadConfigWithPlugins of 2.3.0 to 2.3.4; the check is not in 2.3.5.
	main := slices.IndexFunc(m.documents, func(d document) bool { return d.version > 0 })
	if r.since(2, 3, 0) && !r.since(2, 3, 5) && main >= 0 && d.version > m.documents[main].version {
		return &unreadable{file: d.path, what: fmt.Sprintf("containerd %s does not start with version = %d in an import when %s has version = %d: write the import in the lower one",
			r, d.version, m.documents[main].path, m.documents[main].version)}
	}
	return nil
}

// finish validates what was merged, and migrates it where the release does that at the end.
func (m *merged) finish(r release) error {
	if len(m.documents) == 0 {
		return nil
	}
	main := m.main
	if m.version > r.maxConfig() {
		return &unreadable{file: m.newestVersion(), what: fmt.Sprintf("containerd %s does not start with config version %d, it knows those up to %d: write the file in one of them, or upgrade containerd",
			r, m.version, r.maxConfig())}
	}
	if name := m.badName(r); name != "" {
		return &unreadable{file: main, what: fmt.Sprintf("%q is no plugin name of config version %d, so containerd does not start: write it in full, as in %s", name, m.version, sectionGRPC)}
	}
	// LoadPlugins in cmd/containerd/server/server.go of 2.0.5 to 2.2.9: by the version that was read last.
	if r.since(2, 0, 0) && m.version < r.maxConfig() {
		return migrate(m.plugins, main, r)
	}
	return nil
}

func (m *merged) newestVersion() string {
	for _, d := range slices.Backward(m.documents) {
		if d.version == m.version {
			return d.path
		}
	}
	return m.main
}

// badName returns a plugin name that the release refuses: ValidateV2 of 1.6.38 and 1.7.35, ValidateVersion of 2.0.5 to 2.4.2.
func (m *merged) badName(r release) string {
	all := append(slices.Clone(m.disabled), m.required...)
	bad := func(name string) bool { return !strings.Contains(name, ".") }
	if !r.since(2, 0, 0) {
		if m.version < 2 {
			return ""
		}
		all = append(all, slices.Sorted(maps.Keys(m.plugins))...)
		bad = func(name string) bool {
			return strings.Count(name, ".") < 3 || r.since(1, 7, 0) && !strings.HasPrefix(name, "io.containerd.")
		}
	}
	if i := slices.IndexFunc(all, bad); i >= 0 {
		return all[i]
	}
	return ""
}

// clone returns a document whose tables may be changed.
func (d document) clone() document {
	plugins := map[string]any{}
	mergeTables(plugins, d.plugins)
	d.plugins, d.disabled, d.required = plugins, slices.Clone(d.disabled), slices.Clone(d.required)
	return d
}

// rename gives the plugins of a version 1 file their full names: v1MigratePluginName of 2.0.5 to 2.4.2. Only the CRI's matters here;
// any other just has to look like a full one.
func (d *document) rename() {
	if v, ok := d.plugins[sectionV1]; ok {
		d.plugins[sectionGRPC] = v
		delete(d.plugins, sectionV1)
	}
	for _, list := range [][]string{d.disabled, d.required} {
		for i, name := range list {
			if !strings.Contains(name, ".") {
				list[i] = "io.containerd.grpc.v1." + name
			}
		}
	}
}

// migrate moves what the CRI says about images from the section of version 2 to that of version 3: configMigration in
// plugins/cri/images/plugin.go of 2.0.5 to 2.4.2. A registry table is taken over whole, in place of one that is there.
func migrate(plugins map[string]any, file string, r release) error {
	if plugins[sectionGRPC] == nil {
		return nil
	}
	top := section{file: file, name: "plugins", values: plugins}
	from, to := top.table(sectionGRPC), top.table(sectionImages)
	if to.values == nil {
		to.values = map[string]any{}
	}
	move(to.values, from.values, "registry", "max_concurrent_downloads", "image_pull_with_sync_fs")
	if engine := from.table("containerd"); engine.values["runtimes"] != nil {
		move(to.values, engine.values, "disable_snapshot_annotations", "discard_unpacked_layers")
	}
	// 2.2.0 and 2.2.1 put their default in here, in place of an empty string.
	if registry := to.table("registry"); r.hasEarlyDefault() && registry.values["config_path"] == "" {
		registry.values["config_path"] = builtinRoots
	}
	plugins[sectionImages] = to.values
	return top.err()
}

func move(to, from map[string]any, keys ...string) {
	for _, k := range keys {
		if v, ok := from[k]; ok {
			to[k] = v
		}
	}
}

// hasEarlyDefault says that the release has its config_path before a config is read, and so beside mirrors too: 2.2.0 and 2.2.1
// (containerd/containerd#12612).
func (r release) hasEarlyDefault() bool { return r.since(2, 2, 0) && !r.since(2, 2, 2) }

// mergeTables merges deeply: a table into a table, anything else replaces what was there, an empty string too. (Lists are appended
// by containerd; none that matters here is below a plugin.)
func mergeTables(to, from map[string]any) {
	for k, v := range from {
		inner, isTable := v.(map[string]any)
		if !isTable {
			to[k] = v
			continue
		}
		old, wasTable := to[k].(map[string]any)
		if !wasTable {
			old = map[string]any{}
			to[k] = old
		}
		mergeTables(old, inner)
	}
}
