package main

import (
	"fmt"
	"io"
	"io/fs"
	"os"
	"path/filepath"
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
	file = filepath.Clean(file)
	documents, errs := config.Read(os.DirFS(filepath.Dir(file)), filepath.Base(file))
	result := documents.Compile(config.Options{Now: time.Now()})
	out := checked{Documents: documents.Len(), Registries: len(result.Intent.Registries), Errors: []string{}, Problems: []runtimes.Problem{}}
	for _, e := range errs {
		out.Errors = append(out.Errors, e.Error())
	}
	out.Problems = append(out.Problems, result.Problems...)
	assumed, err := m.assumed()
	if err != nil || assumed == nil {
		return out, err
	}
	p, err := plan.Build(plan.Input{
		Intent: result.Intent, Found: []plan.Found{*assumed}, Host: emptyHost{},
		Node: func(string) (plan.Node, error) { return plan.Node{}, nil },
	})
	for _, problem := range p.Problems {
		if problem.Reason.Effect() != runtimes.Noted {
			out.lacking++
		}
	}
	out.Problems = append(out.Problems, p.Problems...)
	return out, err
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
