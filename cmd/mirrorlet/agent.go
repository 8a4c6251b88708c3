package main

import (
	"context"
	"errors"
	"time"

	"github.com/spf13/cobra"
)

// patience is how long the folder must have been empty before everything is given back: nobody empties it for less on purpose.
const patience = time.Minute

func agentCommand() *cobra.Command {
	var m machine
	var s service
	c := &cobra.Command{
		Use:   "agent",
		Short: "Keep this machine as the documents want it",
		Long: `Agent applies the documents at once and again whenever they change: a file that is edited or replaced, the swap of a mounted
ConfigMap, or with --cluster a MirrorConfig of the API server. It has the runtime prove that it reads what is written. It puts
back what somebody else changes of its files, and stops where another program does so again and again. It logs one line for
each pass that changed something, and none for one that did not. While the documents are not there it waits for them, and
nothing is changed. Stopping it changes nothing: mirrors stay until mirrorlet uninstall, or in a cluster until the node is no
longer enrolled.`,
		Example: `  mirrorlet agent --config ./mirrors
  mirrorlet agent --cluster --root=/host       as the DaemonSet runs it`,
		Args: cobra.NoArgs,
		RunE: func(c *cobra.Command, _ []string) error {
			if _, err := m.assumed(); err != nil {
				return err
			}
			if err := s.check(); err != nil {
				return err
			}
			ctx, stop := context.WithCancelCause(c.Context())
			defer stop(nil)
			a, leave, err := s.enter(ctx, c, &m)
			if c.Context().Err() != nil {
				return nil
			}
			if err != nil {
				return err
			}
			defer leave()
			a.Patience = patience
			if err := s.serve(ctx, a, stop); err != nil {
				return err
			}
			if err := a.Run(ctx, m.nudges); err != nil {
				return err
			}
			return ended(ctx)
		},
	}
	m.flags(c)
	s.flags(c)
	return c
}

// ended is why the agent ended, unless somebody asked it to.
func ended(ctx context.Context) error {
	if err := context.Cause(ctx); !errors.Is(err, context.Canceled) {
		return err
	}
	return nil
}
