package host

import (
	"bytes"
	"encoding/json"
	"errors"
	"fmt"
	"io/fs"
	"os"
	"path/filepath"
	"slices"
	"time"

	"github.com/mirrorlet/mirrorlet/agent/plan"
	"github.com/mirrorlet/mirrorlet/runtimes"
)

const (
	statePath    = folder + "/state.json"
	originalsDir = folder + "/originals"
	// stateVersion is the newest that this program knows. Each state is written with the oldest that can say it, so that an older program goes
	// on where it can, and says why where it cannot.
	stateVersion = 2
)

// ErrStateVersion says that a mirrorlet of another version wrote the state. What it means is not guessed at: nothing can be changed, and
// nothing given back, but by a mirrorlet that knows it.
var ErrStateVersion = errors.New("the state of this machine is of another version")

// LoadState returns what the host remembers of us, with the originals, as it is after looking at the disk: no record has a Next. It
// writes nothing. A host without a state gives the zero State; a state that cannot be read, or not wholly, is an error. It needs no
// lock: what another mirrorlet replaces while it is read is read again.
func (h *Host) LoadState() (plan.State, error) {
	for {
		before := sign(h.full(statePath), false)
		s, err := h.loadState()
		if err == nil || sign(h.full(statePath), false) == before {
			return s, err
		}
	}
}

func (h *Host) loadState() (plan.State, error) {
	d, err := h.settled()
	if err != nil {
		return plan.State{}, err
	}
	s := plan.State{References: d.References, Pending: d.Pending}
	for _, r := range d.Records {
		content, err := h.original(r)
		if err != nil {
			return plan.State{}, err
		}
		s.Records = append(s.Records, plan.Record{
			Path: r.Path, Before: r.Before.node(content), Wrote: r.Wrote, Secret: r.Secret, Shared: r.Shared, Action: r.Action, Runtime: r.Runtime,
			Registry: r.Registry, From: r.From,
		})
	}
	return s, nil
}

// settled is the state after looking at the paths of which it does not know whether they were written.
func (h *Host) settled() (document, error) {
	d, err := h.readState()
	if err != nil {
		return document{}, err
	}
	onDisk, err := h.sums(d.underWay())
	if err != nil {
		return document{}, fmt.Errorf("find out what an interrupted commit has written: %w", err)
	}
	return settle(d, onDisk), nil
}

// sums looks at the paths of records.
func (h *Host) sums(records []record) (map[string]plan.Sum, error) {
	sums := make(map[string]plan.Sum, len(records))
	for _, r := range records {
		n, err := h.Node(r.Path)
		if err != nil {
			return nil, err
		}
		sums[r.Path] = n.Sum()
		if r.Shared {
			sums[r.Path] = n.Part()
		}
	}
	return sums, nil
}

// readState returns the state as it was written. The zero document has version 0: there is none.
func (h *Host) readState() (document, error) {
	signed := sign(h.full(statePath), false)
	if signed.errno == 0 && signed == h.state.signature {
		return h.state.document, nil
	}
	n, err := h.Node(statePath)
	switch {
	case err != nil:
		return document{}, err
	case n.Kind == plan.Absent:
		return document{}, nil
	case n.Kind != plan.Regular:
		return document{}, fmt.Errorf("%s is no file; put back the state that was there, without it nothing can be given back", statePath)
	}
	d, err := parseState(n.Content)
	if err == nil && time.Since(time.Unix(signed.ctime.Unix())).Abs() > racy {
		h.state.signature, h.state.document = signed, d
	}
	return d, err
}

func parseState(content []byte) (document, error) {
	var any struct{ Version int }
	if err := json.Unmarshal(content, &any); err != nil {
		return document{}, broken(err)
	}
	if any.Version < 1 || any.Version > stateVersion {
		return document{}, fmt.Errorf("%w: %s has version %d, and this mirrorlet knows versions up to %d; run the one that wrote it, to uninstall as well",
			ErrStateVersion, statePath, any.Version, stateVersion)
	}
	var d document
	strict := json.NewDecoder(bytes.NewReader(content))
	strict.DisallowUnknownFields()
	err := strict.Decode(&d)
	if err == nil {
		err = d.sound()
	}
	if err != nil {
		return document{}, broken(err)
	}
	return d, nil
}

func broken(err error) error {
	return fmt.Errorf("%s is damaged (%w); put it back from a backup: it is the only list of what mirrorlet wrote, and of what was there before",
		statePath, err)
}

// original returns the content that was kept for a record; none for what is not a file.
func (h *Host) original(r record) ([]byte, error) {
	if r.Before.Kind != plan.Regular || r.Shared {
		return nil, nil
	}
	path := originalPath(r.Before.Digest)
	n, err := h.Node(path)
	switch {
	case err != nil:
		return nil, err
	case n.Kind == plan.Absent:
		err = errors.New("is missing")
	case plan.Node{Kind: plan.Regular, Mode: r.Before.Mode, Content: n.Content}.Sum() != r.Before.sum():
		err = errors.New("has other content than it was written with")
	default:
		return n.Content, nil
	}
	return nil, fmt.Errorf("%s, what %s held before mirrorlet, %w; put it back from a backup", path, r.Path, err)
}

func originalPath(digest string) string { return filepath.Join(originalsDir, digest) }

// writeState replaces the state. Once it returns, a power cut leaves the old state or the new one, whole; synced says that it must
// be the new one.
func (h *Host) writeState(d document, synced bool) error {
	content, err := encodeState(d)
	if err == nil {
		err = h.putFile(h.full(statePath), private(content), always)
	}
	if err == nil && synced {
		err = h.disk.syncFolder(h.full(folder))
	}
	h.state.signature = signature{}
	if d.Version = d.version(); err == nil { // whoever else writes it holds the lock
		h.state.signature, h.state.document = sign(h.full(statePath), false), d
	}
	return wrap("write "+statePath, err)
}

func encodeState(d document) ([]byte, error) {
	d.Version = d.version()
	content, err := json.Marshal(d)
	return append(content, '\n'), err
}

// version is the oldest that can say what the state says: version 2 has files of which only a part is ours, and actions.
func (d document) version() int {
	second := slices.ContainsFunc(d.Records, func(r record) bool { return r.Shared || r.Action != runtimes.NoAction })
	if second || len(d.Pending)+len(d.PendingNext) > 0 {
		return 2
	}
	return 1
}

// keepOriginals saves what the new records of ahead have as their original, so that it lasts before anything is overwritten. It
// returns with the folder synced even if an earlier, interrupted commit wrote all of them, because that one may not have got so far.
func (h *Host) keepOriginals(steps []step, was, ahead document) error {
	var kept bool
	for _, s := range steps {
		if s.was.Kind != plan.Regular || s.Shared || was.index(s.Path) >= 0 {
			continue
		}
		if err := h.keepOriginal(s, ahead.Records[ahead.index(s.Path)].Before.Digest); err != nil {
			return fmt.Errorf("keep what %s holds: %w", s.Path, err)
		}
		kept = true
	}
	if !kept {
		return nil
	}
	return wrap("keep originals", h.disk.syncFolder(h.full(originalsDir)))
}

func (h *Host) keepOriginal(s step, digest string) error {
	there, err := h.Node(originalPath(digest))
	if err != nil || bytes.Equal(there.Content, s.was.Content) && there.Kind == plan.Regular {
		return err
	}
	if err := h.disk.mkdir(h.full(originalsDir)); err != nil && !errors.Is(err, fs.ErrExist) {
		return err
	}
	return h.putFile(h.full(originalPath(digest)), private(s.was.Content), always)
}

// orphans are the originals that one state has and the next one has no longer.
func orphans(was, now document) []string {
	var digests []string
	for _, r := range was.Records {
		d := r.Before.Digest
		used := slices.ContainsFunc(now.Records, func(r record) bool { return r.Before.Digest == d })
		if d != "" && !used && !slices.Contains(digests, d) {
			digests = append(digests, d)
		}
	}
	return digests
}

// private is a file that only we may read.
func private(content []byte) plan.Node {
	return plan.Node{Kind: plan.Regular, Mode: 0o600, UID: os.Geteuid(), GID: os.Getegid(), Content: content}
}
