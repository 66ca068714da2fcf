package rego

import (
	"net/netip"
	"slices"
	"strconv"
	"strings"
	"time"

	"github.com/ambit-authz/ambit/internal/model"
)

// timeBranch makes the range of a date and time branch.
func (b *builder) timeBranch(br *branch) {
	r := model.TimeRange{Start: -1, End: -1}
	seen := map[timeForm]bool{}
	for i, l := range br.lines {
		if first := br.lines[0].zone; i > 0 && first.text != l.zone.text {
			b.fault("RG-217", l.zone.position)
			br.broken = true
		}
		if seen[l.time] {
			b.fault("RG-202", l.position, l.time.String())
			br.broken = true
			continue
		}
		seen[l.time] = true
		r.Zone = br.lines[0].zone.text
		if !b.timeLine(l, &r) {
			br.broken = true
		}
	}
	if !br.broken && !restricts(&r) {
		b.fault("RG-213", br.position)
	}
	br.timeRange = r
}

func (b *builder) timeLine(l *line, r *model.TimeRange) bool {
	switch l.time {
	case timeWeekday:
		return b.weekdays(l, r)
	case timeMonth:
		return b.months(l, r)
	}
	var n [3]int
	readable := true
	for i, v := range l.values {
		var err error
		if n[i], err = strconv.Atoi(v.text); err != nil {
			readable = false
		}
	}
	what, ok := "date", false
	switch l.time {
	case timeFrom, timeUntil:
		what = "time"
		ok = readable && within(n[0], 0, 23) && within(n[1], 0, 59) && within(n[2], 0, 59)
		second := n[0]*3600 + n[1]*60 + n[2]
		if l.time == timeFrom {
			r.Start = second
		} else {
			r.End = second
		}
	case timeStartDate, timeEndDate:
		day := model.Date{Year: n[0], Month: time.Month(n[1]), Day: n[2]}
		ok = readable && isDate(day)
		if l.time == timeStartDate {
			r.StartDate = day
		} else {
			r.EndDate = day
		}
	}
	if !ok {
		b.fault("RG-216", l.valueAt, triple(l.values), what)
	}
	return ok
}

func triple(values []literal) string {
	texts := make([]string, len(values))
	for i, v := range values {
		texts[i] = v.text
	}
	return "[" + strings.Join(texts, ",") + "]"
}

func within(n, low, high int) bool { return n >= low && n <= high }

// isDate reports whether the calendar has the day.
func isDate(d model.Date) bool {
	if !within(d.Year, 1, 9999) || !within(int(d.Month), 1, 12) || !within(d.Day, 1, 31) {
		return false
	}
	return time.Date(d.Year, d.Month, d.Day, 0, 0, 0, 0, time.UTC).Day() == d.Day
}

func (b *builder) weekdays(l *line, r *model.TimeRange) bool {
	ok := true
	for _, v := range l.values {
		day := slices.IndexFunc(weekdayNames(), func(name string) bool { return name == v.text })
		if day < 0 {
			b.fault("RG-216", v.position, quote(v.text), "weekday")
			ok = false
			continue
		}
		r.Days = append(r.Days, time.Weekday(day))
	}
	r.Days = daySet(r.Days)
	return ok && len(l.values) > 0
}

func weekdayNames() []string {
	names := make([]string, 7)
	for i := range names {
		names[i] = time.Weekday(i).String()
	}
	return names
}

func (b *builder) months(l *line, r *model.TimeRange) bool {
	ok := true
	for _, v := range l.values {
		n, err := strconv.Atoi(v.text)
		if err != nil || !within(n, 1, 12) {
			b.fault("RG-216", v.position, v.text, "month")
			ok = false
			continue
		}
		r.Months = append(r.Months, time.Month(n))
	}
	slices.Sort(r.Months)
	r.Months = slices.Compact(r.Months)
	return ok && len(l.values) > 0
}

// addressBranch checks one branch of an IP condition: one allow line, or restrict lines only (policy-model.md 6.6
// rule 6).
func (b *builder) addressBranch(br *branch) {
	for i, l := range br.lines {
		first := br.lines[0]
		switch {
		case first.isRestrict() != l.isRestrict():
			b.fault("RG-219", l.position)
			br.broken = true
			return
		case i > 0 && !l.isRestrict():
			b.fault("RG-202", l.position, l.kind.String())
			br.broken = true
			return
		}
		br.addresses = append(br.addresses, l)
	}
	if !br.broken && len(br.lines) == 0 {
		b.fault("RG-213", br.position)
	}
}

func (l *line) isRestrict() bool { return l.not != (position{}) }

// addresses makes an IP condition of the branches of its block.
func (b *builder) addresses(d *draft) *model.IPCondition {
	c := &model.IPCondition{}
	var first *line
	for i, br := range d.branches {
		for j, l := range br.addresses {
			if first == nil {
				first, c.Restrict = l, l.isRestrict()
			}
			switch {
			case l.isRestrict() != c.Restrict:
				b.fault("RG-219", l.position)
				return c
			case c.Restrict && i > 0 && j == 0:
				b.fault("RG-220", br.position)
				return c
			case len(c.Text) == limitAddressBlocks:
				b.tooMany(l.position, len(c.Text)+1, "address blocks in a condition", limitAddressBlocks)
			}
			b.address(c, l.values[0])
		}
	}
	return c
}

func (b *builder) address(c *model.IPCondition, v literal) {
	prefix, err := netip.ParsePrefix(v.text)
	if err != nil {
		b.fault("RG-214", v.position, v.text)
		return
	}
	masked := prefix.Masked()
	if masked != prefix {
		b.warn("RW-07", v.position, v.text)
	}
	// IPv4-mapped blocks count as IPv4 (E28); masking a mapped address turns a short one into plain IPv6
	if prefix.Addr().Is4In6() && prefix.Bits() >= 96 {
		masked = netip.PrefixFrom(prefix.Addr().Unmap(), prefix.Bits()-96).Masked()
	}
	c.Text = append(c.Text, v.text)
	c.Prefixes = append(c.Prefixes, masked)
}
