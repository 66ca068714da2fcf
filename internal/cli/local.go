package cli

import (
	"context"
	"fmt"
	"path/filepath"

	"github.com/ambit-authz/ambit/internal/app"
)

// dataDirectory is the directory of the server that a local command works on.
type dataDirectory struct {
	Data string `env:"AMBIT_DATA" default:"ambit-data" help:"Data directory of the server."`
}

type showCredentials struct{ dataDirectory }

// Run lists the credentials.
func (c *showCredentials) Run(ctx context.Context, s Streams) error {
	credentials, err := app.Credentials(ctx, c.Data)
	if err != nil {
		return err
	}
	fmt.Fprintf(s.text(), "%-22s %-8s %-38s %s\n", "ID", "RIGHT", "ENVIRONMENT", "NAME")
	for _, one := range credentials {
		owner := string(one.EnvironmentID)
		if owner == "" {
			owner = "(tenant)"
		}
		fmt.Fprintf(s.text(), "%-22s %-8s %-38s %s\n", one.ClientID, one.Permission, owner, one.Name)
	}
	return nil
}

type resetAdmin struct {
	dataDirectory
	ID string `name:"id" help:"Credential to reset, when the tenant has several."`
}

// Run prints the new secret.
func (c *resetAdmin) Run(ctx context.Context, s Streams) error {
	admin, err := app.ResetAdmin(ctx, c.Data, c.ID)
	if err != nil {
		return err
	}
	_, err = fmt.Fprintf(s.Out, "AMBIT_ADMIN_ID=%s\nAMBIT_ADMIN_SECRET=%s\n", admin.ID, admin.Secret)
	return err
}

type backupCommand struct {
	dataDirectory
	File string `arg:"" help:"File to write; it must not exist."`
}

// Run copies the store. A running server makes the copy itself, so that it needs no pause.
func (c *backupCommand) Run(ctx context.Context, s Streams) error {
	target, err := filepath.Abs(c.File)
	if err != nil {
		return err
	}
	if err := app.Backup(ctx, c.Data, target); err != nil {
		return err
	}
	_, err = fmt.Fprintln(s.Out, "written to", c.File)
	return err
}
