package plan

import (
	"slices"
	"strings"

	"github.com/mirrorlet/mirrorlet/runtimes"
)

// order puts off what goes away of a registry that stays, such as a CA whose successor has come: a pull that has read the file of before
// must still find what that one names. Where a file was replaced, it was the one that names the others, and these go one pause later. Else
// the one that names may itself be among those that go: it was written last, goes first, and the others a pause after it.
func order(changes []Change, files []runtimes.File) []Change {
	stays := map[string]bool{}
	for _, f := range files {
		stays[f.Registry] = f.Registry != ""
	}
	named := map[string]bool{} // registries of which the file that names the others is no longer as it was
	for _, c := range changes {
		named[c.Registry] = named[c.Registry] || c.Old.Kind == Regular && c.New.Kind == Regular
	}
	var now, first, second []Change
	for _, c := range changes {
		switch removes := c.New.Kind == Absent && c.Old.Kind != Absent; {
		case removes && c.Old.Kind == Directory && around(c.Path, slices.Concat(first, second)):
			second = append(second, c)
		case !removes || c.Old.Kind == Directory || !stays[c.Registry]:
			now = append(now, c)
		case named[c.Registry] || !of(c.Registry, first):
			first = append(first, c)
		default:
			second = append(second, c)
		}
	}
	return slices.Concat(now, paused(first), paused(second))
}

// around says that one of the changes is made in a folder, or below it.
func around(dir string, changes []Change) bool {
	return slices.ContainsFunc(changes, func(c Change) bool { return strings.HasPrefix(c.Path, dir+"/") })
}

// of says that one of the changes is for the sake of a registry.
func of(registry string, changes []Change) bool {
	return slices.ContainsFunc(changes, func(c Change) bool { return c.Registry == registry })
}

// paused are the changes with a pause before them. Folders, which nothing names, need none.
func paused(changes []Change) []Change {
	if i := slices.IndexFunc(changes, func(c Change) bool { return c.Old.Kind != Directory }); i >= 0 {
		changes[i].Pause = true
	}
	return changes
}
