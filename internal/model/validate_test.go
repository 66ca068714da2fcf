package model

import "testing"

// TestEmptyIsNoRepetition: what is left out twice is missing twice, and not also repeated.
func TestEmptyIsNoRepetition(t *testing.T) {
	asset := AssetTemplate{ID: "Records", DisplayName: "Records", Source: SourcePlainID, Attributes: []AssetAttribute{{ID: "ward", Type: String}, {ID: "level", Type: Numeric}}}
	errs, ok := asset.Validate().(Errors) //nolint:errorlint // Validate returns Errors and nothing else
	if !ok || len(errs) != 2 {
		t.Errorf("%d errors: %v", len(errs), errs)
	}
}
