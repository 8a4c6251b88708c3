package main

import (
	"github.com/mirrorlet/mirrorlet/agent"
	"github.com/mirrorlet/mirrorlet/agent/plan"
	"github.com/spf13/cobra"
)

func planCommand() *cobra.Command {
	var m machine
	var o output
	var t plan.TextOptions
	c := &cobra.Command{
		Use:   "plan",
		Short: "Show what would change, and change nothing",
		Long: `Plan shows which runtimes were found and how they are configured, each file that would change, and what cannot be as the
documents want it:

  + ~ -   a file that would be added, changed, removed
  !       not applied, with the reason and the page that explains it
  =       kept as somebody else made it
  i       applied, and worth knowing

It exits with 0 when there is nothing to do, 2 when there are changes to make, and 1 on an error.`,
		Example: "  mirrorlet plan --config ./mirrors --diff\n  mirrorlet plan --root ./image-root --runtime containerd@2.4.2",
		Args:    cobra.NoArgs,
		RunE: func(c *cobra.Command, _ []string) error {
			a, leave, err := m.enter(c)
			if err != nil {
				return err
			}
			defer leave()
			report, err := a.Plan(c.Context())
			if err != nil {
				return err
			}
			if err := o.print(c.OutOrStdout(), toJSON(report), text(report, t)); err != nil {
				return err
			}
			if err := wrong(report.Errors); err != nil {
				return err
			}
			return changes(report)
		},
	}
	m.flags(c)
	o.flag(c)
	c.Flags().BoolVarP(&t.Diff, "diff", "d", false, "show the content of each change (of secrets only a digest)")
	return c
}

func changes(r agent.Report) error {
	if r.IsEmpty() {
		return nil
	}
	return errChanges
}
