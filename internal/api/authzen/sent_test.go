package authzen

import (
	"strings"
	"testing"
	"time"

	"github.com/ambit-authz/ambit/internal/model"
	"github.com/ambit-authz/ambit/internal/store"
)

// az-12: what a request says of an asset counts only where its type takes it.
func TestSentAttributesThatDoNotCount(t *testing.T) {
	w := newWorld(t)
	const write = `{"subject":{"type":"user","id":"bob"},"action":{"name":"write"},"resource":{"type":"record","id":"record-1","properties":{"status":"archived"}}}`
	const find = `{"subject":{"type":"user","id":"bob"},"action":{"name":"write"},"resource":{"type":"record","properties":{"status":"archived"}}}`
	w.wants(pathEvaluation, write, `{"decision":true}`)
	w.wants(pathResources, find, `{"results":[{"type":"record","id":"record-1"},{"type":"record","id":"record-2"}]}`)
	w.update(func(tx *store.Tx) error {
		template, err := tx.AssetTemplates.Find("record")
		if err != nil {
			return err
		}
		template.IsAttributeSentInRequest = false
		_, err = tx.AssetTemplates.Put(template)
		return err
	})
	w.wants(pathEvaluation, write, `{"decision":false}`)
	w.wants(pathResources, find, `{"results":[{"type":"record","id":"record-2"}]}`)
}

// onDay lets everybody read on one day of the week, in a zone.
func (w *world) onDay(zone string, day time.Weekday) {
	w.t.Helper()
	w.update(func(tx *store.Tx) error {
		p, err := tx.Policies.Find("cert-read")
		if err != nil {
			return err
		}
		c := model.Block{ID: "c-day", Kind: model.KindCondition, WorkspaceID: p.WorkspaceID, Name: "Day", Ranges: []model.TimeRange{{Zone: zone, Days: []time.Weekday{day}, Start: -1, End: -1}}}
		if _, err := tx.Blocks.Put(c); err != nil {
			return err
		}
		p.Conditions = []model.BlockID{c.ID}
		_, err = tx.Policies.Put(p)
		return err
	})
}

// authzen.md 11.3: the zone of the request is the offset of the context, and UTC without one. With 14 hours it is Thursday already.
func TestContextZone(t *testing.T) {
	w := newWorld(t)
	w.onDay(model.ZoneRequest, time.Thursday)
	for context, want := range map[string]string{
		`{}`: no, `{"timeZoneOffset":14}`: yes, `{"timeZoneOffset":11.9}`: no, `{"timeZoneOffset":12}`: yes, `{"timeZoneOffset":-14}`: no,
		`{"time":"2026-03-05T02:00:00+14:00"}`: no,
	} {
		w.wants(pathEvaluation, strings.TrimSuffix(aliceReads, "}")+`,"context":`+context+`}`, want)
		found := `{"results":[]}`
		if want == yes {
			found = `{"results":[{"type":"user","id":"alice"},{"type":"user","id":"bob"}]}`
		}
		w.wants(pathSubjects, strings.TrimSuffix(aliceReads, "}")+`,"context":`+context+`}`, found)
	}
}

// az-13: whatever the context says of the time, conditions read the clock of the server, which stands at noon of a Wednesday.
func TestContextTimeMovesNoClock(t *testing.T) {
	for day, want := range map[time.Weekday]string{time.Wednesday: `{"decision":true}`, time.Thursday: `{"decision":false}`} {
		w := newWorld(t)
		w.onDay("UTC", day)
		for _, said := range []string{"", "1999-01-01T00:00Z", "2026-03-04T12:00Z", "2026-03-05T12:00:00Z", "2099-01-01T00:00:00+01:00", "noon"} {
			body := strings.TrimSuffix(aliceReads, "}") + `,"context":{"time":"` + said + `"}}`
			w.wants(pathEvaluation, body, want)
		}
	}
}
