package cli

import (
	"context"
	"fmt"
	"io"
	"log/slog"
	"os"

	"github.com/ambit-authz/ambit/internal/app"
	"github.com/ambit-authz/ambit/internal/config"
)

type serveCommand struct {
	Config      string            `short:"c" type:"existingfile" help:"YAML file with settings."`
	Listen      string            `help:"Address to listen on, such as :8010."`
	Data        string            `help:"Directory of the store and the keys."`
	LogLevel    string            `help:"debug, info, warn or error."`
	Set         map[string]string `placeholder:"KEY=VALUE" help:"Any setting of the file by its key; may be repeated."`
	PrintConfig bool              `help:"Print the settings that would be used, secrets hidden, and end."`
}

// Run serves until SIGINT or SIGTERM.
func (c *serveCommand) Run(ctx context.Context, s Streams) error {
	flags := map[string]string{}
	for key, value := range c.Set {
		flags[key] = value
	}
	for key, value := range map[string]string{"listen": c.Listen, "data": c.Data, "log.level": c.LogLevel} {
		if value != "" {
			flags[key] = value
		}
	}
	settings, err := config.Load(config.Sources{File: c.Config, Environ: os.Environ(), Flags: flags})
	if err != nil {
		return err
	}
	if c.PrintConfig {
		_, err := io.WriteString(s.Out, settings.String())
		return err
	}
	log, err := logger(s.Err, settings.Log.Level)
	if err != nil {
		return err
	}
	a, err := app.Open(ctx, app.Options{Config: settings, Log: log, Version: Version})
	if err != nil {
		return err
	}
	if made := a.FirstAdmin(); made != nil {
		fmt.Fprintf(s.Err, "The first admin credential was made. It is shown this once:\n  AMBIT_ADMIN_ID=%s\n  AMBIT_ADMIN_SECRET=%s\n", made.ID, made.Secret)
	}
	return a.Run(ctx)
}

func logger(out io.Writer, level string) (*slog.Logger, error) {
	var l slog.Level
	if err := l.UnmarshalText([]byte(level)); err != nil {
		return nil, fmt.Errorf("log.level: %w", err)
	}
	return slog.New(slog.NewJSONHandler(out, &slog.HandlerOptions{Level: l})), nil
}
