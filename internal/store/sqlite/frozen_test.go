package sqlite

import (
	"bufio"
	"errors"
	"os"
	"path/filepath"
	"testing"
	"time"

	"github.com/go-json-experiment/json"
	"github.com/go-json-experiment/json/jsontext"

	"github.com/ambit-authz/ambit/internal/model"
	"github.com/ambit-authz/ambit/internal/store"
)

// TestFrozenObjects reads objects of every collection, with every field set, as the first version stored them, and puts
// them back: each must be read whole and be found unchanged. When it fails, a name or a form in package model has
// changed and the databases in use need a migration; adding a field does not make it fail.
func TestFrozenObjects(t *testing.T) {
	s, err := Open(t.Context(), filepath.Join(t.TempDir(), "ambit.db"), Options{})
	if err != nil {
		t.Fatal(err)
	}
	defer func() {
		if err := s.Close(); err != nil {
			t.Error(err)
		}
	}()
	file, err := os.Open("testdata/objects.jsonl")
	if err != nil {
		t.Fatal(err)
	}
	defer file.Close() //nolint:errcheck // only read
	conn := <-s.writer
	count := 0
	for lines := bufio.NewScanner(file); lines.Scan(); count++ {
		var line struct {
			Environment, Collection, Owner, Key string
			Body                                jsontext.Value
		}
		if err := json.Unmarshal(lines.Bytes(), &line); err != nil {
			t.Fatal(err)
		}
		tr := &transaction{conn: conn, ctx: t.Context()}
		if err := tr.exec("put", `INSERT INTO object (environment, collection, owner, key, body, created_at, updated_at,
			revision) VALUES (?, ?, ?, ?, ?, 0, 0, 1)`, nil, line.Environment, line.Collection, line.Owner, line.Key,
			[]byte(line.Body)); err != nil {
			t.Fatal(err)
		}
	}
	s.writer <- conn
	if count != 21 {
		t.Errorf("%d objects, want one of each collection", count)
	}
	commit, err := s.Update(t.Context(), store.Write{Environment: benchEnvironment, Time: time.Unix(0, 0)}, putBack)
	if err != nil || commit.Changed {
		t.Errorf("%+v, %v", commit, err)
	}
}

func putBack(tx *store.Tx) error {
	return errors.Join(
		putAll[model.EnvironmentID](tx.Environments), putAll[model.ClientID](tx.Credentials),
		putAll[string](tx.Revocations), putAll[string](tx.Reports),
		putAll[string](tx.PAAGroups), putAll[store.Key](tx.PAASources), putAll[string](tx.PAAViews), putAll[store.Key](tx.SigningKeys),
		putAll[model.WorkspaceID](tx.AuthorizationWorkspaces), putAll[model.WorkspaceID](tx.IdentityWorkspaces),
		putAll[model.TemplateID](tx.IdentityTemplates), putAll[store.Key](tx.IdentitySources),
		putAll[store.Key](tx.MapperSets), putAll[model.TemplateID](tx.AssetTemplates),
		putAll[model.ApplicationID](tx.Applications), putAll[store.Key](tx.RequestAttributes),
		putAll[model.ApplicationID](tx.APIMapperSets),
		putAll[string](tx.CustomAttributes), putAll[model.BlockID](tx.Blocks), putAll[model.PolicyID](tx.Policies),
		putAll[model.ClientID](tx.Scopes))
}

func putAll[K comparable, V any](c store.Collection[K, V]) error {
	found := errors.New("nothing found")
	for v, err := range c.FindAll() {
		if err != nil {
			return err
		}
		result, err := c.Put(v)
		if err != nil {
			return err
		}
		if found = nil; result != store.Unchanged {
			return errors.New("put back, an object is " + result.String())
		}
	}
	return found
}

// TestFrozenNumbers freezes the numbers that stand for sides and operators in stored blocks.
func TestFrozenNumbers(t *testing.T) {
	operators := []model.Operator{
		model.OpEqual, model.OpNotEqual, model.OpIn, model.OpNotIn, model.OpContains,
		model.OpStartsWith, model.OpEndsWith, model.OpLess, model.OpLessEqual, model.OpGreater, model.OpGreaterEqual,
	}
	for i, o := range operators {
		if int(o) != i+1 {
			t.Errorf("operator %s has number %d, is stored as %d", o, o, i+1)
		}
	}
	for i, s := range []model.Side{model.SideAsset, model.SideIdentity, model.SideRequest} {
		if int(s) != i+1 {
			t.Errorf("side %s has number %d, is stored as %d", s, s, i+1)
		}
	}
}
