package model_test

import (
	"errors"
	"testing"

	"github.com/ambit-authz/ambit/internal/model"
)

// TestEmptyIsNoRepetition: what is left out twice is missing twice, and not also repeated.
func TestEmptyIsNoRepetition(t *testing.T) {
	asset := model.AssetTemplate{
		ID: "Records", DisplayName: "Records", Source: model.SourcePlainID,
		Attributes: []model.AssetAttribute{{ID: "ward", Type: model.String}, {ID: "level", Type: model.Numeric}},
	}
	var errs model.Errors
	if !errors.As(asset.Validate(), &errs) || len(errs) != 2 {
		t.Errorf("%d errors: %v", len(errs), errs)
	}
}
