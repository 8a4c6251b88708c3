package agent

import (
	"errors"
	"slices"
	"strings"
	"syscall"

	"github.com/mirrorlet/mirrorlet/agent/plan"
	"github.com/mirrorlet/mirrorlet/runtimes"
)

// aside notes that a registry cannot be written, if that is what the error says, and says so.
func (a *Agent) aside(err error, wish func(prefix string) string) bool {
	o := obstacle(err)
	if o != nil && wish == nil {
		return false // on leaving nothing is set aside: it all goes, or it all waits
	}
	if o != nil {
		a.backoff.failed(o.Registry, wish(o.Registry), o, a.Uptime(), a.chance())
	}
	return o != nil
}

// obstacle is an error that will not go away by itself and has to do with one registry alone; nil for another.
func obstacle(err error) *plan.Obstacle {
	var o *plan.Obstacle
	if !errors.As(err, &o) || o.Registry == "" {
		return nil
	}
	if o.Registry == runtimes.HostsFile && o.Path != runtimes.HostsFile && errors.Is(o, syscall.EROFS) { // a link into NixOS's store, say
		return o
	}
	for _, reason := range obstacles {
		if errors.Is(o, reason) {
			return o
		}
	}
	return nil
}

// obstacles are the errors that belong to a path: a file that is immutable or a mount point, a name that the file system cannot hold,
// something in the way. What a full or broken disk says belongs to the host.
var obstacles = []error{
	plan.ErrInTheWay, syscall.EPERM, syscall.EACCES, syscall.EBUSY, syscall.ELOOP, syscall.ENOTDIR, syscall.EISDIR, syscall.ENAMETOOLONG,
}

// unwritable are the registries that could not be written and are not to be tried again yet, as problems that say why.
func (a *Agent) unwritable(wish func(prefix string) string) []runtimes.Problem {
	var out []runtimes.Problem
	for prefix := range a.backoff.failures {
		if prefix == everything {
			continue
		}
		if o := obstacle(a.backoff.waits(prefix, wish(prefix), a.Uptime())); o != nil {
			out = append(out, runtimes.Problem{Registry: prefix, Reason: runtimes.Unwritable, From: o.Path, Message: told(o)})
		}
	}
	slices.SortFunc(out, func(a, b runtimes.Problem) int { return strings.Compare(a.Registry, b.Registry) })
	return out
}

// told says to a person what an obstacle is and what to do.
func told(o *plan.Obstacle) string {
	text := o.Error() + "; what this machine has there stays as it is"
	switch {
	case errors.Is(o, syscall.EBUSY):
		text += "; the file is a mount point, and cannot be replaced: unmount it"
	case errors.Is(o, syscall.EROFS):
		text += "; put the entries where the file comes from, or into your DNS"
	case errors.Is(o, syscall.EPERM):
		text += "; is it immutable? lsattr shows it, chattr -i ends it"
	}
	return text
}
