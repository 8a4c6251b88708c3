package host

import (
	"fmt"
	"maps"
	"path/filepath"
	"slices"

	"github.com/fsnotify/fsnotify"

	"github.com/mirrorlet/mirrorlet/agent/plan"
)

// Watch watches what we have on the host, and gives a nudge when somebody touches it. It is a help and no proof: a pass that is made
// regularly finds what it misses. It is for one goroutine at a time.
type Watch struct {
	host    *Host
	watcher *fsnotify.Watcher
	nudges  nudges
}

// Watch begins a watch of nothing. An error is that of a kernel that allows no more of them (fs.inotify.max_user_instances).
func (h *Host) Watch() (*Watch, error) {
	watcher, err := fsnotify.NewWatcher()
	if err != nil {
		return nil, fmt.Errorf("watch: %w", reason(err))
	}
	w := &Watch{host: h, watcher: watcher, nudges: make(nudges, 1)}
	go w.nudges.follow(watcher, func(string) bool { return true })
	return w, nil
}

// Changed gives one nudge for a burst of events, our own among them. It is closed by Close.
func (w *Watch) Changed() <-chan struct{} { return w.nudges }

// Close ends the watch.
func (w *Watch) Close() { _ = w.watcher.Close() }

// Follow watches the folders of all paths that the state has now, those that are named beside, and no others. A folder that is not there is not watched; the one
// that it was in is. It says whether a folder was added: what happened in it before gives no nudge, so it is to be looked at once more.
// An error is that of the first folder that could not be watched (fs.inotify.max_user_watches); the others are.
func (w *Watch) Follow(beside ...string) (added bool, first error) {
	d, err := w.host.readState()
	if err != nil {
		return false, err
	}
	wanted := folders(d)
	for _, path := range beside {
		wanted[path] = true
	}
	for _, full := range w.watcher.WatchList() {
		path := filepath.Join("/", full[len(w.host.root):])
		if wanted[path] {
			delete(wanted, path)
		} else {
			_ = w.watcher.Remove(full) // it may have gone with its folder
		}
	}
	for _, path := range slices.Sorted(maps.Keys(wanted)) {
		err := w.watcher.Add(w.host.full(path))
		added = added || err == nil
		if err != nil && !absent(err) && first == nil {
			first = fmt.Errorf("watch %s: %w", path, reason(err))
		}
	}
	return added, first
}

// folders are those in which there is something of ours.
func folders(d document) map[string]bool {
	out := map[string]bool{}
	for _, r := range d.Records {
		out[filepath.Dir(r.Path)] = true
		if r.Wrote.Kind == plan.Directory || r.Next != nil && r.Next.Kind == plan.Directory {
			out[r.Path] = true
		}
	}
	return out
}
