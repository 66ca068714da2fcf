package rego

import (
	"errors"
	"slices"
	"strings"
	"time"

	"github.com/ambit-authz/ambit/internal/model"
)

var errNoZone = errors.New("no IANA zone")

// loadZone finds an IANA zone. What only a host knows (Local, localtime) is no zone (E23).
func loadZone(name string) (*time.Location, error) {
	host := name == "Local" || name == "localtime" || name == "posixrules" ||
		strings.HasPrefix(name, "posix/") || strings.HasPrefix(name, "right/")
	if name == "" || host {
		return nil, errNoZone
	}
	return time.LoadLocation(name)
}

// joinMidnight joins neighbours of the form (days D, clock >= s, rest) and (days D shifted by one, clock <= e, rest)
// with s > e into one range over midnight (policy-model.md 6.6 rule 7). splitMidnight is its inverse.
func joinMidnight(ranges []model.TimeRange) []model.TimeRange {
	var out []model.TimeRange
	for i := 0; i < len(ranges); i++ {
		r := ranges[i]
		if i+1 < len(ranges) && arePartsOfNight(&r, &ranges[i+1]) {
			i++
			r.End = ranges[i].End
		}
		out = append(out, r)
	}
	return out
}

func arePartsOfNight(evening, morning *model.TimeRange) bool {
	return evening.Start >= 0 && evening.End < 0 && morning.Start < 0 && morning.End >= 0 && evening.Start > morning.End &&
		evening.Zone == morning.Zone && evening.StartDate == morning.StartDate && evening.EndDate == morning.EndDate &&
		slices.Equal(evening.Months, morning.Months) && slices.Equal(nextDays(evening.Days), morning.Days)
}

// splitMidnight gives the branches of a range: two when it goes over midnight.
func splitMidnight(r model.TimeRange) []model.TimeRange {
	if r.Start < 0 || r.End < 0 || r.Start <= r.End {
		return []model.TimeRange{r}
	}
	evening, morning := r, r
	evening.End, morning.Start = -1, -1
	morning.Days = nextDays(r.Days)
	return []model.TimeRange{evening, morning}
}

// nextDays shifts a set of days by one.
func nextDays(days []time.Weekday) []time.Weekday {
	if len(days) == 0 {
		return days
	}
	out := make([]time.Weekday, len(days))
	for i, d := range days {
		out[i] = (d + 1) % 7
	}
	return daySet(out)
}

// daySet sorts days, Monday first, and removes repeats.
func daySet(days []time.Weekday) []time.Weekday {
	fromMonday := func(d time.Weekday) int { return int(d+6) % 7 }
	out := slices.Clone(days)
	slices.SortFunc(out, func(a, b time.Weekday) int { return fromMonday(a) - fromMonday(b) })
	return slices.Compact(out)
}

// restricts reports whether a range leaves out any time.
func restricts(r *model.TimeRange) bool {
	const lastSecond = 24*60*60 - 1
	allDays := len(r.Days) == 0 || len(r.Days) == 7
	allMonths := len(r.Months) == 0 || len(r.Months) == 12
	allDay := r.Start <= 0 && (r.End < 0 || r.End >= lastSecond)
	return !allDays || !allMonths || !allDay || !r.StartDate.IsZero() || !r.EndDate.IsZero()
}
