package main

import (
	"errors"
	"fmt"
	"log/slog"

	"github.com/mirrorlet/mirrorlet/agent"
	"github.com/mirrorlet/mirrorlet/agent/plan"
	"github.com/mirrorlet/mirrorlet/runtimes"
	"github.com/spf13/cobra"
)

func applyCommand() *cobra.Command {
	var m machine
	var o output
	var t plan.TextOptions
	c := &cobra.Command{
		Use:   "apply",
		Short: "Make the changes that plan shows",
		Long: `Apply makes the changes that plan shows: all of them or none. What was there before is kept under /var/lib/mirrorlet, so that
uninstall can give it back. Applying twice changes nothing the second time. It exits with 0, or with 1 when something went
wrong or an entry of the documents is wrong; the others are applied all the same.`,
		Example: "  mirrorlet apply --config ./mirrors",
		Args:    cobra.NoArgs,
		RunE: func(c *cobra.Command, _ []string) error {
			a, leave, err := m.enter(c)
			if err != nil {
				return err
			}
			defer leave()
			if err := a.Host.Lock(c.Context(), false); err != nil {
				return err
			}
			defer a.Host.Unlock()
			a.Log, t.Done = slog.New(slog.DiscardHandler), true
			report, err := a.Sync(c.Context())
			if err != nil {
				return err
			}
			if report.State == agent.Paused {
				return fmt.Errorf("this machine is paused: nothing was changed, as %s asks", report.By)
			}
			if err := o.print(c.OutOrStdout(), toJSON(report), text(report, t)); err != nil {
				return err
			}
			return errors.Join(wrong(report.Errors), unwritten(report))
		},
	}
	m.flags(c)
	o.flag(c)
	c.Flags().BoolVarP(&t.Diff, "diff", "d", false, "show the content of each change (of secrets only a digest)")
	return c
}

// unwritten is the error of an apply that this machine did not let do all of its work.
func unwritten(r agent.Report) error {
	n := 0
	for _, p := range r.Problems {
		if p.Reason == runtimes.Unwritable {
			n++
		}
	}
	if n == 0 {
		return nil
	}
	return fmt.Errorf("%s could not be written; what this machine has for it stays as it is", count(n, "registry"))
}

func uninstallCommand() *cobra.Command {
	var m machine
	var o output
	c := &cobra.Command{
		Use:   "uninstall",
		Short: "Give everything back as it was",
		Long: `Uninstall puts back every file as it was before Mirrorlet: bytes, mode, owner, symbolic links, and folders that were not there. It
needs nothing but what is remembered under /var/lib/mirrorlet, and removes that as well. A file of ours that somebody has
changed since stays as it is; what was there before it is then put beside it, and you are told.`,
		Example: "  mirrorlet uninstall",
		Args:    cobra.NoArgs,
		RunE: func(c *cobra.Command, _ []string) error {
			a, err := m.enterHost(c)
			if err != nil {
				return err
			}
			if err := a.Host.Lock(c.Context(), false); err != nil {
				return err
			}
			defer a.Host.Unlock()
			p, err := a.Leave(c.Context())
			if err != nil {
				return err
			}
			report := agent.Report{Plan: p}
			return o.print(c.OutOrStdout(), toJSON(report), text(report, plan.TextOptions{Done: true}))
		},
	}
	m.rootFlag(c)
	o.flag(c)
	return c
}
