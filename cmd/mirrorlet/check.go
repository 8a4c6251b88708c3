package main

import (
	"fmt"
	"io"
	"io/fs"
	"os"
	"path/filepath"
	"slices"
	"time"

	"github.com/mirrorlet/mirrorlet/agent/config"
	"github.com/mirrorlet/mirrorlet/agent/plan"
	"github.com/mirrorlet/mirrorlet/runtimes"
	"github.com/spf13/cobra"
)

func checkCommand() *cobra.Command {
	var file string
	var m machine
	var o output
	c := &cobra.Command{
		Use:   "check -f PATH",
		Short: "Say whether documents are right, without any machine",
		Long: `Check reads a file or a folder of documents as the agent would, and reports each mistake with its file, line, field and remedy.
It needs no machine, no cluster and no rights, so it fits a pipeline. With --runtime it also says what that runtime cannot
express, as on a machine where nobody else has configured anything.

It exits with 0 when everything is right, and 1 otherwise; with --runtime, what is not expressible there counts too.`,
		Example: "  mirrorlet check -f mirrors.yaml\n  mirrorlet check -f ./mirrors --runtime containerd",
		Args:    cobra.NoArgs,
		RunE: func(c *cobra.Command, _ []string) error {
			checked, err := check(file, m)
			if err != nil {
				return err
			}
			if err := o.print(c.OutOrStdout(), checked, checked.text); err != nil {
				return err
			}
			return checked.verdict()
		},
	}
	c.Flags().StringVarP(&file, "file", "f", "", "the file or folder of documents")
	_ = c.MarkFlagRequired("file")
	m.runtimeFlag(c)
	o.flag(c)
	return c
}

// checked is what check found. Its JSON is stable.
type checked struct {
	Documents  int                `json:"documents"`
	Registries int                `json:"registries"`
	Errors     []string           `json:"errors"`
	Problems   []runtimes.Problem `json:"problems"`

	lacking int // problems that leave something out
}

func check(file string, m machine) (checked, error) {
	assumed, err := m.assumed()
	if err != nil {
		return checked{}, err
	}
	file = filepath.Clean(file)
	documents, errs := config.Read(os.DirFS(filepath.Dir(file)), filepath.Base(file))
	out := checked{Documents: documents.Len(), Errors: []string{}, Problems: []runtimes.Problem{}}
	for _, e := range errs {
		out.Errors = append(out.Errors, e.Error())
	}
	registries := map[string]bool{}
	for _, labels := range documents.Selectors() {
		result := documents.Compile(config.Options{Labels: labels, Now: time.Now()})
		for _, r := range result.Intent.Registries {
			registries[r.From] = true
		}
		out.add(result.Problems)
		if assumed != nil {
			lacking, err := lacking(*assumed, result.Intent)
			if err != nil {
				return out, err
			}
			out.lacking += out.add(lacking)
		}
	}
	out.Registries = len(registries)
	return out, nil
}

// add adds the problems that are not there yet, as several kinds of nodes may share one, and returns how many leave something out.
func (c *checked) add(problems []runtimes.Problem) int {
	lacking := 0
	for _, p := range problems {
		if slices.Contains(c.Problems, p) {
			continue
		}
		c.Problems = append(c.Problems, p)
		if p.Reason.Effect() != runtimes.Noted {
			lacking++
		}
	}
	return lacking
}

// lacking says what a runtime cannot express on a machine where there is nothing else.
func lacking(f plan.Found, intent runtimes.Intent) ([]runtimes.Problem, error) {
	p, err := plan.Build(plan.Input{
		Intent: intent, Found: []plan.Found{f}, Host: emptyHost{}, Node: func(string) (plan.Node, error) { return plan.Node{}, nil },
	})
	return p.Problems, err
}

func (c checked) text(w io.Writer) error {
	for _, e := range c.Errors {
		fmt.Fprintln(w, "!", e)
	}
	for _, p := range c.Problems {
		fmt.Fprintln(w, plan.ProblemLine(p))
	}
	_, err := fmt.Fprintf(w, "%s, %s, %s, %s\n", count(c.Documents, "document"), count(c.Registries, "registry"), count(len(c.Errors), "error"), count(len(c.Problems), "problem"))
	return err
}

func (c checked) verdict() error {
	switch {
	case len(c.Errors) > 0:
		return fmt.Errorf("%s: the documents are wrong", count(len(c.Errors), "error"))
	case c.lacking > 0:
		return fmt.Errorf("%s cannot be expressed on this runtime", count(c.lacking, "wish"))
	default:
		return nil
	}
}

// emptyHost is a machine on which there is nothing.
type emptyHost struct{}

func (emptyHost) Open(name string) (fs.File, error) {
	return nil, &fs.PathError{Op: "open", Path: name, Err: fs.ErrNotExist}
}
