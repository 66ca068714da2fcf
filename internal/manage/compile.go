package manage

import (
	"context"

	"github.com/ambit-authz/ambit/internal/engine"
	"github.com/ambit-authz/ambit/internal/model"
	"github.com/ambit-authz/ambit/internal/store"
)

// Compiled is an environment as decisions see it, with the texts it was made of.
type Compiled struct {
	Snapshot *engine.Snapshot
	Policies []model.Policy // by id
	Blocks   []model.Block
}

// Compile reads a whole environment, records included, and compiles it.
func (s *Service) Compile(ctx context.Context, env model.EnvironmentID) (Compiled, error) {
	var out Compiled
	err := s.view(ctx, env, func(tx *store.Tx) (err error) {
		if out.Snapshot, err = readSnapshot(tx); err != nil {
			return err
		}
		if err = each(tx.Policies.FindAll(), func(p model.Policy) { out.Policies = append(out.Policies, p) }); err != nil {
			return err
		}
		return each(tx.Blocks.FindAll(), func(b model.Block) { out.Blocks = append(out.Blocks, b) })
	})
	return out, err
}
