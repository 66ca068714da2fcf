package runtime

import (
	"archive/zip"
	"bytes"
	"context"
	"log/slog"
	"path/filepath"
	"testing"
	"time"

	"github.com/ambit-authz/ambit/examples/bank"
	"github.com/ambit-authz/ambit/internal/manage"
	"github.com/ambit-authz/ambit/internal/manage/archive"
	"github.com/ambit-authz/ambit/internal/model"
	"github.com/ambit-authz/ambit/internal/store"
	"github.com/ambit-authz/ambit/internal/token"
)

// newBank is the sample bank, its directory applied as `ambit apply` would, with fewer records.
func newBank(t *testing.T, assets, people int) *stack {
	t.Helper()
	s := newStack(t, "branch-portal", "document-archive", "general-ledger")
	applyBank(s)
	s.write(stackEnvironment, func(tx *store.Tx) error {
		for _, id := range bank.AssetTemplates() {
			all, err := bank.Assets(id, bank.Seed, assets)
			if err != nil {
				return err
			}
			for a := range all {
				if _, err := tx.Assets(id).Put(a); err != nil {
					return err
				}
			}
		}
		for _, id := range bank.IdentityTemplates() {
			all, err := bank.Identities(id, bank.Seed, people)
			if err != nil {
				return err
			}
			for i := range all {
				if _, err := tx.Identities(id).Put(i); err != nil {
					return err
				}
			}
		}
		return nil
	})
	return s
}

// manage runs fn on the management plane over the stack's store, as an admin, and lets the directory follow.
func (s *stack) manage(fn func(*manage.Service, manage.Call)) {
	s.t.Helper()
	key, err := token.ReadOrMakeSigningKey(filepath.Join(s.t.TempDir(), "signing.pem"))
	check(s.t, err)
	tokens, err := token.NewTokens(token.TokenOptions{Key: key, Issuer: "https://ambit.example.org", Now: s.clock})
	check(s.t, err)
	service := manage.New(manage.Options{Store: s.store, Secrets: s.secrets, Tokens: tokens, Now: s.clock, Log: slog.New(slog.DiscardHandler)})
	defer service.Close()
	fn(service, manage.Call{Caller: manage.Caller{ClientID: "TESTER", Permission: model.PermissionAdmin}, ClientIP: "192.0.2.1", RequestID: "stack"})
	check(s.t, s.directory.CatchUp(context.Background()))
}

func applyBank(s *stack) {
	s.t.Helper()
	var packed bytes.Buffer
	w := zip.NewWriter(&packed)
	check(s.t, w.AddFS(bank.Files()))
	check(s.t, w.Close())
	archive, err := archive.Open(bytes.NewReader(packed.Bytes()), int64(packed.Len()), archive.Zip, s.t.TempDir())
	check(s.t, err)
	defer func() { check(s.t, archive.Close()) }()
	s.manage(func(service *manage.Service, call manage.Call) {
		report, err := service.Apply(s.t.Context(), call, stackEnvironment, archive, manage.ApplyOptions{})
		if err != nil || report.Refused || len(report.Errors) > 0 {
			s.t.Fatalf("apply: %v %+v", err, report.Errors)
		}
	})
}

// TestRandomRequestsToTheBank: RT-58, RT-60, RT-64 to RT-78: random questions on the sample bank, whose policies
// came as Structured Rego, on a weekday's noon and at night.
func TestRandomRequestsToTheBank(t *testing.T) {
	s := newBank(t, 1200, 120)
	texts := []string{"Porto-07", "Lagos-03", "Abuja-01", "Accra-02", "personal", "frozen", "contract", "AC-2026-017", "3", "web", "desk"}
	types := append([]model.TemplateID{"None"}, bank.AssetTemplates()...)
	compare(t, s, types, bank.IdentityTemplates()[:1], texts, 14)
	night := noon.Add(-11 * time.Hour)
	s.now.Store(&night)
	s.restart()
	compare(t, s, types, bank.IdentityTemplates(), texts, 5) // few policies know devices
}
