package cli

import (
	"context"
	"errors"
	"fmt"
	"io/fs"
	"os"
	"path/filepath"
	"slices"
	"strings"

	"github.com/ambit-authz/ambit/internal/app"
	"github.com/ambit-authz/ambit/internal/model"
	"github.com/ambit-authz/ambit/internal/policytest"
)

type testCommand struct {
	Directory     string `arg:"" help:"A directory in the layout of exports, with *.test.yaml files anywhere in it."`
	Only          string `name:"run" placeholder:"TEXT" help:"Only tests whose name has this in it."`
	Verbose       bool   `short:"v" help:"Name the tests that passed, too."`
	Coverage      bool   `help:"List the policies with the branches that no test made hold."`
	JUnit         string `name:"junit" placeholder:"FILE" help:"Write the results as JUnit XML."`
	IgnoreUnknown bool   `help:"As in apply."`
}

// Help tells where the format is described.
func (testCommand) Help() string {
	return "Needs no server. The format of test files is described in docs/policy-tests.md."
}

// Run judges the directory's policies. A failed test, and a directory or test file with errors, is exit code 1.
func (c *testCommand) Run(ctx context.Context, s Streams) error {
	files, err := c.files()
	if err != nil {
		return err
	}
	directory, err := open([]string{c.Directory})
	if err != nil {
		return err
	}
	defer directory.body.Close()
	report, notes, err := app.TestPolicies(ctx, directory.body, c.IgnoreUnknown, files)
	for _, note := range notes {
		if !strings.HasSuffix(note, " ignored") { // files of other kinds, which apply names, may well lie in a repository
			_ = printLine(s.notes(), "note: %s", placedNote(note, directory.name)) // there is nobody left to tell
		}
	}
	var broken model.Errors
	if errors.As(err, &broken) {
		for _, e := range broken {
			if e.Pos.File != "" {
				placed := *e
				placed.Pos.File = directory.name(e.Pos.File)
				e = &placed
			}
			_ = printLine(s.notes(), "%s", e.Text()) // there is nobody left to tell
		}
		err := fmt.Errorf("%s in the directory, nothing was tested", plural(len(broken), "error"))
		if slices.ContainsFunc(broken, func(e *model.Error) bool { return isUnknown(wireError{Message: e.Message}) }) {
			err = &hinted{err, "--ignore-unknown passes over members that are not known"}
		}
		return err
	}
	if err != nil {
		return err
	}
	if err := report.Write(s.text(), c.Verbose, c.Coverage); err != nil {
		return err
	}
	if err := c.writeJUnit(report); err != nil {
		return err
	}
	if n := report.Failed(); n > 0 {
		return fmt.Errorf("%d of %d tests failed", n, len(report.Results))
	}
	return nil
}

// files reads every test file below the directory, all errors at once.
func (c *testCommand) files() ([]*policytest.File, error) {
	var out []*policytest.File
	var errs []error
	chosen := 0
	root, err := os.OpenRoot(c.Directory)
	if err != nil {
		return nil, err
	}
	defer func() { _ = root.Close() }() // only read
	err = fs.WalkDir(root.FS(), ".", func(path string, d fs.DirEntry, err error) error {
		if err != nil || d.IsDir() || !strings.HasSuffix(path, ".test.yaml") {
			return err
		}
		text, err := fs.ReadFile(root.FS(), path)
		if err != nil {
			return err
		}
		f, err := policytest.Parse(filepath.Join(c.Directory, path), text)
		if err != nil {
			errs = append(errs, err)
			return nil
		}
		f.Choose(c.Only)
		chosen += len(f.Tests)
		out = append(out, f)
		return nil
	})
	if err := errors.Join(append(errs, err)...); err != nil {
		return nil, err
	}
	if chosen == 0 {
		return nil, fmt.Errorf("%s: no tests to run; they stand in files named *.test.yaml", c.Directory)
	}
	return out, nil
}

func (c *testCommand) writeJUnit(report *policytest.Report) error {
	if c.JUnit == "" {
		return nil
	}
	f, err := os.Create(c.JUnit)
	if err != nil {
		return err
	}
	return errors.Join(report.WriteJUnit(f), f.Close())
}
