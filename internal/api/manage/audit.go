package manage

import (
	"net/url"
	"slices"
	"strconv"
	"strings"
	"time"

	"github.com/ambit-authz/ambit/internal/manage"
	"github.com/ambit-authz/ambit/internal/model"
)

const auditPath = "/api/1.0/audit-admin"

// addAudit makes the routes of administration audit events (management-api.md 14.1).
func addAudit(t *router) {
	t.add("GET", auditPath, route{resource: "AuditEvent", right: manage.RightTenant, serve: listEvents})
	t.add("GET", auditPath+"/{envId}", route{resource: "AuditEvent", right: manage.RightWrite, serve: listEvents})
}

type eventBody struct {
	ID               string         `json:"id"`
	Timestamp        int64          `json:"timestamp"` // milliseconds since 1970
	Action           string         `json:"action"`
	ResourceType     string         `json:"resourceType"`
	ResourceID       string         `json:"resourceId"`
	ResourceName     string         `json:"resourceName"`
	ParentObjectType *string        `json:"parentObjectType"`
	ParentObjectID   *string        `json:"parentObjectId"`
	EnvironmentID    *string        `json:"environmentId"`
	UserID           *string        `json:"userId"`
	ClientIP         string         `json:"clientIp"`
	RequestID        string         `json:"requestId"`
	Revision         model.Revision `json:"revision"`
	Changes          struct {
		Before *string `json:"before"`
		After  *string `json:"after"`
	} `json:"changes"`
}

func eventOf(e *model.ChangeEvent) eventBody {
	out := eventBody{
		ID: e.ID, Timestamp: e.Time.UnixMilli(), Action: e.Action, ResourceType: e.ResourceType, ResourceID: e.ResourceID,
		ResourceName: e.ResourceName, ParentObjectType: orNull(e.ParentType), ParentObjectID: orNull(e.ParentID),
		EnvironmentID: orNull(string(e.EnvironmentID)), UserID: orNull(string(e.ClientID)), ClientIP: e.ClientIP,
		RequestID: e.RequestID, Revision: e.Revision,
	}
	out.Changes.Before, out.Changes.After = orNull(e.Before), orNull(e.After)
	return out
}

func orNull(text string) *string {
	if text == "" {
		return nil
	}
	return &text
}

func listEvents(x *exchange) error {
	q := x.r.URL.Query()
	w, err := windowOf(q, defaultLimit)
	if err != nil {
		return err
	}
	f, err := eventFilter(q)
	if err != nil {
		return err
	}
	f.Offset, f.Limit = w.offset, w.limit
	events, total, seen, err := x.api.service.FindEvents(x.r.Context(), x.env, f)
	if err != nil {
		return err
	}
	x.seen(seen)
	items := make([]eventBody, len(events))
	for i := range events {
		items[i] = eventOf(&events[i])
	}
	return page(x, w, total, items)
}

// eventFilter reads filter[field][operator]. A known field with an operator that it does not have is an error: passing it
// over would list too much.
func eventFilter(q url.Values) (manage.EventFilter, error) {
	var f manage.EventFilter
	var errs model.Errors
	texts := []string{"eq", "ne", "like", "ilike", "not-like"}
	fields := map[string]struct {
		field     manage.EventField
		operators []string
	}{
		"action": {manage.EventAction, texts}, "resourceType": {manage.EventResourceType, texts},
		"resourceId": {manage.EventResourceID, texts[:2]}, "parentObjectType": {manage.EventParentType, texts[:2]},
		"userId": {manage.EventClient, texts[:2]}, "timestamp": {0, []string{"gt", "gte", "lt", "lte"}},
	}
	for key, values := range q {
		inner, ok := strings.CutPrefix(key, "filter[")
		if !ok || !strings.HasSuffix(inner, "]") {
			continue
		}
		name, operator, stated := strings.Cut(strings.TrimSuffix(inner, "]"), "][")
		if !stated {
			operator = "eq"
		}
		field, known := fields[name]
		switch {
		case !known:
			continue
		case !slices.Contains(field.operators, operator):
			errs = append(errs, model.InvalidParameter(key, "the operators are %s", strings.Join(field.operators, ", ")))
			continue
		}
		for _, value := range values {
			if field.field != 0 {
				f.Conditions = append(f.Conditions, manage.EventCondition{Field: field.field, Op: operator, Value: value})
			} else if err := bound(&f, operator, value); err != nil {
				errs = append(errs, model.InvalidParameter(key, "%q is not a number of milliseconds", value))
			}
		}
	}
	slices.SortFunc(errs, func(a, b *model.Error) int { return strings.Compare(a.Message, b.Message) })
	return f, errs.OrNil()
}

// bound narrows the time asked for. Times on the wire are whole milliseconds, so gt means from the next one on.
func bound(f *manage.EventFilter, operator, text string) error {
	ms, err := strconv.ParseInt(text, 10, 64)
	if err != nil {
		return err
	}
	const far = 1 << 52 // beyond any event; nothing overflows below it
	ms = min(max(ms, -far), far)
	if operator == "gt" || operator == "lte" {
		ms++
	}
	at := time.UnixMilli(ms)
	switch operator {
	case "gt", "gte":
		if f.From.IsZero() || at.After(f.From) {
			f.From = at
		}
	default:
		if f.To.IsZero() || at.Before(f.To) {
			f.To = at
		}
	}
	return nil
}
