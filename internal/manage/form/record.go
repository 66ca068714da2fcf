package form

import "github.com/ambit-authz/ambit/internal/model"

type assetForm struct {
	Path       string           `json:"path"`
	Name       string           `json:"name"`
	Attributes model.Attributes `json:"attributes"`
}

// FormatAsset writes an asset as it stands on the wire (management-api.md 19).
func FormatAsset(a *model.Asset) []byte {
	f := assetForm{Path: a.Path, Name: a.Name, Attributes: a.Attributes}
	if f.Name == "" {
		f.Name = a.Path
	}
	return Encode(f)
}

type identityForm struct {
	EntityID   string             `json:"entityId"`
	IsActive   bool               `json:"isActive"`
	Attributes model.Attributes   `json:"attributes"`
	Rows       []model.Attributes `json:"rows,omitempty"`
}

// FormatIdentity writes an identity as it stands on the wire (management-api.md 20).
func FormatIdentity(i *model.Identity) []byte {
	return Encode(identityForm{EntityID: i.EntityID, IsActive: !i.Inactive, Attributes: i.Attributes, Rows: i.Rows})
}
