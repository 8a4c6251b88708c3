package faults

import (
	"errors"
	"fmt"
	"math/rand/v2"
	"os"
	"path/filepath"
)

// Blackout is a power cut.
type Blackout struct {
	// At is the call that no longer happens. With one more than there are, the program has ended and said that it is done.
	At int
	// Journal is what becomes of it.
	Journal uint32
	// SyncAt is a call before which, by chance, everything reaches the disk; 0: none.
	SyncAt int
}

func (b Blackout) String() string {
	s := fmt.Sprintf("power cut at call %d", b.At)
	if b.Journal == journalFlushed {
		s += ", with the journal on disk"
	}
	if b.SyncAt > 0 {
		s += fmt.Sprintf(", all synced at call %d", b.SyncAt)
	}
	return s
}

// DiskFor is a disk with the host as it is before a story. The folder is to be empty.
func DiskFor(s Story, folder string) (*Disk, error) {
	at := filepath.Join(folder, "mount")
	if err := os.Mkdir(at, 0o755); err != nil {
		return nil, err
	}
	d, err := NewDisk(filepath.Join(folder, "image"), at)
	if err == nil {
		err = d.Mount()
	}
	if err == nil {
		err = os.Mkdir(d.Host(), 0o755)
	}
	if err == nil {
		err = s.Before.Write(d.Host())
	}
	return d, errors.Join(err, d.Unmount())
}

// CutPower plays a story on a copy of a disk, cuts the power, starts the disk again and asks judge about the host on it, and whether
// the program had said that it was done. The folder is to be empty, and is afterwards.
func (p Program) CutPower(s Story, b Blackout, from *Disk, folder string, judge func(host string, done bool) []string) (wrong []string, err error) {
	at := filepath.Join(folder, "mount")
	if err := os.Mkdir(at, 0o755); err != nil {
		return nil, err
	}
	d, err := from.Copy(filepath.Join(folder, "image"), at)
	if err == nil {
		err = d.Mount()
	}
	if err != nil {
		return nil, err
	}
	done, err := p.playUntil(s, b, d)
	if err = errors.Join(err, d.Unmount()); err != nil {
		return nil, err
	}
	if err := d.Mount(); err != nil {
		return nil, err
	}
	wrong = judge(d.Host(), done)
	return wrong, errors.Join(d.Unmount(), empty(folder))
}

// playUntil plays a story until the power goes.
func (p Program) playUntil(s Story, b Blackout, d *Disk) (done bool, err error) {
	var failed error
	out, err := Run(Command{Path: string(p), Args: s.args(d.Host()), Tree: d.Host()}, func(c Call) Action {
		if c.Number == b.SyncAt {
			failed = errors.Join(failed, d.Sync())
		}
		if c.Number != b.At {
			return Action{}
		}
		failed = errors.Join(failed, d.Cut(b.Journal))
		return Action{Kill: true}
	})
	switch done = out.Exit == 0; {
	case err != nil || failed != nil:
		return false, errors.Join(err, failed)
	case done != (out.Calls < b.At):
		return done, fmt.Errorf("%s: it made %d calls and exits with %d: %s", b, out.Calls, out.Exit, out.Stderr)
	case done:
		err = d.Cut(b.Journal)
	}
	return done, err
}

// Blackout cuts the power in a story and says what is wrong afterwards: what Judge demands, and that what the program had said to be
// done is so. The folder is to be empty, and is afterwards.
func (p Program) Blackout(s Story, b Blackout, from *Disk, folder string) []string {
	spare := filepath.Join(folder, "spare")
	work := filepath.Join(folder, "disk")
	for _, dir := range []string{spare, work} {
		if err := os.Mkdir(dir, 0o755); err != nil {
			return []string{err.Error()}
		}
	}
	wrong, err := p.CutPower(s, b, from, work, func(host string, done bool) []string {
		var lost []string
		if now, err := ReadTree(host); err != nil {
			return []string{err.Error()}
		} else if done {
			lost = Differences(now.Only(theirs), s.After.Only(theirs))
		}
		return append(lost, p.Judge(s, host, spare)...)
	})
	if err = errors.Join(err, empty(folder)); err != nil {
		wrong = append(wrong, err.Error())
	}
	return wrong
}

// Blackouts is a number of power cuts, spread evenly over the calls of a story that makes that many, of every kind, and one in eight
// after the program has said that it was done. What is random in them is the source's.
func Blackouts(n, calls int, random *rand.Rand) []Blackout {
	out := make([]Blackout, n)
	for i := range out {
		out[i] = Blackout{At: 1 + (i*calls+random.IntN(calls))/n, Journal: journalLost}
		switch i % 8 {
		case 1, 5:
			out[i].Journal = journalFlushed
		case 3, 6:
			out[i].SyncAt = 1 + random.IntN(out[i].At)
		case 7:
			out[i].At = calls + 1
		}
	}
	return out
}

// Blackouts cuts the power in a story, in several workers.
func (p Program) Blackouts(s Story, cuts []Blackout, scratch string) (Row, error) {
	folder, err := os.MkdirTemp(scratch, "disk-")
	if err != nil {
		return Row{}, err
	}
	d, err := DiskFor(s, folder)
	if err != nil {
		return Row{}, err
	}
	wrong, err := each(len(cuts), scratch, func(i int, folder string) []string {
		return at(cuts[i], p.Blackout(s, cuts[i], d, folder))
	})
	return Row{Story: s.Name, Fault: "power cut", Points: len(cuts), Wrong: wrong}, errors.Join(err, os.RemoveAll(folder))
}
