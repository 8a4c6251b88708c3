package plan

import (
	"fmt"
	"path"
	"slices"

	"github.com/mirrorlet/mirrorlet/runtimes"
)

// hosts adds what is to change in /etc/hosts. Where nothing is wanted there, our block goes as every file goes that is not needed.
func (d *differ) hosts() error {
	if len(d.Intent.Hosts)+len(d.Intent.HeldHosts) == 0 || slices.Contains(d.Intent.Held, runtimes.HostsFile) {
		return nil
	}
	p, now, err := d.hostsFile()
	if err != nil {
		return err
	}
	f, err := splitHosts(now.Content)
	if err != nil {
		return fmt.Errorf("%s %w: %w", p, ErrInTheWay, err)
	}
	entries, problems := f.entries(d.Intent)
	d.problems = append(d.problems, problems...)
	if len(entries) == 0 {
		return nil
	}
	return d.shared(p, now, f.with(entries), claims(entries))
}

// shared adds the change of a shared file, unless it is as it should be and known to hold our part.
func (d *differ) shared(p string, now Node, content []byte, from string) error {
	want := now
	want.Content = content
	if now.Kind == Absent {
		want.Kind, want.Mode = Regular, 0o644
		if err := d.folders(path.Dir(p), runtimes.File{Path: p, Registry: runtimes.HostsFile, From: from}); err != nil {
			return err
		}
	}
	d.need(p)
	record, known := d.State.Record(p)
	if known && now.Part() != record.Wrote {
		d.problem(record, "was changed by somebody else, so that our block in it is gone or another, and the block is put back; change the MirrorConfig instead")
	}
	if known && now.Same(want) {
		return nil
	}
	d.changes = append(d.changes, Change{Path: p, Old: now, New: want, Shared: true, Registry: runtimes.HostsFile, From: from})
	return nil
}

// maxLinks is how many links in a row are followed, as the kernel does (path_resolution(7)).
const maxLinks = 40

// hostsFile is the file that /etc/hosts is, or leads to: a link stays the owner's way of keeping it elsewhere.
func (d *differ) hostsFile() (string, Node, error) {
	p := runtimes.HostsFile
	for range maxLinks {
		now, err := d.Node(p)
		switch {
		case err != nil:
			return p, now, err
		case now.Kind == Symlink:
			p = "/" + linked(p[1:], now.Target)
		case now.Kind == Absent && p != runtimes.HostsFile:
			return p, now, fmt.Errorf("%s %w: it leads to %s, where nothing is; mend it or move it away", runtimes.HostsFile, ErrInTheWay, p)
		case now.Kind == Directory || now.Kind == Other:
			return p, now, fmt.Errorf("%s %w: our entries belong into a file there, and it is none; move it away", p, ErrInTheWay)
		default:
			return p, now, nil
		}
	}
	return p, Node{}, fmt.Errorf("%s %w: it leads in a circle; mend it or move it away", runtimes.HostsFile, ErrInTheWay)
}

// withoutBlock is what goes back to the owner of a shared file: what is there now, without our block; nothing, if only the block was ever
// there.
func withoutBlock(now Node, r Record) (Node, error) {
	if now.Kind != Regular {
		return now, nil
	}
	f, err := splitHosts(now.Content)
	if err != nil {
		return now, fmt.Errorf("%s %w: %w", r.Path, ErrInTheWay, err)
	}
	now.Content = f.with(nil)
	if len(now.Content) == 0 && r.Before.Kind == Absent {
		return Node{}, nil
	}
	return now, nil
}

// claims names whose entries these are.
func claims(entries []runtimes.HostEntry) string {
	var all []string
	for _, e := range entries {
		if e.From != "" && !slices.Contains(all, e.From) {
			all = append(all, e.From)
		}
	}
	switch len(all) {
	case 0:
		return "entries that are held"
	case 1:
		return all[0]
	default:
		return fmt.Sprintf("%s and %d more", all[0], len(all)-1)
	}
}
