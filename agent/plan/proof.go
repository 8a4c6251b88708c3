package plan

import (
	"cmp"
	"crypto/sha256"
	"fmt"
	"io/fs"
	"slices"

	"github.com/mirrorlet/mirrorlet/runtimes"
)

// render returns the files of every runtime that was found. The files for the sake of a proof come last: a runtime that has read those
// could read the others before.
func (in Input) render(intent runtimes.Intent, without fs.FS) (files []runtimes.File, problems []runtimes.Problem) {
	for _, f := range in.Found {
		rendered, told := f.Runtime.Render(f.Facts, without, intent)
		for i := range rendered {
			rendered[i].Runtime = f.Facts.Runtime
		}
		files = append(files, rendered...)
		problems = append(append(problems, f.Problems...), told...)
	}
	slices.SortStableFunc(files, func(a, b runtimes.File) int { return last(a) - last(b) })
	return files, problems
}

func last(f runtimes.File) int {
	if runtimes.IsProof(f.Registry) {
		return 1
	}
	return 0
}

// revision names what is to be written, in twelve hexadecimal digits; the same files have the same one everywhere. Nothing is "".
func revision(files []runtimes.File) string {
	if len(files) == 0 {
		return ""
	}
	sum := sha256.New()
	for _, f := range files {
		fmt.Fprintf(sum, "%q %o %d\n", f.Path, f.Mode, len(f.Content))
		sum.Write(f.Content)
	}
	return fmt.Sprintf("%x", sum.Sum(nil)[:6])
}

// proven is the intent with the entry by which a runtime can prove that it reads this very revision.
func (in Input) proven(revision string) runtimes.Intent {
	intent, entry := in.Intent, runtimes.Proof(revision, in.Proof)
	if slices.Contains(intent.Held, entry.Prefix) {
		return intent
	}
	intent.Registries = append(slices.Clone(intent.Registries), entry)
	slices.SortFunc(intent.Registries, func(a, b runtimes.Registry) int { return cmp.Compare(a.Prefix, b.Prefix) })
	return intent
}
