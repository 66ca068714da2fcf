package decide

import (
	"errors"
	"fmt"

	"github.com/ambit-authz/ambit/internal/engine"
	"github.com/ambit-authz/ambit/internal/engine/sqltext"
	"github.com/ambit-authz/ambit/internal/model"
)

// conditions prints the filters of a type as SQL over the table that holds its assets. An attribute is the column that the type names
// for it, else the one of its id. Errors: sqltext.ErrTooLong; one of kind invalid for what the dialect cannot say.
func conditions(d sqltext.Dialect, def *model.AssetTemplate, filters []engine.Filter, room *int) ([]sqltext.Condition, error) {
	column := func(id model.AttributeID) (string, error) { return columnOf(def, id) }
	out := make([]sqltext.Condition, len(filters))
	for i := range filters {
		var err error
		if out[i], err = sqltext.Print(d, &filters[i], column, room); errors.Is(err, sqltext.ErrTooLong) {
			return nil, err
		}
		if err != nil {
			return nil, model.Invalidf("sqlDialect: action %s of %s: %v", filters[i].Action.Value, def.ID, err)
		}
	}
	return out, nil
}

func columnOf(def *model.AssetTemplate, id model.AttributeID) (string, error) {
	switch a, ok := def.Attribute(id); {
	case !ok:
		return "", fmt.Errorf("attribute %s is not declared", id)
	case a.IsMultiValue:
		return "", fmt.Errorf("attribute %s is multi-valued, which a column cannot be", id)
	case a.SourceAttribute != "":
		return a.SourceAttribute, nil
	}
	return string(id), nil
}
