package sqlite

import (
	"fmt"
	"path/filepath"
	"testing"
	"time"

	"github.com/ambit-authz/ambit/internal/model"
	"github.com/ambit-authz/ambit/internal/store"
)

const benchEnvironment model.EnvironmentID = "5b0c0000-0000-4000-8000-000000000001"

// BenchmarkMillion imports a million assets of six attributes in one transaction and reads all of them back.
func BenchmarkMillion(b *testing.B) {
	const count = 1_000_000
	for range b.N {
		s, err := Open(b.Context(), filepath.Join(b.TempDir(), "ambit.db"), Options{})
		if err != nil {
			b.Fatal(err)
		}
		w := store.Write{Environment: benchEnvironment, Time: time.Unix(1783324800, 0)}
		start := time.Now()
		commit, err := s.Update(b.Context(), w, func(tx *store.Tx) error {
			if _, err := tx.Environments.Put(model.Environment{ID: w.Environment}); err != nil {
				return err
			}
			assets := tx.Assets("account")
			for i := range count {
				if _, err := assets.Put(benchAsset(i)); err != nil {
					return err
				}
			}
			return nil
		})
		if err != nil || len(commit.Changes) != 2 || len(commit.Changes[1].Positions) != count {
			b.Fatal(commit.Sequence, err)
		}
		b.ReportMetric(time.Since(start).Seconds(), "s/import")
		start = time.Now()
		err = s.View(b.Context(), w.Environment, func(tx *store.Tx) error {
			n := 0
			for _, err := range tx.Assets("account").After(0) {
				if err != nil {
					return err
				}
				n++
			}
			if n != count {
				b.Fatal(n)
			}
			return nil
		})
		if err != nil {
			b.Fatal(err)
		}
		b.ReportMetric(time.Since(start).Seconds(), "s/scan")
		if err := s.Close(); err != nil {
			b.Fatal(err)
		}
	}
}

func benchAsset(i int) model.Asset {
	h := uint32(i) * 2654435761
	return model.Asset{
		Path: fmt.Sprintf("/account/%08x", h), Name: fmt.Sprintf("Account %d", i),
		Attributes: model.Attributes{
			"owner":   {fmt.Sprintf("user%05d", h%50_000)},
			"region":  {[]string{"north", "south", "east", "west"}[h>>8%4]},
			"balance": {fmt.Sprintf("%d.%02d", h>>12, h%100)},
			"tags":    {fmt.Sprintf("t%d", h>>3%40), fmt.Sprintf("t%d", h>>9%40)},
			"branch":  {fmt.Sprintf("b%d", h>>5%1000)},
			"status":  {[]string{"open", "closed", "frozen"}[h%3]},
		},
	}
}
