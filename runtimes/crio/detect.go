package crio

import (
	"cmp"
	"fmt"
	"io/fs"
	"path"
	"slices"
	"strings"

	"github.com/mirrorlet/mirrorlet/runtimes"
)

// Detect finds the CRI-O of a host and works out, from flags and files, whether it reads the drop-ins of /etc/containers. Podman alone is
// no runtime that a kubelet could use, and is not found; --runtime crio writes for it. Nothing found is zero Facts and no problem.
func (r Runtime) Detect(procs []runtimes.Process, host fs.FS) (runtimes.Facts, []runtimes.Problem) {
	all := daemons(procs, host)
	if len(all) == 0 {
		return runtimes.Facts{}, nil
	}
	d := all[0]
	facts := r.Assume(version(d.process.Version))
	facts.Process, facts.Config = d.process, d.flags.config
	conf, read, problems := readSettings(host, d.flags)
	facts.Socket = conf.socket(d.flags)
	facts.Notes = append(d.notes(), conf.notes(d.flags, read)...)
	roots, elsewhere := d.roots(host)
	facts.Roots, problems = roots, append(problems, elsewhere...)
	facts.Notes = append(facts.Notes, newer(host)...)
	for _, other := range all[1:] {
		facts.Notes = append(facts.Notes, fmt.Sprintf("another CRI-O left alone: PID %d with %s", other.process.PID, other.flags.config))
	}
	return facts, append(problems, files(host, facts.Roots)...)
}

// version is the number in what crio --version prints: "crio version 1.34.0".
func version(text string) string {
	for _, word := range strings.Fields(text) {
		word = strings.TrimPrefix(word, "v")
		if word != "" && word[0] >= '0' && word[0] <= '9' && strings.Contains(word, ".") {
			return word
		}
	}
	return ""
}

func (d daemon) notes() []string {
	var notes []string
	if d.process.PID == 0 {
		notes = append(notes, "not running")
	}
	if strings.HasSuffix(d.process.Exe, deletedProgram) {
		notes = append(notes, "its binary was replaced since it started")
	}
	return notes
}

// roots are the folders of drop-ins that the daemon reads, in order, or in the place of the first its main file, where it reads no drop-ins
// beside that; none where it is not known. A problem says why ours is not among them.
func (d daemon) roots(host fs.FS) ([]string, []runtimes.Problem) {
	tell := func(from, format string, args ...any) []runtimes.Problem {
		return []runtimes.Problem{{Reason: runtimes.DropInsNotRead, From: from, Message: fmt.Sprintf(format, args...)}}
	}
	switch file, variable := environment(host); {
	case d.flags.registries != "" || d.flags.registriesIn != "":
		return nil, tell("PID "+fmt.Sprint(d.process.PID), "CRI-O was started with %s, so that %s may not be read: leave the flag out", strings.Join(d.elsewhere(), " and "), dropIns)
	case variable != "":
		return nil, tell(file, "%s may keep CRI-O from reading %s: take it out and restart CRI-O", variable, dropIns)
	case there(host, userConf):
		return []string{userDropIns}, tell(userConf, "CRI-O runs as root and reads this in place of /etc/containers, so that %s is not read: remove it, or move it to %s", dropIns, mainConf)
	case linked(host, dropIns):
		return []string{mainConf, userDropIns}, tell(dropIns, "this is a symbolic link, and CRI-O does not look into it: make it a folder")
	default:
		return []string{dropIns, userDropIns}, nil
	}
}

func (d daemon) elsewhere() []string {
	var out []string
	if d.flags.registries != "" {
		out = append(out, "--registries-conf "+d.flags.registries)
	}
	if d.flags.registriesIn != "" {
		out = append(out, "--registries-conf-dir "+d.flags.registriesIn)
	}
	return out
}

// unitFiles are where the environment of crio.service is set, beside the unit itself: contrib/systemd/crio.service of cri-o v1.34.0, and the
// drop-ins of systemd.
var unitFiles = []string{"/etc/sysconfig/crio", "/etc/default/crio"}

var unitFolders = []string{
	"/etc/systemd/system/crio.service.d", "/run/systemd/system/crio.service.d", "/usr/lib/systemd/system/crio.service.d", "/lib/systemd/system/crio.service.d",
}

// variables lead CRI-O, or the containers/image of v5.41 and later, to another registries.conf: EnvVars in internal/criocli/criocli.go of
// cri-o v1.34.0, storage/pkg/configfile of go.podman.io/storage v1.65.0.
var variables = []string{"CONTAINER_REGISTRIES_CONF", "CONTAINER_REGISTRIES_CONF_DIR", "CONTAINERS_REGISTRIES_CONF"}

// environment finds such a variable in the files of the unit. What else may set it, such as systemd's own environment, does not show.
func environment(host fs.FS) (file, variable string) {
	all := append(slices.Clone(unitFiles), "/etc/systemd/system/crio.service")
	for _, dir := range unitFolders {
		entries, _ := fs.ReadDir(host, dir[1:])
		for _, e := range entries {
			if strings.HasSuffix(e.Name(), ".conf") {
				all = append(all, path.Join(dir, e.Name()))
			}
		}
	}
	for _, file := range all {
		data, _ := fs.ReadFile(host, file[1:])
		for line := range strings.Lines(string(data)) {
			line = strings.TrimSpace(line)
			for _, v := range variables {
				if at := strings.Index(line, v+"="); at >= 0 && line[0] != '#' && line[0] != ';' && (at == 0 || strings.ContainsRune("= \"'", rune(line[at-1]))) {
					return file, v
				}
			}
		}
	}
	return "", ""
}

// newer names the drop-ins that only newer readers know, as Podman of containers/image v5.41 and later does: all names are sorted together
// there, wherever they stand, and a later one wins.
func newer(host fs.FS) []string {
	var notes []string
	for _, dir := range []string{"/etc/containers/registries.rootful.conf.d", "/usr/share/containers/registries.rootful.conf.d", "/usr/share/containers/registries.conf.d"} {
		for _, name := range confNames(host, dir) {
			notes = append(notes, fmt.Sprintf("%s is read by Podman with containers/image 5.41 and later only", path.Join(dir, name)))
		}
	}
	return notes
}

// files tells what is wrong with the owner's files.
func files(host fs.FS, roots []string) []runtimes.Problem {
	v := look(host, "")
	if len(roots) > 0 {
		v = lookIn(host, roots[0])
	}
	var out []runtimes.Problem
	for _, b := range v.broken {
		out = append(out, runtimes.Problem{
			Reason: runtimes.BrokenDropIn, From: at(b.file, b.line),
			Message: fmt.Sprintf("CRI-O can load no registries.conf with this: %s; a reload changes nothing, and after a restart CRI-O does not start; mend or remove it", b.what),
		})
	}
	for _, e := range v.entries {
		for _, location := range e.locations() {
			if !canonical(location) {
				out = append(out, runtimes.Problem{
					Registry: e.Prefix, Reason: runtimes.FailingEntry, From: e.whereOf(location),
					Message: fmt.Sprintf("every pull of these images fails, since no image can be named at %q: write a host with a dot or a port, and a path in lower case", location),
				})
			}
		}
	}
	slices.SortFunc(out, func(a, b runtimes.Problem) int {
		return cmp.Or(cmp.Compare(a.From, b.From), cmp.Compare(a.Message, b.Message))
	})
	return out
}

// locations are all places that the entry leads to.
func (e entry) locations() []string {
	var out []string
	if e.Location != "" {
		out = append(out, e.Location)
	}
	for _, m := range e.Mirror {
		out = append(out, m.Location)
	}
	return out
}

func there(host fs.FS, file string) bool {
	_, err := fs.Stat(host, file[1:])
	return err == nil
}
