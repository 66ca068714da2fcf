package rego

import "github.com/ambit-authz/ambit/internal/model"

// Names of the two kinds of module, as they stand after "package".
const (
	PackagePolicy         = "policy"
	PackageBuildingBlocks = "building_blocks"
)

// Target says which kind of workspace building blocks are imported into; groups go to identity workspaces, all other
// kinds to authorization workspaces (RG-404).
type Target uint8

const (
	TargetAny Target = iota // not checked
	TargetIdentity
	TargetAuthorization
)

// Options of Parse.
type Options struct {
	Package string // PackagePolicy (also when empty) or PackageBuildingBlocks
	File    string // named in every position; empty for request bodies
	// Workspace is the authorization workspace of the import: conditions get it, asset templates must lie in it.
	// Empty = not checked.
	Workspace model.WorkspaceID
	Target    Target
	Catalog   Catalog // nil = only the checks that need no stored object
	Limits    Limits
}

// Catalog tells what the environment has. Implementations answer from one consistent state.
type Catalog interface {
	IdentityTemplate(id model.TemplateID) (model.IdentityTemplate, bool)
	AssetTemplate(id model.TemplateID) (model.AssetTemplate, bool)
	// RequestAttribute reports whether the workspace of the import declares the attribute.
	RequestAttribute(id model.AttributeID) bool
	// CustomAttributes are the definitions of the environment, in any order.
	CustomAttributes() []model.CustomAttribute
	// Application reports whether an application of that id exists.
	Application(id model.ApplicationID) bool
	// InApplication reports whether some application holds the asset type.
	InApplication(id model.TemplateID) bool
}

// Limits of policy-model.md 9 that may be raised; 0 means the documented default.
type Limits struct {
	Bytes       int // of a module
	Blocks      int // of a building_blocks module; the documented limit is that of the import call
	Groups      int // per policy
	Rulesets    int // uses per policy
	Conditions  int // per policy
	Branches    int // per block
	Rules       int // per branch
	Values      int // per list
	ValueLength int // code points of a literal
}

// Limits that cannot be raised.
const (
	limitName          = 100
	limitID            = 128
	limitDescription   = 4000
	limitAddressBlocks = 200
	limitErrors        = 100
	limitWarnings      = 1000 // for memory only; policy-model.md sets none
)

func (l Limits) withDefaults() Limits {
	set := func(v *int, standard int) {
		if *v <= 0 {
			*v = standard
		}
	}
	set(&l.Bytes, 4<<20)
	set(&l.Blocks, 50)
	set(&l.Groups, 200)
	set(&l.Rulesets, 200)
	set(&l.Conditions, 100)
	set(&l.Branches, 500)
	set(&l.Rules, 200)
	set(&l.Values, 10_000)
	set(&l.ValueLength, 9_999)
	return l
}
