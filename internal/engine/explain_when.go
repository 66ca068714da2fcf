package engine

import (
	"fmt"
	"strings"
	"time"

	"github.com/ambit-authz/ambit/internal/model"
)

// circumstance is what a date and time or an IP condition compares.
func (p *permutation) circumstance(c *block) *LineTrace {
	q := p.subjects[0].question
	out := &LineTrace{}
	if c.src.Kind == model.KindConditionIP {
		if q.SourceIP.IsValid() {
			out.Left = []string{q.SourceIP.String()}
		}
		out.Right = c.src.IP.Text
		return out
	}
	for i := range c.ranges {
		r := &c.ranges[i]
		out.Left = append(out.Left, q.Instant.In(r.location(q.ZoneOffset)).Format("Monday 2006-01-02 15:04:05 -07:00"))
		out.Right = append(out.Right, r.text())
	}
	out.Left = model.Distinct(out.Left)
	return out
}

// text says what a range asks of the clock, as "Monday,Tuesday 09:00:00-17:30:00 Europe/Lisbon".
func (r *timeRange) text() string {
	var parts []string
	list := func(names []string) {
		if len(names) > 0 {
			parts = append(parts, strings.Join(names, ","))
		}
	}
	var days, months []string
	for _, d := range r.Days {
		days = append(days, d.String())
	}
	for _, m := range r.Months {
		months = append(months, m.String())
	}
	list(days)
	list(months)
	if r.Start >= 0 || r.End >= 0 {
		parts = append(parts, clockText(r.Start)+"-"+clockText(r.End))
	}
	if !r.StartDate.IsZero() {
		parts = append(parts, "from "+dateText(r.StartDate))
	}
	if !r.EndDate.IsZero() {
		parts = append(parts, "until "+dateText(r.EndDate))
	}
	return strings.Join(append(parts, r.Zone), " ")
}

// clockText is a time of day; "" for an open end.
func clockText(seconds int) string {
	if seconds < 0 {
		return ""
	}
	return time.Time{}.Add(time.Duration(seconds) * time.Second).Format(time.TimeOnly)
}

func dateText(d model.Date) string { return fmt.Sprintf("%04d-%02d-%02d", d.Year, d.Month, d.Day) }
