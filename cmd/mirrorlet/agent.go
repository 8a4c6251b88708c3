package main

import (
	"time"

	"github.com/spf13/cobra"
)

// patience is how long the folder must have been empty before everything is given back: nobody empties it for less on purpose.
const patience = time.Minute

func agentCommand() *cobra.Command {
	var m machine
	c := &cobra.Command{
		Use:   "agent",
		Short: "Keep this machine as the documents want it",
		Long: `Agent applies the documents at once and again whenever they change: a file that is edited or replaced, or the swap of a mounted
ConfigMap. It puts back what somebody else changes of its files, and stops where another program does so again and again. It
logs one line for each pass that changed something, and none for one that did not. While the documents are not there it waits
for them, and nothing is changed. Stopping it changes nothing: mirrors stay until mirrorlet uninstall.`,
		Args: cobra.NoArgs,
		RunE: func(c *cobra.Command, _ []string) error {
			if _, err := m.assumed(); err != nil {
				return err
			}
			a, leave, err := m.await(c)
			if c.Context().Err() != nil {
				return nil
			}
			if err != nil {
				return err
			}
			defer leave()
			a.Patience = patience
			a.Log.Info("watching", "config", m.config, "version", version())
			return a.Run(c.Context(), m.nudges)
		},
	}
	m.flags(c)
	return c
}
