package manage_test

import (
	"fmt"
	"testing"

	"github.com/ambit-authz/ambit/internal/manage"
	"github.com/ambit-authz/ambit/internal/model"
	"github.com/ambit-authz/ambit/internal/store"
)

// reliability.md 4, disk full: a full database is told as a full disk is.
func TestStoreFull(t *testing.T) {
	wantError(t, manage.StoreError("test", fmt.Errorf("put: %w", store.ErrFull)), model.KindUnavailable, "", "no disk space left")
}
