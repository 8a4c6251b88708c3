package host

import (
	"encoding/hex"
	"fmt"
	"path/filepath"
	"strings"

	"github.com/mirrorlet/mirrorlet/agent/plan"
)

// sound refuses a state whose words are known and whose meaning is not: a kind that a later release has invented, a name that leads out
// of our folder, a path that is there twice. Acting on such a state could take away what is not ours.
func (d document) sound() error {
	for _, dir := range d.Made {
		if err := checkPath(dir); err != nil || dir == "/" || !strings.HasPrefix(folder+"/", dir+"/") {
			return fmt.Errorf("made: %q is no folder around %s", dir, folder)
		}
	}
	known := map[string]bool{}
	for _, r := range d.Records {
		if err := checkPath(r.Path); err != nil || filepath.Base(r.Path) == "/" {
			return fmt.Errorf("records: %q is no path of ours", r.Path)
		}
		if known[r.Path] {
			return fmt.Errorf("records: %s is there twice", r.Path)
		}
		known[r.Path] = true
		if err := r.sound(); err != nil {
			return fmt.Errorf("records: %s: %w", r.Path, err)
		}
	}
	return nil
}

func (r record) sound() error {
	before := r.Before
	if r.Shared && (before.Kind == plan.Regular || before.Kind == plan.Absent) && before.Digest == "" { // nothing was kept of it
		before = original{}
	}
	if before.Kind == plan.Symlink && before.Digest == "" { // the target stands in full
		before = original{}
	}
	sums := []plan.Sum{r.Wrote, {Kind: before.Kind, Digest: before.Digest}}
	if r.Next != nil {
		sums = append(sums, *r.Next)
	}
	for _, s := range sums {
		digest, err := hex.DecodeString(s.Digest)
		switch s.Kind {
		case plan.Regular, plan.Symlink:
			if err != nil || len(digest) != 32 {
				return fmt.Errorf("%q is no SHA-256", s.Digest)
			}
		case plan.Absent, plan.Directory:
			if s.Digest != "" {
				return fmt.Errorf("%s has no SHA-256", name(s.Kind))
			}
		default:
			return fmt.Errorf("its kind %q is unknown", s.Kind)
		}
	}
	return nil
}
