package plan

import (
	"bytes"
	"fmt"
	"strings"

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
	before, after, joined, err := aroundBlock(old)
	if err != nil {
		return nil, err
	}
	var b bytes.Buffer
	b.Grow(len(old) + 64*len(entries) + 200)
	b.Write(before)
	if len(entries) == 0 {
		b.Write(after)
		return b.Bytes(), nil
	}
	begin := hostsBegin
	if joined || len(before) > 0 && before[len(before)-1] != '\n' {
		begin = "\n" + hostsJoined
	}
	fmt.Fprintln(&b, begin)
	for _, e := range entries {
		for _, address := range e.Addresses {
			fmt.Fprintf(&b, "%s %s\n", address, strings.Join(e.Names, " "))
		}
	}
	fmt.Fprintln(&b, hostsEnd)
	b.Write(after)
	return b.Bytes(), nil
}

// aroundBlock returns what stands before and after our block, and whether the block brought a newline with it. Without a block all
// stands before it.
func aroundBlock(old []byte) (before, after []byte, joined bool, err error) {
	begin, end, size := -1, -1, 0
	for at, line := range lines(old) {
		switch text := bytes.TrimRight(line, "\r\n"); string(text) {
		case hostsBegin, hostsJoined:
			if begin >= 0 {
				return nil, nil, false, fmt.Errorf("the line %q is there twice; remove one of the two blocks", text)
			}
			begin, joined = at, string(text) == hostsJoined
		case hostsEnd:
			if begin < 0 || end >= 0 {
				return nil, nil, false, fmt.Errorf("the line %q has no beginning before it; remove it", text)
			}
			end, size = at, len(line)
		}
	}
	switch {
	case begin < 0:
		return old, nil, false, nil
	case end < 0:
		return nil, nil, false, fmt.Errorf("the block that begins with %q has no end; remove it", hostsBegin)
	}
	before, after = old[:begin], old[end+size:]
	if joined = joined && len(after) == 0; joined { // else somebody has gone on writing after the block, and needs the newline
		before = bytes.TrimSuffix(before, []byte("\n"))
	}
	return before, after, joined, nil
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
