// Package cli is the command line of Ambit. Its commands either run the server (serve, demo), work on a data directory
// (backup, credentials show and reset-admin) or talk to a server over its public HTTP interface (all others).
//
// Start at Main; call.go tells how the commands of the management plane are written. Exit codes: 0 done, 1 refused or
// failed, 2 used wrongly. Results go to standard output, everything else to standard error. Secrets are read from the
// environment or a file, never from the command line, where other users of the machine could see them.
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

	exitDifferent = 1 // of diff
	exitTrouble   = 2 // of diff
)

// Streams are the standard streams of the process.
type Streams struct {
	In       io.Reader
	Out, Err io.Writer
}

// notes is standard error for people.
func (s Streams) notes() io.Writer { return people{s.Err} }

// text is standard output for people. What programs read goes to Out as it is.
func (s Streams) text() io.Writer { return people{s.Out} }

// root is the grammar of the command line, in the order of the help.
type root struct {
	Serve      serveCommand      `cmd:"" group:"run" help:"Run the server."`
	Demo       demoCommand       `cmd:"" group:"run" help:"Run a server with the sample bank, ready to be asked."`
	Backup     backupCommand     `cmd:"" group:"run" help:"Write a consistent copy of the store to a file, while the server runs or not."`
	Version    versionCommand    `cmd:"" group:"run" help:"Print the version, as --version does."`
	Completion completionCommand `cmd:"" group:"run" help:"Print the completion script of a shell."`
	Help       helpCommand       `cmd:"" group:"run" help:"Show the commands, or how to use one."`

	Ask          askCommand          `cmd:"" group:"ask" help:"Show what a user may access." example:"ambit ask mreyes --template Staff --type Accounts"`
	UserList     userListCommand     `cmd:"" group:"ask" help:"Show who may use an asset." example:"ambit user-list Accounts:acc/PT/001251 --action close"`
	Resolution   resolutionCommand   `cmd:"" group:"ask" help:"Show which rows a user may see, as filters or as SQL." example:"ambit resolution ihalvorsen --template Staff --type LedgerRows --sql-dialect postgresql"`
	PolicyList   policyListCommand   `cmd:"" group:"ask" help:"Show which policies concern a user, an asset, or both." example:"ambit policy-list mreyes --template Staff --asset Accounts:acc/PT/001251"`
	Changes      changesCommand      `cmd:"" group:"ask" help:"Show what a user has gained and lost since an earlier answer." example:"ambit changes mreyes --template Staff --since 17@1795262400123"`
	Watch        watchCommand        `cmd:"" group:"ask" help:"Show what a user gains and loses, when it happens." example:"ambit watch mreyes --template Staff"`
	Why          whyCommand          `cmd:"" group:"ask" help:"Show why a user may or may not do something." example:"ambit why --user Staff:mreyes --asset Accounts:acc/PT/001251 --action close"`
	Impact       impactCommand       `cmd:"" group:"ask" help:"Show who would gain or lose what if a change were made, and make none."`
	AuthZENCheck authzenCheckCommand `cmd:"" name:"authzen-check" group:"ask" help:"Run the tests of the AuthZEN 1.0 certification against a server." example:"ambit authzen-check https://localhost:8443 --cacert cert.pem"`

	Apply              applyCommand              `cmd:"" group:"model" help:"Bring an environment to the state of a directory, files of one, or an archive."`
	Export             exportCommand             `cmd:"" group:"model" help:"Write an environment as a directory that apply reads."`
	Diff               diffCommand               `cmd:"" group:"model" help:"Show how a directory differs from an environment: what apply would change."`
	Workspaces         workspacesCommand         `cmd:"" group:"model" help:"Authorization workspaces and their request attributes."`
	Templates          templatesCommand          `cmd:"" group:"model" help:"Asset templates: the types of assets."`
	Applications       applicationsCommand       `cmd:"" group:"model" help:"Applications."`
	Mappers            mappersCommand            `cmd:"" group:"model" help:"API mapper sets."`
	IdentityWorkspaces identityWorkspacesCommand `cmd:"" group:"model" help:"Identity workspaces and their matchers."`
	IdentityTemplates  identityTemplatesCommand  `cmd:"" group:"model" help:"Identity templates, their sources and mapper sets."`
	PAA                paaCommand                `cmd:"" name:"paa" group:"model" help:"PAA groups with their sources and views: stored, not used by decisions."`
	CustomAttributes   customAttributesCommand   `cmd:"" group:"model" help:"Custom attributes of policies."`

	Policies policiesCommand `cmd:"" group:"policies" help:"Policies."`
	Blocks   blocksCommand   `cmd:"" group:"policies" help:"Building blocks: rulesets, conditions and dynamic groups."`
	Test     testCommand     `cmd:"" group:"policies" help:"Run the tests of a directory of policies, without a server."`

	Import     importCommand     `cmd:"" group:"data" help:"Load assets or identities from NDJSON or CSV."`
	Assets     assetsCommand     `cmd:"" group:"data" help:"Assets of Ambit's own catalogue."`
	Identities identitiesCommand `cmd:"" group:"data" help:"Identities of Ambit's own directory."`

	Environments environmentsCommand `cmd:"" group:"administration" help:"Environments."`
	Scopes       scopesCommand       `cmd:"" group:"administration" help:"Scopes, which ask for decisions, and their secrets."`
	SigningKeys  signingKeysCommand  `cmd:"" group:"administration" help:"Keys that sign the answers to scopes."`
	Credentials  credentialsCommand  `cmd:"" group:"administration" help:"API credentials, which manage."`
	Audit        auditCommand        `cmd:"" group:"administration" help:"List who changed what, newest first; --env - lists the events of the tenant." call:"GET /api/1.0/audit-admin/{env}" tenant:"GET /api/1.0/audit-admin" columns:"TIME=timestamp|time ACTION=action TYPE=resourceType ID=resourceId NAME=resourceName BY=userId FROM=clientIp REVISION=revision" example:"ambit audit --since 24h --resource-type ROLE"`
	Reports      reportsCommand      `cmd:"" group:"administration" help:"Reports of policies by an attribute."`
	Caches       cachesCommand       `cmd:"" group:"administration" help:"Drop what is cached."`
	Whoami       whoamiCommand       `cmd:"" group:"administration" help:"Print what the credential is and may do." call:"GET /ambit/1.0/whoami" example:"ambit whoami"`
}

// groups are the parts of the help.
func groups() []kong.Group {
	return []kong.Group{
		{Key: "run", Title: "Run"},
		{Key: "ask", Title: "Ask"},
		{Key: "model", Title: "Model"},
		{Key: "policies", Title: "Policies"},
		{Key: "data", Title: "Data"},
		{Key: "administration", Title: "Administration"},
	}
}

const description = `Ambit answers what a user may do: every asset, every action, in one call.

Exit codes: 0 done, 1 refused or failed, 2 used wrongly; why has 3 for denied.`

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
	parser, err := parserOf(new(root), s, kong.BindTo(ctx, (*context.Context)(nil)))
	if err != nil {
		fmt.Fprintln(s.notes(), "ambit:", err)
		return exitFailed
	}
	if len(args) == 1 && args[0] == "--version" {
		args = []string{"version"} // a flag of the grammar would be one of every command
	}
	command, err := parser.Parse(args)
	if err != nil {
		fmt.Fprintf(s.notes(), "ambit: %v\nRun \"%s --help\".\n", err, lastCommand(err))
		return exitUsage
	}
	if err := command.Run(); err != nil {
		special, isSpecial := errors.AsType[*exitError](err)
		if isSpecial && special.err == nil {
			return special.code
		}
		fmt.Fprintln(s.notes(), "ambit:", err)
		if hint := hintOf(err); hint != "" {
			fmt.Fprintln(s.notes(), "hint:", hint)
		}
		if usage, ok := errors.AsType[*usageError](err); ok {
			fmt.Fprintf(s.notes(), "Run \"ambit %s --help\".\n", usage.command)
			return exitUsage
		}
		if isSpecial {
			return special.code
		}
		return exitFailed
	}
	return exitDone
}

// lastCommand is the longest command in a command line that cannot be parsed: its help shows how it is meant.
func lastCommand(err error) string {
	if failed, ok := errors.AsType[*kong.ParseError](err); ok {
		if node := failed.Context.Selected(); node != nil {
			return node.FullPath()
		}
	}
	return "ambit"
}

// parserOf makes the parser of the grammar. Commands show their example in their help.
func parserOf(grammar *root, s Streams, more ...kong.Option) (*kong.Kong, error) {
	parser, err := kong.New(grammar, append(more,
		kong.Name("ambit"), kong.Description(description), kong.UsageOnError(), kong.Writers(s.Out, s.Err),
		kong.Exit(func(code int) { panic(exited(code)) }), kong.Bind(s), kong.ExplicitGroups(groups()),
		kong.ConfigureHelp(kong.HelpOptions{Compact: true, NoExpandSubcommands: true}),
		kong.Vars{"block_kinds": blockKinds})...)
	if err != nil {
		return nil, err
	}
	walk(parser.Model.Node, nil, func(_ []string, n *kong.Node) {
		if example := n.Tag.Get("example"); example != "" {
			n.Detail = "Example:\n\n    " + example
		}
	})
	return parser, nil
}

type helpCommand struct {
	Command []string `arg:"" optional:"" help:"Command to explain."`
}

// Run prints the help of a command.
func (c *helpCommand) Run(k *kong.Kong) error {
	_, err := k.Parse(append(c.Command, "--help"))
	return err
}

// usageError is a wrong use that the grammar cannot see.
type usageError struct{ command, message string }

// exitError ends a command with an exit code of its own. Without err there is nothing to say.
type exitError struct {
	code int
	err  error
}

func (e *exitError) Error() string {
	if e.err == nil {
		return ""
	}
	return e.err.Error()
}

// Unwrap gives what went wrong.
func (e *exitError) Unwrap() error { return e.err }

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
