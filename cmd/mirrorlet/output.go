package main

import (
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"strings"

	"github.com/mirrorlet/mirrorlet/agent"
	"github.com/mirrorlet/mirrorlet/agent/config"
	"github.com/mirrorlet/mirrorlet/agent/plan"
	"github.com/mirrorlet/mirrorlet/runtimes"
	"github.com/spf13/cobra"
)

// output is how a verb prints.
type output string

func (o *output) flag(c *cobra.Command) {
	c.Flags().StringVarP((*string)(o), "output", "o", "text", "how to print: text or json")
	c.PreRunE = func(*cobra.Command, []string) error {
		if *o != "text" && *o != "json" {
			return fmt.Errorf("--output %q is unknown; it is text or json", *o)
		}
		return nil
	}
}

// print writes the value as JSON, or the text.
func (o output) print(w io.Writer, value any, text func(io.Writer) error) error {
	if o != "json" {
		return text(w)
	}
	enc := json.NewEncoder(w)
	enc.SetEscapeHTML(false)
	enc.SetIndent("", "  ")
	return enc.Encode(value)
}

// The JSON of plan, apply and uninstall.
type (
	planJSON struct {
		State    agent.State        `json:"state,omitempty"`
		Runtimes []runtimeJSON      `json:"runtimes"`
		Changes  []changeJSON       `json:"changes"`
		Problems []runtimes.Problem `json:"problems"`
		Errors   []string           `json:"errors"`
		// Elsewhere are documents that are for other nodes.
		Elsewhere []string `json:"elsewhere,omitempty"`
	}
	runtimeJSON struct {
		Name    string   `json:"name"`
		Version string   `json:"version"`
		Config  string   `json:"config"`
		Target  string   `json:"target"`
		Reads   bool     `json:"reads"`
		Notes   []string `json:"notes,omitempty"`
	}
	changeJSON struct {
		Verb     string `json:"verb"`
		Path     string `json:"path"`
		Registry string `json:"registry,omitempty"`
		From     string `json:"from"`
		Action   string `json:"action"`
		Diff     string `json:"diff"`
	}
)

func toJSON(r agent.Report) planJSON {
	out := planJSON{
		State: r.State, Runtimes: []runtimeJSON{}, Changes: []changeJSON{}, Problems: append([]runtimes.Problem{}, r.Problems...),
		Errors: []string{}, Elsewhere: r.Elsewhere,
	}
	for _, f := range r.Found {
		out.Runtimes = append(out.Runtimes, runtimeJSON{f.Facts.Runtime, f.Facts.Version, f.Facts.Config, f.Facts.Target, f.Facts.Reads(), f.Facts.Notes})
	}
	for _, c := range r.Visible() {
		out.Changes = append(out.Changes, changeJSON{c.Verb(), c.Path, c.Registry, c.From, c.Action.String(), c.UnifiedDiff()})
	}
	for _, e := range r.Errors {
		out.Errors = append(out.Errors, e.Error())
	}
	return out
}

// text prints a report for a person: what is wrong in the documents, which of them are not for this machine, and the plan.
func text(r agent.Report, o plan.TextOptions) func(io.Writer) error {
	return func(w io.Writer) error {
		for _, e := range r.Errors {
			fmt.Fprintln(w, "!", e)
		}
		for _, e := range r.Elsewhere {
			fmt.Fprintln(w, "i", e)
		}
		return r.WriteText(w, o)
	}
}

// wrong is the error of a verb that did its work, while entries of the documents are wrong.
func wrong(errs []config.Error) error {
	entries := map[string]bool{}
	for _, e := range errs {
		entries[e.Registry+" "+e.Host] = true
	}
	switch len(entries) {
	case 0:
		return nil
	case 1:
		return errors.New("1 entry of the documents is wrong; what this machine has for it stays as it is")
	default:
		return fmt.Errorf("%d entries of the documents are wrong; what this machine has for them stays as it is", len(entries))
	}
}

// count is a number and a noun: 1 registry, 2 registries, 2 wishes.
func count(n int, noun string) string {
	switch {
	case n == 1:
		return "1 " + noun
	case strings.HasSuffix(noun, "y"):
		noun = strings.TrimSuffix(noun, "y") + "ies"
	case strings.HasSuffix(noun, "sh"):
		noun += "es"
	default:
		noun += "s"
	}
	return fmt.Sprintf("%d %s", n, noun)
}
