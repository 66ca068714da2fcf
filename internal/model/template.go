package model

// AttributeType decides how values of an attribute compare (V6, V7).
type AttributeType string

// The two types.
const (
	String  AttributeType = "STRING"
	Numeric AttributeType = "NUMERIC"
)

// AssetSource says where the assets of a type come from (E12).
type AssetSource string

// The three sources.
const (
	SourceRequest  AssetSource = "REQUEST"  // only what a request carries
	SourceExternal AssetSource = "EXTERNAL" // rows of a configured source
	SourcePlainID  AssetSource = "PLAINID"  // stored in Ambit
)

// When a write may change a stored attribute value (policy-model.md 3.2). Other spellings are kept and behave as
// UpdateAlways is not: they refuse nothing but are never offered.
const (
	UpdateAlways       = "ALWAYS"
	UpdateOnlyOnCreate = "ONLY_ON_CREATE"
	UpdateNever        = "NO"
)

// AssetTemplate is an asset type: the attributes its assets may have and the actions they allow (policy-model.md 3.2).
// Attributes and Actions keep the order of the definition, which is the order of answers. Attributes need not list
// "path": it always exists.
type AssetTemplate struct {
	ID                       TemplateID
	WorkspaceID              WorkspaceID
	DisplayName              string
	Description              *string // nil = absent, which differs from empty
	LogoURL                  *string
	Source                   AssetSource
	IsAttributeSentInRequest bool
	IsUsedForFiltering       bool
	PAAGroupID               string // EXTERNAL
	ViewName                 string // EXTERNAL
	Attributes               []AssetAttribute
	Actions                  []Action
}

// AssetAttribute is one declared attribute of an asset type.
type AssetAttribute struct {
	ID                     AttributeID
	DisplayName            string
	Type                   AttributeType
	IsAvailableForPolicies bool
	NameForRequest         string // "" = the id
	IsMultiValue           bool
	SourceAttribute        string // EXTERNAL: column of the view
	IsCalculated           bool
	CalculationFunction    *string // kept word for word; see Calculation
	DefaultValue           []string
	MaxLength              int // code points per value; 0 = 9,999
	IsRequired             bool
	CanBeUpdated           string // "" = ALWAYS
}

// Action of an asset type: ID is used in policies, Value on the wire.
type Action struct {
	ID    ActionID
	Value string
}

// Attribute finds a declared attribute. "path" is found even when it is not declared, as a STRING.
func (t *AssetTemplate) Attribute(id AttributeID) (AssetAttribute, bool) {
	for _, a := range t.Attributes {
		if a.ID == id {
			return a, true
		}
	}
	if id == AttributePath {
		return AssetAttribute{ID: AttributePath, DisplayName: "Asset ID", Type: String}, true
	}
	return AssetAttribute{}, false
}

// RequestAttribute finds the attribute that an incoming name means: NameForRequest first, then the id (3.2). The
// built-in path is never meant: a request cannot replace it (V9).
func (t *AssetTemplate) RequestAttribute(name string) (AssetAttribute, bool) {
	for _, a := range t.Attributes {
		if a.NameForRequest == name && name != "" && a.ID != AttributePath {
			return a, true
		}
	}
	for _, a := range t.Attributes {
		if string(a.ID) == name && a.ID != AttributePath {
			return a, true
		}
	}
	return AssetAttribute{}, false
}

// Action finds the action that a policy names.
func (t *AssetTemplate) Action(id ActionID) (Action, bool) {
	for _, a := range t.Actions {
		if a.ID == id {
			return a, true
		}
	}
	return Action{}, false
}

// RequestAction finds the action that an incoming name means: its value first, then its id, exactly.
func (t *AssetTemplate) RequestAction(name string) (Action, bool) {
	for _, a := range t.Actions {
		if a.Value == name {
			return a, true
		}
	}
	return t.Action(ActionID(name))
}

// IdentityTemplate is a kind of identity (policy-model.md 3.4). Its first attribute is always uid; Validate adds it.
type IdentityTemplate struct {
	ID          TemplateID
	WorkspaceID WorkspaceID
	Attributes  []IdentityAttribute
}

// IdentityAttribute is one declared attribute of an identity template.
type IdentityAttribute struct {
	ID                     AttributeID
	DisplayName            string
	Description            string
	Type                   AttributeType
	IsAvailableForPolicies bool
	IsUsedInAccessRequest  bool   // values and claims of a request count
	NameForRequest         string // older alternative name; "" = none
	IsCalculated           bool
	CalculationFunction    *string // kept word for word; see Calculation
}

// Attribute finds a declared attribute; uid is found even when it is not declared.
func (t *IdentityTemplate) Attribute(id AttributeID) (IdentityAttribute, bool) {
	for _, a := range t.Attributes {
		if a.ID == id {
			return a, true
		}
	}
	if id == AttributeUID {
		return IdentityAttribute{ID: AttributeUID, DisplayName: "User ID", Type: String}, true
	}
	return IdentityAttribute{}, false
}

// RequestAttribute finds the attribute that an incoming name means: the id first, then NameForRequest (3.4). uid is
// never meant.
func (t *IdentityTemplate) RequestAttribute(name string) (IdentityAttribute, bool) {
	if name == string(AttributeUID) || name == "" {
		return IdentityAttribute{}, false
	}
	for _, a := range t.Attributes {
		if string(a.ID) == name {
			return a, true
		}
	}
	for _, a := range t.Attributes {
		if a.NameForRequest == name && a.ID != AttributeUID {
			return a, true
		}
	}
	return IdentityAttribute{}, false
}

// SourceExternalInput is the type of identity sources of which a template may have several (policy-model.md 3.4).
const SourceExternalInput = "EXTERNAL_INPUT"

// IdentitySource and MapperSet are kept and given back; no decision reads them until a source of their kind is offered
// (policy-model.md 3.4, 4.9). Metadata is JSON.
type IdentitySource struct {
	ID         string
	TemplateID TemplateID
	Name       string // display name
	Type       string
	Metadata   []byte
}

// MapperSet maps the columns of linked sources to identity attributes. LinkedSources is JSON as imported.
type MapperSet struct {
	ID            string
	TemplateID    TemplateID
	Name          string
	LinkedSources []byte
}
