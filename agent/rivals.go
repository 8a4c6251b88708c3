package agent

import (
	"fmt"
	"io/fs"
	"slices"
	"strings"
	"time"

	"github.com/mirrorlet/mirrorlet/agent/plan"
	"github.com/mirrorlet/mirrorlet/runtimes"
	"github.com/mirrorlet/mirrorlet/runtimes/owners"
)

// A file that was put back patienceRepairs times within patienceWindow and is overwritten once more is left to the other owner for
// firstTruce, and twice as long each time that it is overwritten soon after a further try, up to lastTruce.
const (
	patienceRepairs = 5
	patienceWindow  = 10 * time.Minute
	firstTruce      = 10 * time.Minute
	lastTruce       = 6 * time.Hour
)

// rivals decides whether a file of ours that somebody else keeps overwriting is put back once more. Two programs that put their own
// file back for ever leave the runtime with one or the other at random, wear the disk and hide that they disagree (as Tailscale's
// net/dns, we stop after a number of overwrites). It is pure: events and the time go in, by a clock that nobody can set, and the
// registries to leave alone come out. It lives in memory only: after a restart a rival is fought again, no longer than at first.
// The zero value knows of no rival.
type rivals struct {
	files  map[string]file  // by path: what we wrote
	truces map[string]truce // by registry
}

// file is what we wrote to a path last, and when we had to write the same once more.
type file struct {
	sum     plan.Sum
	repairs []time.Duration // within patienceWindow of the last one
}

// truce leaves a registry to somebody else.
type truce struct {
	path  string // the file that he keeps overwriting
	wish  string // ours, at that time: another one ends the truce
	pause time.Duration
	until time.Duration
}

// wrote notes changes that were made. A file that is written with the content that we gave it before was overwritten by somebody else
// in between, or removed.
func (r *rivals) wrote(changes []plan.Change, now time.Duration) {
	if r.files == nil {
		r.files, r.truces = map[string]file{}, map[string]truce{}
	}
	for _, c := range changes {
		switch {
		case c.Release || c.New.Kind == plan.Absent:
			delete(r.files, c.Path)
		case c.New.Kind == plan.Regular:
			f := file{sum: c.Wrote()}
			if r.repairs(c) {
				f.repairs = append(recent(r.files[c.Path].repairs, now), now)
			}
			r.files[c.Path] = f
		}
	}
}

// repairs says that a change would write once more what we wrote last.
func (r *rivals) repairs(c plan.Change) bool {
	f, known := r.files[c.Path]
	return known && !c.Release && f.sum == c.Wrote()
}

// recent are the times within patienceWindow before now.
func recent(times []time.Duration, now time.Duration) []time.Duration {
	return slices.DeleteFunc(slices.Clone(times), func(t time.Duration) bool { return now-t >= patienceWindow })
}

// contested begins truces for the registries whose files would be put back once too often, and says for which. A wish is that of a
// registry's prefix.
func (r *rivals) contested(changes []plan.Change, wish func(prefix string) string, now time.Duration) bool {
	begun := false
	for _, c := range changes {
		if !r.repairs(c) || c.Registry == "" {
			continue
		}
		n := len(recent(r.files[c.Path].repairs, now))
		before, again := r.truces[c.Registry]
		switch {
		case again && n > 0: // the further try was overwritten as well
			r.begin(c, wish(c.Registry), min(lastTruce, 2*before.pause), now)
			begun = true
		case again && now < before.until+patienceWindow: // the further try
		case n >= patienceRepairs:
			r.begin(c, wish(c.Registry), firstTruce, now)
			begun = true
		default:
			delete(r.truces, c.Registry) // that is long ago
		}
	}
	return begun
}

func (r *rivals) begin(c plan.Change, wish string, pause, now time.Duration) {
	r.truces[c.Registry] = truce{path: c.Path, wish: wish, pause: pause, until: now + pause}
	f := r.files[c.Path]
	r.files[c.Path] = file{sum: f.sum} // what follows the truce is counted anew
}

// held are the registries that are left alone now, as problems that say why.
func (r *rivals) held(wish func(prefix string) string, host fs.FS, now time.Duration) []runtimes.Problem {
	var out []runtimes.Problem
	for prefix, t := range r.truces {
		switch {
		case t.wish != wish(prefix):
			delete(r.truces, prefix)
		case now < t.until:
			out = append(out, t.problem(prefix, owners.Of(host, t.path)))
		}
	}
	slices.SortFunc(out, func(a, b runtimes.Problem) int { return strings.Compare(a.Registry, b.Registry) })
	return out
}

func (t truce) problem(prefix, owner string) runtimes.Problem {
	by := "another program"
	if owner != "" {
		by = owner
	}
	return runtimes.Problem{Registry: prefix, Reason: runtimes.ForeignOwner, From: t.path, Message: fmt.Sprintf(
		"%s is overwritten again and again by %s, and left to it; switch that off there, or remove the entry here; tried again after %s",
		t.path, by, shortly(t.pause))}
}

// next is the first time after now at which a truce ends; 0 for never.
func (r *rivals) next(now time.Duration) time.Duration {
	var first time.Duration
	for _, t := range r.truces {
		first = earlier(first, t.until, now)
	}
	return first
}

// shortly is a whole number of minutes or hours.
func shortly(d time.Duration) string {
	if d < 2*time.Hour {
		return fmt.Sprintf("%d minutes", d/time.Minute)
	}
	return fmt.Sprintf("%d hours", d/time.Hour)
}
