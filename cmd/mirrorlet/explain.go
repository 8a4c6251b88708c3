package main

import (
	"errors"
	"fmt"
	"io"
	"strings"

	"github.com/mirrorlet/mirrorlet/agent"
	"github.com/mirrorlet/mirrorlet/agent/plan"
	"github.com/mirrorlet/mirrorlet/runtimes"
	"github.com/spf13/cobra"
)

func explainCommand() *cobra.Command {
	var m machine
	var o output
	c := &cobra.Command{
		Use:   "explain IMAGE",
		Short: "Show where the runtime will ask for an image, in order, and why",
		Long: `Explain reads the machine as it is now, with the runtime's own parser, and lists the endpoints that the runtime will ask for the
image, in order: the whole address of the manifest, and the line that said so. An endpoint that is asked by digest only has
{digest} in place of the tag. Nothing is asked over the network.`,
		Example: "  mirrorlet explain nginx\n  mirrorlet explain registry.example:5000/app:v1@sha256:… -o json",
		Args: func(_ *cobra.Command, args []string) error {
			if len(args) != 1 {
				return errors.New("name one image, in any form, such as mirrorlet explain nginx")
			}
			return nil
		},
		RunE: func(c *cobra.Command, args []string) error {
			ref, err := runtimes.ParseRef(args[0])
			if err != nil {
				return err
			}
			a, err := m.enterHost(c)
			if err != nil {
				return err
			}
			all, err := a.Explain(c.Context(), ref)
			if err != nil {
				return err
			}
			for _, e := range all {
				if err := o.print(c.OutOrStdout(), e, func(w io.Writer) error { return explanation(w, e) }); err != nil {
					return err
				}
			}
			return nil
		},
	}
	m.rootFlag(c)
	m.runtimeFlag(c)
	o.flag(c)
	return c
}

func explanation(w io.Writer, e agent.Explanation) error {
	var b strings.Builder
	fmt.Fprintf(&b, "%s asks for %s\n", e.Title, e.Image)
	for i, p := range e.Endpoints {
		fmt.Fprintf(&b, "%d. %-8s %s\n", i+1, p.Kind, p.URL)
		if terms := p.Terms(); terms != "" {
			fmt.Fprintf(&b, "   %s\n", terms)
		}
		fmt.Fprintf(&b, "   %s\n", p.From)
	}
	for _, p := range e.Problems {
		fmt.Fprintln(&b, plan.ProblemLine(p))
	}
	_, err := io.WriteString(w, b.String())
	return err
}
