package faults

import (
	"fmt"
	"io"
	"math/rand/v2"
	"os"
	"path/filepath"
	"time"
)

// Soak says how long the long tests are.
type Soak struct {
	Program Program // under test
	Simple  Program // the simple writers
	Scratch string  // an empty folder in memory
	Cuts    int     // power cuts over all stories
	Passes  int     // runs that meet a random fault at a random call
	Stride  int     // of the matrices: 1 is every call
	Out     io.Writer
	Wrong   int // how much was found
}

// Run plays all that there is and prints tables for a page.
func (s *Soak) Run(stories []Story) error {
	if s.Program == "" || s.Stride < 1 {
		return fmt.Errorf("soak: nothing to do")
	}
	fmt.Fprintln(s.Out, "| story | fault | runs, each at another call | wrong |\n|---|---|---:|---:|")
	for _, play := range []func(Story) error{s.matrix, s.reads, s.power} {
		for _, story := range stories {
			if err := play(story); err != nil {
				return err
			}
		}
	}
	if err := s.random(stories); err != nil {
		return err
	}
	return s.losses(stories[1])
}

// row prints a row at once: a long test that is stopped has said what it found.
func (s *Soak) row(r Row, err error) error {
	if err != nil {
		return err
	}
	s.Wrong += len(r.Wrong)
	fmt.Fprintf(s.Out, "| %s | %s | %d | %d |\n", r.Story, r.Fault, r.Points, len(r.Wrong))
	for _, w := range r.Wrong[:min(len(r.Wrong), 5)] {
		fmt.Fprintln(os.Stderr, r.Story, r.Fault, w)
	}
	return nil
}

func (s *Soak) matrix(story Story) error {
	calls, err := s.calls(story, false)
	for i := 0; err == nil && i < len(Faults); i++ {
		err = s.row(s.Program.Try(story, Faults[i], calls, s.Stride, false, s.Scratch))
	}
	return err
}

// readStride is of how many calls one is met when those that only read count: there are many, and most are alike.
const readStride = 5

func (s *Soak) reads(story Story) error {
	calls, err := s.calls(story, true)
	if err != nil {
		return err
	}
	return s.row(s.Program.Try(story, ReadFault, calls, readStride*s.Stride, true, s.Scratch))
}

func (s *Soak) power(story Story) error {
	calls, err := s.calls(story, false)
	if err != nil {
		return err
	}
	random := rand.New(rand.NewPCG(uint64(time.Now().UnixNano()), 0))
	return s.row(s.Program.Blackouts(story, Blackouts(s.Cuts/3, len(calls), random), s.Scratch))
}

// random plays stories that meet any fault at any call.
func (s *Soak) random(stories []Story) error {
	random := rand.New(rand.NewPCG(uint64(time.Now().UnixNano()), 0))
	type pass struct {
		Story
		Fault
		call Call
	}
	passes := make([]pass, s.Passes)
	for i := range passes {
		p := &passes[i]
		p.Story, p.Fault = stories[random.IntN(len(stories))], Faults[random.IntN(len(Faults))]
		calls, err := s.calls(p.Story, false)
		if err != nil {
			return err
		}
		points := p.points(calls)
		p.call = calls[points[random.IntN(len(points))]-1]
	}
	wrong, err := each(len(passes), s.Scratch, func(i int, folder string) []string {
		p := passes[i]
		return at(p.call, s.Program.standFresh(p.Story, p.Fault, p.call.Number, false, folder))
	})
	return s.row(Row{Story: "any", Fault: "any, at any call", Points: s.Passes, Wrong: wrong}, err)
}

func (s *Soak) calls(story Story, reads bool) ([]Call, error) {
	root, err := os.MkdirTemp(s.Scratch, "calls-")
	if err != nil {
		return nil, err
	}
	defer os.RemoveAll(root)
	return s.Program.Calls(story, root, reads)
}

func (s *Soak) losses(edit Story) error {
	fmt.Fprintln(s.Out, "\n| who writes an edit | the owner's files gone, no fault | killed: runs | a file torn | power cut: runs | a file torn | power cut after \"done\": runs | update lost |\n|---|---:|---:|---:|---:|---:|---:|---:|")
	for _, method := range []string{"truncate", "clear", "rename", ""} {
		program, story := s.Simple, edit
		if method == "" {
			program, story.Name = s.Program, "**mirrorlet**"
		} else {
			var err error
			if story, err = SimpleStory(edit, method, filepath.Join(s.Scratch, method)); err != nil {
				return err
			}
		}
		l, err := program.Losses(story, s.Stride, s.Scratch)
		if err != nil {
			return err
		}
		fmt.Fprintf(s.Out, "| %s | %d | %d | %d | %d | %d | %d | %d |\n", l.Writer, l.Gone, l.Kills, l.KillsTorn, l.Cuts, l.CutsTorn, l.Done, l.Undone)
	}
	return nil
}
