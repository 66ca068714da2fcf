package engine

import (
	"testing"
	"time"

	"pgregory.net/rapid"

	"github.com/ambit-authz/ambit/internal/model"
)

// turningZones change their clocks by an hour or a half, at midnight, by a whole day, or never.
var turningZones = []string{
	"UTC", "Europe/Lisbon", "America/New_York", "Australia/Lord_Howe", "America/Sao_Paulo", "America/St_Johns",
	"Pacific/Apia", "Pacific/Kwajalein", "Asia/Tokyo", "Asia/Kathmandu", "Africa/Casablanca", "America/Havana", model.ZoneRequest,
}

func drawRange(rt *rapid.T, near time.Time) timeRange {
	draw := func(low, high int, label string) int { return rapid.IntRange(low, high).Draw(rt, label) }
	r := timeRange{TimeRange: model.TimeRange{Zone: rapid.SampledFrom(turningZones).Draw(rt, "zone"), Start: -1, End: -1}}
	if r.Zone != model.ZoneRequest {
		var err error
		if r.zone, err = time.LoadLocation(r.Zone); err != nil {
			rt.Fatal(err)
		}
	}
	for d := time.Sunday; d <= time.Saturday; d++ {
		if draw(0, 3, "day") == 0 {
			r.Days = append(r.Days, d)
		}
	}
	if draw(0, 3, "months") == 0 {
		r.Months = []time.Month{near.Month()}
	}
	clock := func(label string) int {
		return max(-1, min(draw(-1, 23, label)*3600+draw(0, 1, label)*1800-draw(0, 1, label), 86399))
	}
	r.Start, r.End = clock("start"), clock("end")
	date := func(label string) (d model.Date) {
		if draw(0, 3, label) == 0 {
			d = dateOf(near.AddDate(0, 0, draw(-3, 3, label)))
		}
		return d
	}
	r.StartDate, r.EndDate = date("from"), date("to")
	return r
}

// E23 to E26, PM-33: a range says the same at every instant before it turns, inclusive ends, windows over midnight and
// clocks that are set forward and back included; and it turns soon enough to be of use.
func TestTurn(t *testing.T) {
	turned, never := 0, 0
	rapid.Check(t, func(rt *rapid.T) {
		for range 20 {
			turns, changes := turnOnce(rt)
			if !turns {
				never++
			} else if changes {
				turned++
			}
		}
	})
	if turned == 0 || never == 0 {
		t.Errorf("%d ranges turned and %d never do: the test says little", turned, never)
	}
}

// T1 to T24 of policy-model.md 5.7 turn where their table says, and not before.
func TestTurnOfTheTable(t *testing.T) {
	lisbon := model.TimeRange{Zone: "Europe/Lisbon", Days: []time.Weekday{time.Monday}, Start: 9 * 3600, End: 17*3600 + 1800}
	night := model.TimeRange{Zone: "UTC", Start: 22 * 3600, End: 6 * 3600}
	for name, k := range map[string]struct {
		r        model.TimeRange
		at, turn string // turn "" = never
	}{
		"T2 before the start":            {lisbon, "2026-07-06T07:59:59Z", "2026-07-06T08:00:00Z"},
		"T3 in the last second":          {lisbon, "2026-07-06T16:30:00.9Z", "2026-07-06T16:30:01Z"},
		"T4 behind it: midnight":         {lisbon, "2026-07-06T16:30:01Z", "2026-07-06T23:00:00Z"},
		"T10 the end of a night":         {night, "2026-07-11T05:00:01.5Z", "2026-07-11T06:00:01Z"},
		"T15 a clock is set":             {lisbon, "2026-03-29T00:30:00Z", "2026-03-29T01:00:00Z"},
		"T22 the last day":               {model.TimeRange{Zone: "UTC", Start: -1, End: -1, EndDate: model.Date{Year: 2026, Month: 6, Day: 30}}, "2026-06-30T23:59:59.999Z", "2026-07-01T00:00:00Z"},
		"long behind the end date":       {model.TimeRange{Zone: "UTC", Start: 3600, End: -1, EndDate: model.Date{Year: 2026, Month: 6, Day: 30}}, "2026-07-03T00:00:00Z", ""},
		"long begun, and without an end": {model.TimeRange{Zone: "UTC", Start: -1, End: -1, StartDate: model.Date{Year: 2026, Month: 6, Day: 30}}, "2026-07-02T00:00:00Z", ""},
		"begun yesterday":                {model.TimeRange{Zone: "UTC", Start: -1, End: -1, StartDate: model.Date{Year: 2026, Month: 6, Day: 30}}, "2026-07-01T12:00:00Z", "2026-07-02T00:00:00Z"},
		"a range that limits nothing":    {model.TimeRange{Zone: "UTC", Start: -1, End: -1}, "2026-07-03T00:00:00Z", ""},
	} {
		zone, err := time.LoadLocation(k.r.Zone)
		if err != nil {
			t.Fatal(err)
		}
		at, err := time.Parse(time.RFC3339Nano, k.at)
		if err != nil {
			t.Fatal(err)
		}
		got := ""
		if turn, ok := (&timeRange{k.r, zone}).turn(at, 0); ok {
			got = turn.Format(time.RFC3339Nano)
		}
		if got != k.turn {
			t.Errorf("%s: turns at %q, want %q", name, got, k.turn)
		}
	}
}

// turnOnce tells whether a random range ever turns, and whether it says something else then.
func turnOnce(rt *rapid.T) (turns, changes bool) {
	year := rapid.SampledFrom([]int{1993, 2011, 2015, 2026, 2040}).Draw(rt, "year")
	now := time.Date(year, 1, 1, 0, 0, rapid.IntRange(0, 366*86400).Draw(rt, "second"), rapid.SampledFrom([]int{0, 1, 5e8, 999_999_999}).Draw(rt, "part"), time.UTC)
	if zone, err := time.LoadLocation(rapid.SampledFrom(turningZones[:12]).Draw(rt, "near a change in")); err != nil {
		rt.Fatal(err)
	} else if _, change := now.In(zone).ZoneBounds(); !change.IsZero() && rapid.Bool().Draw(rt, "at a change") {
		now = change.Add(time.Duration(rapid.IntRange(-90_000, 90_000).Draw(rt, "from the change")) * time.Second).UTC()
	}
	offset := time.Duration(rapid.IntRange(-14*60, 14*60).Draw(rt, "offset")) * time.Minute
	r := drawRange(rt, now)
	turn, ok := r.turn(now, offset)
	end := turn
	if !ok {
		end = now.AddDate(1, 0, 0)
	}
	if !end.After(now) || ok && end.Sub(now) > 25*time.Hour {
		rt.Fatalf("%+v at %s turns at %s", r.TimeRange, now, end)
	}
	met := r.met(now, offset)
	same := func(at time.Time) {
		if at.Before(end) && r.met(at, offset) != met {
			rt.Fatalf("%+v: %v at %s, but not at %s; it was to turn at %s", r.TimeRange, met, now, at, end)
		}
	}
	step := end.Sub(now) / 40
	for at := now; at.Before(end); at = at.Add(step + time.Second) {
		same(at.Add(time.Duration(rapid.Int64Range(0, int64(step)).Draw(rt, "into the step"))))
	}
	for _, before := range []time.Duration{1, time.Second, time.Hour} {
		if at := end.Add(-before); at.After(now) {
			same(at)
		}
	}
	return ok, r.met(end, offset) != met
}
