package manage

import (
	"context"
	"crypto/sha256"
	"fmt"
	"strconv"

	"github.com/go-json-experiment/json"
	"github.com/go-json-experiment/json/jsontext"
	"github.com/google/uuid"

	"github.com/ambit-authz/ambit/internal/manage/form"
	"github.com/ambit-authz/ambit/internal/model"
	"github.com/ambit-authz/ambit/internal/store"
)

// PAAGroupForm is a group on the wire (management-api.md 13).
type PAAGroupForm struct {
	ID                  string `json:"id"`
	PAAGroupType        string `json:"paaGroupType"`
	PaasCount           int    `json:"paasCount"`
	HasInactiveSyncPaas bool   `json:"hasInactiveSyncPaas"`
}

// PAAGroupFormOf is the wire form of a group.
func PAAGroupFormOf(g *model.PAAGroup) PAAGroupForm {
	return PAAGroupForm{ID: g.ID, PAAGroupType: g.Type, PaasCount: g.Agents, HasInactiveSyncPaas: g.HasInactiveSync}
}

func paaGroupKind() *kind[string, model.PAAGroup] {
	return &kind[string, model.PAAGroup]{
		name: "PAAGroup", subject: paaGroupSubject(),
		in: func(tx *store.Tx) store.Collection[string, model.PAAGroup] { return tx.PAAGroups },
		id: func(id string) string { return id },
	}
}

// FindPAAGroups lists the groups by id.
func (s *Service) FindPAAGroups(ctx context.Context, env model.EnvironmentID) ([]model.PAAGroup, Seen, error) {
	out := []model.PAAGroup{}
	var seen Seen
	err := s.view(ctx, env, func(tx *store.Tx) error {
		seen.Revision = tx.Revision
		return each(tx.PAAGroups.FindAll(), func(g model.PAAGroup) { out = append(out, g) })
	})
	return out, seen, err
}

// FindPAAGroup reads one group.
func (s *Service) FindPAAGroup(ctx context.Context, env model.EnvironmentID, id string) (Stored[model.PAAGroup], error) {
	return findObject(ctx, s, env, paaGroupKind(), id)
}

// PutPAAGroup makes or replaces a group.
func (s *Service) PutPAAGroup(ctx context.Context, call Call, env model.EnvironmentID, id string, body []byte) (Stored[model.PAAGroup], Done, error) {
	return changeObject(ctx, s, &call, env, paaGroupKind(), id, func(*writer, *model.PAAGroup) (model.PAAGroup, error) {
		var f PAAGroupForm
		if err := form.Decode(body, &f); err != nil {
			return model.PAAGroup{}, err
		}
		g := model.PAAGroup{ID: id, Type: f.PAAGroupType, Agents: f.PaasCount, HasInactiveSync: f.HasInactiveSyncPaas}
		var errs model.Errors
		sameID(&errs, "/id", f.ID, id)
		errs.Collect(g.Validate())
		return g, errs.OrNil()
	})
}

// sameID refuses an id in a body that is not that of the path. A body may leave it out.
func sameID(errs *model.Errors, field, id, path string) {
	if id != "" && id != path {
		errs.Add(field, "differs from that of the path")
	}
}

// DeletePAAGroup ends a group with its sources and views. It is refused while an asset type or an identity source names
// the group.
func (s *Service) DeletePAAGroup(ctx context.Context, call Call, env model.EnvironmentID, id string) (Done, error) {
	return removeObject(ctx, s, &call, env, paaGroupKind(), id, func(w *writer, _ *model.PAAGroup) error {
		if err := w.unusedPAAGroup(id); err != nil {
			return err
		}
		sources, err := paaSourcesOf(w.Tx, id)
		if err != nil {
			return err
		}
		for _, source := range sources {
			if _, err := remove(w, paaSourceSubject(), w.PAASources, store.Key{Owner: id, ID: source.ID}); err != nil {
				return err
			}
		}
		_, err = remove(w, paaViewsSubject(), w.PAAViews, id)
		return err
	})
}

func (w *writer) unusedPAAGroup(id string) error {
	var errs model.Errors
	var types, sources []string
	err := each(w.AssetTemplates.FindAll(), func(t model.AssetTemplate) {
		if t.Source == model.SourceExternal && t.PAAGroupID == id {
			types = append(types, string(t.ID))
		}
	})
	if err != nil {
		return err
	}
	err = each(w.IdentitySources.FindAll(), func(s model.IdentitySource) {
		var metadata struct {
			PAAGroupID string `json:"paaGroupId"`
		}
		if json.Unmarshal(s.Metadata, &metadata) == nil && metadata.PAAGroupID == id {
			sources = append(sources, s.ID)
		}
	})
	if len(types) > 0 {
		errs = append(errs, inUse("PAAGroup", id, "asset type", types))
	}
	if len(sources) > 0 {
		errs = append(errs, inUse("PAAGroup", id, "identity source", sources))
	}
	if err == nil {
		err = errs.OrNil()
	}
	return err
}

// paaSourceForm is a source on the wire. What a kind of source needs differs, so most of it is kept as it came.
type paaSourceForm struct {
	SourceID       string         `json:"sourceId"`
	PAAGroupID     string         `json:"paaGroupId"`
	Adapter        jsontext.Value `json:"adapter"`
	Name           *string        `json:"name"`
	Status         *string        `json:"status"`
	Description    *string        `json:"description"`
	Properties     jsontext.Value `json:"properties"`
	Translator     *paaTranslator `json:"translator"`
	Models         []paaModel     `json:"models"`
	PaasProperties jsontext.Value `json:"paasProperties"`
}

type paaTranslator struct {
	Name       *string        `json:"name"`
	Type       *string        `json:"type"`
	Properties jsontext.Value `json:"properties"`
}

type paaModel struct {
	Type        *string        `json:"type"`
	ModelID     *string        `json:"modelId"`
	PAAGroupID  *string        `json:"paaGroupId"`
	Visible     *bool          `json:"visible"`
	Name        *string        `json:"name"`
	Description *string        `json:"description"`
	SourceIDs   []string       `json:"sourceIds"`
	Properties  jsontext.Value `json:"properties"`
	Metadata    jsontext.Value `json:"metadata"`
}

// PAASourceView is a source as callers see it: the values of its secret properties are masked.
type PAASourceView struct {
	ID         string
	Definition jsontext.Value
	Seen       Seen
}

func paaSourceKind() *kind[store.Key, model.PAASource] {
	return &kind[store.Key, model.PAASource]{
		name: "PAASource", subject: paaSourceSubject(),
		in: func(tx *store.Tx) store.Collection[store.Key, model.PAASource] { return tx.PAASources },
		id: func(key store.Key) string { return key.ID },
	}
}

func paaSourcesOf(tx *store.Tx, group string) ([]model.PAASource, error) {
	var out []model.PAASource
	err := each(tx.PAASources.FindAll(), func(s model.PAASource) {
		if s.GroupID == group {
			out = append(out, s)
		}
	})
	return out, err
}

// mustHaveGroup is the error of a call below a group that does not exist.
func mustHaveGroup(tx *store.Tx, group string) error {
	found, err := exists(tx.PAAGroups, group)
	if err == nil && !found {
		err = missingResource("PAAGroup", group)
	}
	return err
}

// FindPAASources lists the sources of a group by id.
func (s *Service) FindPAASources(ctx context.Context, env model.EnvironmentID, group string) ([]PAASourceView, Seen, error) {
	out := []PAASourceView{}
	var seen Seen
	err := s.view(ctx, env, func(tx *store.Tx) error {
		seen.Revision = tx.Revision
		if err := mustHaveGroup(tx, group); err != nil {
			return err
		}
		sources, err := paaSourcesOf(tx, group)
		for i := range sources {
			out = append(out, PAASourceView{ID: sources[i].ID, Definition: maskedSource(&sources[i])})
		}
		return err
	})
	return out, seen, err
}

// FindPAASource reads one source.
func (s *Service) FindPAASource(ctx context.Context, env model.EnvironmentID, group, id string) (PAASourceView, error) {
	found, err := findObject(ctx, s, env, paaSourceKind(), store.Key{Owner: group, ID: id})
	return viewSource(found), err
}

func viewSource(stored Stored[model.PAASource]) PAASourceView {
	return PAASourceView{ID: stored.Object.ID, Definition: maskedSource(&stored.Object), Seen: stored.Seen}
}

// maxSource is how long a source can be, in bytes: its secrets are looked for while everybody else's writes wait.
const maxSource = 1 << 20

func parsePAASource(body []byte) (*paaSourceForm, error) {
	if len(body) > maxSource {
		return nil, model.LimitExceeded("bytes of a source", int64(len(body)), maxSource)
	}
	var f paaSourceForm
	return &f, form.Decode(body, &f)
}

// CreatePAASource makes a source; without an id one is made, which is null in a dry run.
func (s *Service) CreatePAASource(ctx context.Context, call Call, env model.EnvironmentID, group string, body []byte) (PAASourceView, Done, error) {
	f, err := parsePAASource(body)
	if err != nil {
		return PAASourceView{}, Done{}, err
	}
	made := f.SourceID == ""
	if made {
		f.SourceID = uuid.NewString()
	}
	v, done, err := s.putPAASource(ctx, call, env, group, f, func(before *model.PAASource) error {
		if before != nil {
			return alreadyExists("PAASource", f.SourceID)
		}
		return nil
	})
	if made && call.DryRun && err == nil {
		v.ID = ""
		v.Definition, err = rewriteMember(v.Definition, "sourceId", "null")
	}
	return v, done, err
}

// PutPAASource replaces a source. A secret property that is written as "***" keeps its value.
func (s *Service) PutPAASource(ctx context.Context, call Call, env model.EnvironmentID, group, id string, body []byte) (PAASourceView, Done, error) {
	f, err := parsePAASource(body)
	if err != nil {
		return PAASourceView{}, Done{}, err
	}
	var errs model.Errors
	if sameID(&errs, "/sourceId", f.SourceID, id); len(errs) > 0 {
		return PAASourceView{}, Done{}, errs
	}
	f.SourceID = id
	return s.putPAASource(ctx, call, env, group, f, func(before *model.PAASource) error {
		if before == nil {
			return missingResource("PAASource", id)
		}
		return nil
	})
}

func (s *Service) putPAASource(ctx context.Context, call Call, env model.EnvironmentID, group string, f *paaSourceForm,
	allow func(before *model.PAASource) error,
) (PAASourceView, Done, error) {
	source := model.PAASource{GroupID: group, ID: f.SourceID}
	stored, done, err := changeObject(ctx, s, &call, env, paaSourceKind(), store.Key{Owner: group, ID: f.SourceID}, func(w *writer, before *model.PAASource) (model.PAASource, error) {
		if err := mustHaveGroup(w.Tx, group); err != nil {
			return source, err
		}
		if err := allow(before); err != nil {
			return source, err
		}
		var errs model.Errors
		sameID(&errs, "/paaGroupId", f.PAAGroupID, group)
		errs.Collect(source.Validate())
		if len(errs) > 0 {
			return source, errs
		}
		f.PAAGroupID = group
		seal := sealer{secrets: s.secrets, at: []string{string(env), group, f.SourceID}, trial: call.DryRun}
		if before != nil {
			seal.stored = before.Definition
		}
		var err error
		source.Definition, err = seal.seal(form.Encode(f.complete()))
		return source, err
	})
	return viewSource(stored), done, err
}

// complete writes what was left out as clients expect to find it.
func (f *paaSourceForm) complete() *paaSourceForm {
	for _, v := range []struct {
		value     *jsontext.Value
		otherwise string
	}{{&f.Properties, "{}"}, {&f.PaasProperties, "[]"}} {
		if len(*v.value) == 0 || v.value.Kind() == 'n' {
			*v.value = jsontext.Value(v.otherwise)
		}
	}
	f.Models = form.List(f.Models)
	for i := range f.Models {
		f.Models[i].SourceIDs = form.List(f.Models[i].SourceIDs)
	}
	return f
}

// DeletePAASource ends a source.
func (s *Service) DeletePAASource(ctx context.Context, call Call, env model.EnvironmentID, group, id string) (Done, error) {
	return removeObject(ctx, s, &call, env, paaSourceKind(), store.Key{Owner: group, ID: id}, nil)
}

// PAAViewForm is one text of views on the wire.
type PAAViewForm struct {
	Type  string `json:"type"`
	PAAID string `json:"paaId"`
	Text  string `json:"text"`
}

// maxViewText is how long the text of views can be, in bytes (management-api.md 13).
const maxViewText = 4 << 20

func paaViewsKind() *kind[string, model.PAAViews] {
	return &kind[string, model.PAAViews]{
		name: "PAAViews", subject: paaViewsSubject(),
		in: func(tx *store.Tx) store.Collection[string, model.PAAViews] { return tx.PAAViews },
		id: func(group string) string { return group },
	}
}

func viewForms(v *model.PAAViews) []PAAViewForm {
	out := make([]PAAViewForm, len(v.Views))
	for i, one := range v.Views {
		out[i] = PAAViewForm(one)
	}
	return out
}

// viewDigests tell in audit events that a text changed: the texts themselves are too long for them.
func viewDigests(v *model.PAAViews) any {
	type digest struct {
		Type   string `json:"type"`
		PAAID  string `json:"paaId"`
		Bytes  int    `json:"textBytes"`
		SHA256 string `json:"textSha256"`
	}
	out := make([]digest, len(v.Views))
	for i, one := range v.Views {
		out[i] = digest{one.Type, one.PAAID, len(one.Text), fmt.Sprintf("%x", sha256.Sum256([]byte(one.Text)))}
	}
	return out
}

// FindPAAViews reads all views of a group; a group whose views were never written has none.
func (s *Service) FindPAAViews(ctx context.Context, env model.EnvironmentID, group string) ([]PAAViewForm, Seen, error) {
	out := []PAAViewForm{}
	var seen Seen
	err := s.view(ctx, env, func(tx *store.Tx) error {
		seen.Revision = tx.Revision
		if err := mustHaveGroup(tx, group); err != nil {
			return err
		}
		if found, err := exists(tx.PAAViews, group); err != nil || !found {
			return err
		}
		views, found, err := find(tx, tx.PAAViews, group, "PAAViews", group)
		out, seen = viewForms(&views), found
		return err
	})
	return out, seen, err
}

// PutPAAViews replaces the whole list of views of a group.
func (s *Service) PutPAAViews(ctx context.Context, call Call, env model.EnvironmentID, group string, body []byte) ([]PAAViewForm, Done, error) {
	var forms []PAAViewForm
	if err := form.Decode(body, &forms); err != nil {
		return nil, Done{}, err
	}
	views := model.PAAViews{GroupID: group, Views: make([]model.PAAView, len(forms))}
	var errs model.Errors
	for i, f := range forms {
		views.Views[i] = model.PAAView(f)
		if len(f.Text) > maxViewText {
			errs = append(errs, model.LimitExceeded("/"+strconv.Itoa(i)+"/text", int64(len(f.Text)), maxViewText))
		}
	}
	if errs.Collect(views.Validate()); len(errs) > 0 {
		return nil, Done{}, errs
	}
	stored, done, err := changeObject(ctx, s, &call, env, paaViewsKind(), group, func(w *writer, _ *model.PAAViews) (model.PAAViews, error) {
		return views, mustHaveGroup(w.Tx, group)
	})
	return viewForms(&stored.Object), done, err
}
