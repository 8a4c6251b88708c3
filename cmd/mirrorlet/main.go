// Command mirrorlet makes the container runtime of a machine use the registry mirrors that a MirrorConfig names, proves that it does,
// and gives everything back.
package main

import (
	"context"
	"errors"
	"fmt"
	"os"
	"os/signal"
	"syscall"

	"github.com/spf13/cobra"
)

// exitChanges is how plan says that there is something to do.
const exitChanges = 2

// errChanges ends plan with exitChanges; it is no failure and is not printed.
var errChanges = errors.New("there are changes to make")

func main() { os.Exit(run(os.Args[1:])) }

// run is the program: it returns the exit code.
func run(args []string) int {
	ctx, stop := signal.NotifyContext(context.Background(), syscall.SIGINT, syscall.SIGTERM)
	defer stop()
	root := command()
	root.SetArgs(args)
	err := root.ExecuteContext(ctx)
	switch {
	case err == nil:
		return 0
	case errors.Is(err, errChanges):
		return exitChanges
	case errors.Is(err, os.ErrPermission) && os.Geteuid() != 0:
		fmt.Fprintf(os.Stderr, "mirrorlet: %v; run it as root\n", err)
		return 1
	default:
		fmt.Fprintln(os.Stderr, "mirrorlet:", err)
		return 1
	}
}

func command() *cobra.Command {
	root := &cobra.Command{
		Use:   "mirrorlet",
		Short: "Make the container runtime of this machine use your registry mirrors, and prove it",
		Long: `Mirrorlet reads MirrorConfig documents and writes what containerd needs to pull through the mirrors they name. It shows what it
would do before it does it, checks with the runtime's own parser that the files mean what you wrote, and gives back every
byte of yours when it leaves.`,
		Example: `  mirrorlet check -f mirrors.yaml          is the document right? (offline; for a pipeline)
  mirrorlet plan                           what would change on this machine?
  mirrorlet apply                          change it
  mirrorlet explain nginx                  where will the runtime ask for nginx, in which order?
  mirrorlet agent                          keep it so
  mirrorlet uninstall                      give everything back`,
		SilenceUsage: true, SilenceErrors: true,
	}
	root.AddCommand(planCommand(), applyCommand(), explainCommand(), checkCommand(), agentCommand(), uninstallCommand(), versionCommand())
	root.CompletionOptions.HiddenDefaultCmd = true
	return root
}
