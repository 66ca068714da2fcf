package bank

import (
	"bufio"
	"io"

	json "github.com/go-json-experiment/json"

	"github.com/ambit-authz/ambit/internal/model"
)

// AssetTemplates lists the asset types, each of which has generated assets.
func AssetTemplates() []model.TemplateID {
	return []model.TemplateID{"Accounts", "Documents", "PortalClaims", "LedgerRows"}
}

// IdentityTemplates lists the identity templates.
func IdentityTemplates() []model.TemplateID { return []model.TemplateID{"Staff", "Device"} }

// Numbers of records that WriteAssets and WriteIdentities write for one template; there are 200 portal claims only.
const (
	AssetCount    = 50_000
	IdentityCount = 5_000
)

// assetRow and identityRow are the rows of bulk imports (management-api.md 19.1 and 20).
type assetRow struct {
	Path       string              `json:"path"`
	Name       string              `json:"name,omitzero"`
	Attributes map[string][]string `json:"attributes"`
}

type identityRow struct {
	EntityID   string                `json:"entityId"`
	IsActive   bool                  `json:"isActive"`
	Attributes map[string][]string   `json:"attributes"`
	Rows       []map[string][]string `json:"rows,omitempty"`
}

// WriteAssets writes the assets of one type as NDJSON rows, in the form of the bulk import.
func WriteAssets(w io.Writer, template model.TemplateID) error {
	assets, err := Assets(template, Seed, AssetCount)
	if err != nil {
		return err
	}
	out := bufio.NewWriterSize(w, 1<<16)
	for a := range assets {
		if err := writeRow(out, assetRow{a.Path, a.Name, plain(a.Attributes)}); err != nil {
			return err
		}
	}
	return out.Flush()
}

// WriteIdentities writes the identities of one template as NDJSON rows, in the form of the bulk import.
func WriteIdentities(w io.Writer, template model.TemplateID) error {
	identities, err := Identities(template, Seed, IdentityCount)
	if err != nil {
		return err
	}
	out := bufio.NewWriterSize(w, 1<<16)
	for i := range identities {
		row := identityRow{i.EntityID, !i.Inactive, plain(i.Attributes), nil}
		for _, r := range i.Rows {
			row.Rows = append(row.Rows, plain(r))
		}
		if err := writeRow(out, row); err != nil {
			return err
		}
	}
	return out.Flush()
}

func writeRow(out *bufio.Writer, row any) error {
	if err := json.MarshalWrite(out, row, json.Deterministic(true)); err != nil {
		return err
	}
	return out.WriteByte('\n')
}

func plain(a model.Attributes) map[string][]string {
	out := make(map[string][]string, len(a))
	for id, values := range a {
		out[string(id)] = values
	}
	return out
}
