package manage

import (
	"context"
	"slices"

	"github.com/go-json-experiment/json"
	"github.com/go-json-experiment/json/jsontext"

	"github.com/ambit-authz/ambit/internal/manage/form"
	"github.com/ambit-authz/ambit/internal/model"
)

// texts is a text or a list of texts.
type texts []string

// UnmarshalJSONFrom implements json.UnmarshalerFrom.
func (t *texts) UnmarshalJSONFrom(d *jsontext.Decoder) error {
	if d.PeekKind() == '[' {
		return json.UnmarshalDecode(d, (*[]string)(t))
	}
	var one string
	err := json.UnmarshalDecode(d, &one)
	*t = texts{one}
	return err
}

// InvalidateIdentities drops what is cached of identities (runtime-api.md 14.2). There are no sources of identities but the
// environment itself, and nothing of an identity is kept between questions but answers, which belong to a revision: the
// effect is complete at once.
func (s *Service) InvalidateIdentities(ctx context.Context, call Call, env model.EnvironmentID, body []byte) (Done, error) {
	var f struct {
		Template        string `json:"identityTemplate"`
		Identity        string `json:"identityId"`
		Source          string `json:"identitySourceId"`
		AttributeSource string `json:"attributeSourceId"`
		ShortSource     string `json:"sourceId"`
	}
	if err := form.Decode(body, &f); err != nil {
		return Done{}, err
	}
	if f.Template == "" && f.Identity == "" {
		return Done{}, model.MissingParameter("identityTemplate or identityId")
	}
	return s.invalidated(ctx, call, env, "identity cache", body)
}

// InvalidateResponses drops the answers that this node keeps (runtime-api.md 14.3).
func (s *Service) InvalidateResponses(ctx context.Context, call Call, env model.EnvironmentID, body []byte) (Done, error) {
	if len(body) == 0 {
		return Done{}, model.Invalidf("a body is needed; {} stands for everything")
	}
	var f struct {
		Clients    texts `json:"clientId"`
		MoreClient texts `json:"clientIds"`
		Identity   texts `json:"identityId"`
		Entity     texts `json:"entityId"`
	}
	if err := form.Decode(body, &f); err != nil {
		return Done{}, err
	}
	if slices.Contains(slices.Concat(f.Clients, f.MoreClient, f.Identity, f.Entity), "") {
		return Done{}, model.Invalidf("an id is empty")
	}
	done, err := s.invalidated(ctx, call, env, "response cache", body)
	if err == nil && !call.DryRun && s.dropResponses != nil {
		var clients []model.ClientID
		for _, id := range slices.Concat(f.Clients, f.MoreClient) {
			clients = append(clients, model.ClientID(id))
		}
		s.dropResponses(env, clients, slices.Concat(f.Identity, f.Entity))
	}
	return done, err
}

// invalidated records the call. An event alone uses no revision.
func (s *Service) invalidated(ctx context.Context, call Call, env model.EnvironmentID, what string, body []byte) (Done, error) {
	done := Done{Result: Unchanged}
	var err error
	done.Revision, err = s.update(ctx, &call, env, func(w *writer) error {
		return w.event(model.ChangeEvent{
			Action: model.EventInvalidate, ResourceType: resourceEnvironment, ResourceID: string(env), ResourceName: what,
			After: string(form.Compact(body)),
		})
	})
	return done, err
}
