package plan

import (
	"bytes"
	"fmt"

	"github.com/txn2/txeh"

	"github.com/mirrorlet/mirrorlet/runtimes"
)

// The lines around our entries in /etc/hosts. The second form of the first says that the file had no newline at its end before us.
const (
	hostsBegin  = "# BEGIN mirrorlet; edits in this block are undone, mirrorlet uninstall removes it"
	hostsJoined = hostsBegin + " and the newline above"
	hostsEnd    = "# END mirrorlet"
)

// HostsFile returns a hosts file with the entries in one marked block: in place of the block that is there, else at the end; without
// entries there is no block. Every other byte stays as it is, line ends and a missing last newline too, so that taking the block out
// gives back what was there before it. It is an error if there is more than one block, or half of one: then somebody has to look.
func HostsFile(old []byte, entries []runtimes.HostEntry) ([]byte, error) {
	f, err := splitHosts(old)
	if err != nil {
		return nil, err
	}
	return f.with(entries), nil
}

// hostsParts is a hosts file as what stands before our block, the block with its two marks, and what stands after it. Without a block all
// stands before it.
type hostsParts struct {
	before, block, after []byte
	joined               bool // the block brought a newline with it
}

// with is HostsFile.
func (f hostsParts) with(entries []runtimes.HostEntry) []byte {
	var b bytes.Buffer
	b.Grow(len(f.before) + len(f.after) + 64*len(entries) + 200)
	b.Write(f.before)
	if len(entries) == 0 {
		b.Write(f.after)
		return b.Bytes()
	}
	begin := hostsBegin
	if f.joined || len(f.before) > 0 && f.before[len(f.before)-1] != '\n' {
		begin = "\n" + hostsJoined
	}
	fmt.Fprintln(&b, begin)
	for _, e := range entries {
		for _, address := range e.Addresses {
			b.WriteString(hostsLine(address, e.Names))
		}
	}
	fmt.Fprintln(&b, hostsEnd)
	b.Write(f.after)
	return b.Bytes()
}

// hostsLine is one line of the block, with its end.
func hostsLine(address string, names []string) string {
	empty := ""
	h, err := txeh.NewHosts(&txeh.HostsConfig{RawText: &empty, MaxHostsPerLine: -1})
	if err != nil {
		panic(err) // it reads no file, and no line is an error (txeh 1.7.0 txeh.go ParseHostsFromString)
	}
	h.AddHosts(address, names)
	return h.RenderHostsFile()
}

// lines are those of the block, without its marks.
func (f hostsParts) lines() []byte {
	_, rest, _ := bytes.Cut(f.block, []byte("\n"))
	return rest[:bytes.LastIndex(rest, []byte(hostsEnd))]
}

// splitHosts finds our block.
func splitHosts(old []byte) (hostsParts, error) {
	begin, end, joined := -1, -1, false
	for at, line := range lines(old) {
		switch text := bytes.TrimRight(line, "\r\n"); string(text) {
		case hostsBegin, hostsJoined:
			if begin >= 0 {
				return hostsParts{}, fmt.Errorf("the line %q is there twice; remove one of the two blocks", text)
			}
			begin, joined = at, string(text) == hostsJoined
		case hostsEnd:
			if begin < 0 || end >= 0 {
				return hostsParts{}, fmt.Errorf("the line %q has no beginning before it; remove it", text)
			}
			end = at + len(line)
		}
	}
	switch {
	case begin < 0:
		return hostsParts{before: old}, nil
	case end < 0:
		return hostsParts{}, fmt.Errorf("the block that begins with %q has no end; remove it", hostsBegin)
	}
	f := hostsParts{before: old[:begin], block: old[begin:end], after: old[end:]}
	if f.joined = joined && len(f.after) == 0; f.joined { // else somebody has gone on writing after the block, and needs the newline
		f.before = bytes.TrimSuffix(f.before, []byte("\n"))
	}
	return f, nil
}

// Part is what our part of a shared file is recognised by, which is the lines between the marks: the marks depend on what stands around
// them. It is zero where there is no block; marks that somebody broke are like nothing of ours.
func (n Node) Part() Sum {
	if n.Kind != Regular {
		return Sum{}
	}
	f, err := splitHosts(n.Content)
	switch {
	case err != nil:
		return Sum{Kind: Regular, Digest: digest(n.Content)}
	case f.block == nil:
		return Sum{}
	default:
		return Sum{Kind: Regular, Digest: digest(f.lines())}
	}
}

// lines yields each line with its end, and where it begins.
func lines(text []byte) func(yield func(int, []byte) bool) {
	return func(yield func(int, []byte) bool) {
		for at := 0; at < len(text); {
			size := bytes.IndexByte(text[at:], '\n') + 1
			if size == 0 {
				size = len(text) - at
			}
			if !yield(at, text[at:at+size]) {
				return
			}
			at += size
		}
	}
}
