package containerd

import (
	"fmt"
	"path"
	"slices"

	"github.com/mirrorlet/mirrorlet/runtimes"
)

// tables is how the registry table of each section is written in a file.
var tables = []registryTable{
	{sectionV1, "[plugins.cri.registry]"},
	{sectionGRPC, `[plugins."` + sectionGRPC + `".registry]`},
	{sectionImages, `[plugins."` + sectionImages + `".registry]`},
}

type registryTable struct{ section, table string }

// problems tells why nothing is read from the folder that our files go to; none when it is read.
func (p pulls) problems() []runtimes.Problem {
	restart := p.daemon.restart()
	tell := func(reason runtimes.Reason, from, format string, args ...any) []runtimes.Problem {
		return []runtimes.Problem{{Reason: reason, From: from, Message: fmt.Sprintf(format, args...)}}
	}
	switch holder := p.holder(); {
	case p.disabled:
		return tell(runtimes.CRIDisabled, p.disabler(), "disabled_plugins turns the CRI off, so that no kubelet can pull through this containerd: take the CRI out of the list and %s", restart)
	case !p.release.since(1, 5, 0):
		return tell(runtimes.NoConfigPath, holder, "containerd %s reads no certs.d at all: upgrade it to 1.5 or later", p.release)
	case p.mirrors && p.configPath != "":
		return tell(runtimes.InlineMirrors, p.mirrorsHolder(), "registry.mirrors beside %s keeps the CRI plugin from loading, so that nothing can be pulled: take registry.mirrors out of %s, its mirrors into a MirrorConfig, then %s",
			p.described(), p.editable(p.mirrorsHolder()), p.remedy(holder))
	case p.mirrors:
		return tell(runtimes.InlineMirrors, p.mirrorsHolder(), "registry.mirrors is used, so that no certs.d is read: take it out of %s, its mirrors into a MirrorConfig, then %s",
			p.editable(p.mirrorsHolder()), p.remedy(holder))
	case p.tls && p.configPath != "":
		return tell(runtimes.InlineMirrors, holder, "registry.configs has a tls table beside %s, which keeps the CRI plugin from loading, so that nothing can be pulled: take the tls tables out of %s, their CA into a MirrorConfig, and %s",
			p.described(), p.editable(holder), restart)
	case p.configPath == "":
		return tell(runtimes.NoConfigPath, holder, "%s, so that no certs.d is read: %s", p.whyEmpty(), p.remedy(holder))
	case !path.IsAbs(p.configPath):
		return tell(runtimes.NoConfigPath, holder, "%s does not begin with an absolute path, so that what is read depends on where containerd was started: %s", p.described(), p.remedy(holder))
	case len(splitList(p.configPath)) > 1 && p.local == "":
		return tell(runtimes.TwoDirectoryConfigPath, holder, "%s is taken for the name of one directory by containerd 2.1 to 2.4, so that no certs.d is read: %s", p.described(), p.remedy(holder))
	}
	return nil
}

// described names the effective config_path.
func (p pulls) described() string {
	switch why := p.whyEmpty(); {
	case !p.builtin:
		return fmt.Sprintf("config_path = %q", p.configPath)
	case why != unset:
		return fmt.Sprintf("the built-in config_path %q (%s)", p.configPath, why)
	default:
		return fmt.Sprintf("the built-in config_path %q", p.configPath)
	}
}

// remedy says which key to set in which file.
func (p pulls) remedy(file string) string {
	i := slices.IndexFunc(p.config.documents, func(d document) bool { return d.path == file })
	if i >= 0 && file != devNull {
		return fmt.Sprintf("set config_path = %q in %s of %s, and %s", p.folder(), p.table(p.config.documents[i]), p.editable(file), p.daemon.restart())
	}
	where := "create " + file
	if file == devNull {
		where = "name, in place of " + devNull + ", a config"
	}
	version, section := 2, sectionGRPC
	if p.release.since(2, 0, 0) {
		version, section = 3, sectionImages
	}
	return fmt.Sprintf("%s with version = %d and, in %s, config_path = %q, and %s", where, version, tableOf(section), p.folder(), p.daemon.restart())
}

// table is the registry table that nothing else in a document undoes.
func (p pulls) table(d document) string {
	section := sectionImages
	switch {
	case !p.release.since(2, 0, 0):
		section = p.config.section(p.release)
	case !p.release.since(2, 3, 0):
		if p.config.version == 2 {
			section = sectionGRPC
		}
	case d.version == 2 || d.registry(sectionGRPC) != nil:
		section = sectionGRPC
	case d.version < 2:
		section = sectionV1
	}
	return tableOf(section)
}

func tableOf(section string) string {
	i := slices.IndexFunc(tables, func(t registryTable) bool { return t.section == section })
	return tables[i].table
}

// counts says that the release takes the registry table of a section from a document, unless another undoes it.
func (p pulls) counts(d document, section string) bool {
	switch {
	case !p.release.since(2, 0, 0):
		return section == p.config.section(p.release)
	case section == sectionImages:
		return true
	case !p.release.since(2, 3, 0):
		return section == sectionGRPC && p.config.version == 2
	default:
		return section == sectionGRPC && d.version < 4 || d.version < 2
	}
}

// registry is the registry table of a section as a document has it; nil for none.
func (d document) registry(section string) map[string]any {
	s, _ := d.plugins[section].(map[string]any)
	r, _ := s["registry"].(map[string]any)
	return r
}

// unset is the plain reason for a config_path that is empty.
const unset = "config_path is not set"

// whyEmpty looks for a config_path that somebody wrote and containerd does not take: the usual reason is a table that belongs to
// another version of the file, the next one a drop-in that replaces it.
func (p pulls) whyEmpty() string {
	for _, d := range slices.Backward(p.config.documents) {
		for _, t := range tables {
			value, _ := d.registry(t.section)["config_path"].(string)
			switch {
			case value == "":
			case p.counts(d, t.section):
				return fmt.Sprintf("config_path of %s is undone by %s, which is loaded later", d.path, p.holder())
			case d.version == 2 && p.config.version > 2:
				return fmt.Sprintf("config_path of %s is in %s, which containerd %s does not read once a later file has version %d", d.path, t.table, p.release, p.config.version)
			default:
				return fmt.Sprintf("config_path of %s is in %s, which containerd %s does not read in a file of version %d", d.path, t.table, p.release, max(d.version, 1))
			}
		}
		if s, _ := d.plugins[sectionTransfer].(map[string]any); s["config_path"] != nil {
			return fmt.Sprintf("config_path of %s is in the transfer plugin, where nothing uses it (containerd/containerd#12550)", d.path)
		}
	}
	return unset
}

// holder is the file in which config_path has to be set: where it is now, or where the table is that would erase any other.
func (p pulls) holder() string { return p.config.holder(p.release) }

func (m merged) holder(r release) string {
	return m.lastWith(func(d document) bool {
		if !r.since(2, 0, 0) {
			return d.plugins[m.section(r)] != nil
		}
		return slices.ContainsFunc(tables, func(t registryTable) bool { return d.registry(t.section)["config_path"] != nil })
	})
}

func (p pulls) mirrorsHolder() string {
	return p.config.lastWith(func(d document) bool {
		return slices.ContainsFunc(tables, func(t registryTable) bool { return d.registry(t.section)["mirrors"] != nil })
	})
}

func (p pulls) disabler() string {
	return p.config.lastWith(func(d document) bool {
		return slices.ContainsFunc(d.disabled, func(name string) bool {
			return slices.Contains([]string{sectionV1, sectionGRPC, sectionImages, sectionRuntime}, name)
		})
	})
}

// lastWith is the last file loaded for which has is true; the main one when there is none.
func (m merged) lastWith(has func(document) bool) string {
	for _, d := range slices.Backward(m.documents) {
		if has(d) {
			return d.path
		}
	}
	return m.main
}
