package manage

import (
	"context"
	"slices"
	"strings"
	"time"

	"github.com/ambit-authz/ambit/internal/model"
	"github.com/ambit-authz/ambit/internal/store"
)

// eventWindow is how far back events are listed when no time is stated (management-api.md 14.1).
const eventWindow = 7 * 24 * time.Hour

// EventField is what a filter of audit events looks at.
type EventField uint8

const (
	EventAction EventField = iota + 1
	EventResourceType
	EventResourceID
	EventParentType
	EventClient
)

// EventCondition is one filter of audit events. Op is eq, ne, like, ilike or not-like; EventResourceID knows eq and ne.
type EventCondition struct {
	Field EventField
	Op    string
	Value string
}

// EventFilter says which audit events FindEvents lists. All conditions must hold.
type EventFilter struct {
	From, To      time.Time // [From, To); both zero = the last seven days
	Conditions    []EventCondition
	Offset, Limit int
}

// FindEvents lists one page of the administration audit of an environment ("" = the tenant), newest first, and how many
// events there are in all.
func (s *Service) FindEvents(ctx context.Context, env model.EnvironmentID, f EventFilter) (page []model.ChangeEvent, total int, seen Seen, err error) {
	q := store.EventQuery{From: f.From, To: f.To, Offset: f.Offset, Limit: f.Limit}
	if f.From.IsZero() && f.To.IsZero() {
		q.From = s.now().Add(-eventWindow)
	}
	kinds := slices.Clone(f.Conditions)
	kinds = slices.DeleteFunc(kinds, func(c EventCondition) bool { return c.Field == EventResourceID })
	q.Kind = func(k store.EventKind) bool {
		return !slices.ContainsFunc(kinds, func(c EventCondition) bool { return !c.fits(&k) })
	}
	for i := range f.Conditions {
		c := &f.Conditions[i]
		if c.Field != EventResourceID {
			continue
		}
		side := &q.ResourceID
		if c.Op == "ne" {
			side = &q.NotResourceID
		}
		if *side != nil && **side != c.Value {
			return nil, 0, Seen{}, model.InvalidParameter("filter[resourceId]["+c.Op+"]", "it stands more than once")
		}
		*side = &c.Value
	}
	err = s.view(ctx, env, func(tx *store.Tx) (err error) {
		seen.Revision = tx.Revision
		page, total, err = tx.Events.Select(q)
		return err
	})
	return page, total, seen, err
}

func (c *EventCondition) fits(k *store.EventKind) bool {
	value := ""
	switch c.Field {
	case EventAction:
		value = k.Action
	case EventResourceType:
		value = k.ResourceType
	case EventParentType:
		value = k.ParentType
	case EventClient:
		value = string(k.ClientID)
	}
	switch c.Op {
	case "eq":
		return value == c.Value
	case "ne":
		return value != c.Value
	case "like":
		return like(c.Value, value)
	case "ilike":
		return like(strings.ToLower(c.Value), strings.ToLower(value))
	case "not-like":
		return !like(c.Value, value)
	}
	return false
}

// like matches a whole value: % stands for any run of characters, _ for one. The work is bounded by the product of both
// lengths, whatever the pattern.
func like(pattern, value string) bool {
	p, v := []rune(pattern), []rune(value)
	at, run, tried := 0, -1, 0 // place in the pattern; last %; how far its run goes
	for i := 0; i < len(v); {
		switch {
		case at < len(p) && p[at] == '%':
			run, tried = at, i
			at++
		case at < len(p) && (p[at] == '_' || p[at] == v[i]):
			at++
			i++
		case run >= 0:
			tried++
			at, i = run+1, tried
		default:
			return false
		}
	}
	return strings.Trim(string(p[at:]), "%") == ""
}
