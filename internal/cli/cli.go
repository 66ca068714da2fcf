// Package cli is the command line of Ambit. Its commands either run the server (serve, demo), work on a data directory
// (credentials, backup) or talk to a server over its public HTTP interface (apply, import, ask).
//
// Start at Main. Exit codes: 0 done, 1 refused or failed, 2 used wrongly. Results go to standard output, everything
// else to standard error. Secrets are read from the environment or a file, never from the command line, where other
// users of the machine could see them.
package cli

import (
	"context"
	"errors"
	"fmt"
	"io"
	"os"
	"os/signal"
	"runtime"
	"runtime/debug"
	"syscall"

	"github.com/alecthomas/kong"
)

// Version is the version of the program, set when it is linked.
var Version = "dev" //nolint:gochecknoglobals // the linker can set nothing else

// Exit codes.
const (
	exitDone   = 0
	exitFailed = 1
	exitUsage  = 2
)

// Streams are the standard streams of the process.
type Streams struct {
	In       io.Reader
	Out, Err io.Writer
}

// root is the grammar of the command line.
type root struct {
	Serve       serveCommand       `cmd:"" help:"Run the server."`
	Demo        demoCommand        `cmd:"" help:"Run a server with the sample bank, ready to be asked."`
	Apply       applyCommand       `cmd:"" help:"Bring an environment to the state of a directory, files of one, or an archive."`
	Impact      impactCommand      `cmd:"" help:"Show who would gain or lose what if a change were made, and make none."`
	Test        testCommand        `cmd:"" help:"Run the tests of a directory of policies, without a server."`
	Import      importCommand      `cmd:"" help:"Load assets or identities from NDJSON or CSV."`
	Ask         askCommand         `cmd:"" help:"Show what a user may access."`
	Credentials credentialsCommand `cmd:"" help:"Look at or reset the admin credential of a data directory."`
	Backup      backupCommand      `cmd:"" help:"Write a consistent copy of the store to a file, while the server runs or not."`
	Version     versionCommand     `cmd:"" help:"Print the version."`
	Completion  completionCommand  `cmd:"" help:"Print the completion script of a shell."`
}

const description = `Ambit answers what a user may do: every asset, every action, in one call.

Exit codes: 0 done, 1 refused or failed, 2 used wrongly.`

// exited carries an exit code through kong, which goes on after it printed help.
type exited int

// Main runs the command line and returns the exit code. SIGINT and SIGTERM end a command cleanly.
func Main(args []string, s Streams) (code int) {
	defer func() {
		if e, ok := recover().(exited); ok {
			code = int(e)
		}
	}()
	ctx, stop := signal.NotifyContext(context.Background(), os.Interrupt, syscall.SIGTERM)
	defer stop()
	var grammar root
	parser, err := kong.New(&grammar,
		kong.Name("ambit"), kong.Description(description), kong.UsageOnError(), kong.Writers(s.Out, s.Err),
		kong.Exit(func(code int) { panic(exited(code)) }),
		kong.ConfigureHelp(kong.HelpOptions{Compact: true}),
		kong.BindTo(ctx, (*context.Context)(nil)), kong.Bind(s))
	if err != nil {
		fmt.Fprintln(s.Err, "ambit:", err)
		return exitFailed
	}
	command, err := parser.Parse(args)
	if err != nil {
		fmt.Fprintf(s.Err, "ambit: %v\nRun \"ambit --help\" for the commands, \"ambit <command> --help\" for one of them.\n", err)
		return exitUsage
	}
	if err := command.Run(); err != nil {
		fmt.Fprintln(s.Err, "ambit:", err)
		if usage, ok := errors.AsType[*usageError](err); ok {
			fmt.Fprintf(s.Err, "Run \"ambit %s --help\".\n", usage.command)
			return exitUsage
		}
		return exitFailed
	}
	return exitDone
}

// usageError is a wrong use that the grammar cannot see.
type usageError struct{ command, message string }

func (e *usageError) Error() string { return e.message }

type versionCommand struct{}

// Run prints the version, the Go version and the platform.
func (versionCommand) Run(s Streams) error {
	goVersion := ""
	if info, ok := debug.ReadBuildInfo(); ok {
		goVersion = info.GoVersion
	}
	_, err := fmt.Fprintf(s.Out, "ambit %s %s %s/%s\n", Version, goVersion, runtime.GOOS, runtime.GOARCH)
	return err
}
