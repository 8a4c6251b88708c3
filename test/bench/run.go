package bench

import (
	"fmt"
	"io"
	"math/rand/v2"
	"slices"
	"text/tabwriter"
	"time"
)

// Each n-th edit is followed by a real pull, and each n-th is left alone for a while before and awaited until it is proven.
const (
	pullEvery  = 20
	proveEvery = 10
	// quiet is how long after an edit neither the next proof nor the next report of an agent has to wait because there were others just now.
	quiet = 4 * time.Second
)

// Run makes edits, one after another, each when nobody is busy with the last one any more.
func (b *Bed) Run(count int) ([]Edit, error) {
	edits := make([]Edit, 0, count)
	for i := range count {
		proven := i%proveEvery == 0
		if proven {
			time.Sleep(quiet)
		}
		time.Sleep(rand.N(time.Second)) // an edit comes at any moment of the second of one who polls
		e, err := b.Edit(proven)
		if err == nil && i%pullEvery == 0 {
			err = b.Pull()
		}
		if err != nil {
			return edits, fmt.Errorf("edit %d: %w", i+1, err)
		}
		edits = append(edits, e)
	}
	return edits, nil
}

// Print prints how long edits took, in milliseconds.
func Print(out io.Writer, edits []Edit) error {
	t := tabwriter.NewWriter(out, 0, 8, 2, ' ', tabwriter.AlignRight)
	fmt.Fprintln(t, "from before the PATCH until, in ms\tp50\tp90\tp99\tmost\tedits\t")
	for _, row := range []struct {
		title string
		of    func(Edit) time.Duration
	}{
		{"the API server has answered", func(e Edit) time.Duration { return e.Answered }},
		{"the API server has told a watch of it", func(e Edit) time.Duration { return e.Told }},
		{"mirrorlet: the next pull obeys", func(e Edit) time.Duration { return e.Obeyed }},
		{"of which after the API server has told", func(e Edit) time.Duration { return e.Obeyed - e.Told }},
		{"mirrorlet: MirrorNode says Obeyed, with the proof", func(e Edit) time.Duration { return e.Proven }},
		{"a poll every second: the next pull obeys", func(e Edit) time.Duration { return e.Polled }},
	} {
		took := make([]time.Duration, 0, len(edits))
		for _, e := range edits {
			if d := row.of(e); d != 0 {
				took = append(took, d)
			}
		}
		slices.Sort(took)
		fmt.Fprintf(t, "%s\t%s\t%s\t%s\t%s\t%d\t\n", row.title, at(took, 50), at(took, 90), at(took, 99), at(took, 100), len(took))
	}
	return t.Flush()
}

// at is a percentile of what is sorted: the least that so many of a hundred do not exceed.
func at(sorted []time.Duration, percent int) string {
	if len(sorted) == 0 {
		return "-"
	}
	i := (len(sorted)*percent+99)/100 - 1
	return fmt.Sprintf("%.1f", float64(sorted[max(0, i)].Microseconds())/1e3)
}
