package cli

// object is the id of what a command is about.
type object struct {
	ID string `arg:"" help:"Its id."`
}

type showObject struct {
	showing
	object
}

type deleteObject struct {
	removing
	object
}

type importInto struct {
	writing
	workspace
	fromFile
}

type templatesCommand struct {
	List         listTemplates  `cmd:"" help:"List asset templates." call:"GET /api/1.0/asset-templates/{env}" rows:"assetTemplates" columns:"ID=templateId NAME=displayName WORKSPACE=authWsId" example:"ambit templates list --all"`
	Get          showObject     `cmd:"" help:"Print an asset template." call:"GET /api/1.0/asset-templates/{env}/{id}" example:"ambit templates get Cargo -o yaml"`
	Import       importInto     `cmd:"" help:"Create or replace an asset template." call:"POST /api/1.0/asset-templates/{env}?authWsId={workspace}" example:"ambit templates import -f cargo.yaml -w Quays"`
	Rename       renameTemplate `cmd:"" help:"Change the id of an asset template, wherever it is used." call:"PATCH /api/1.0/asset-templates/{env}/{id}" example:"ambit templates rename Cargo Freight --dry-run"`
	RenameAction renameAction   `cmd:"" help:"Change the id of an action, wherever it is used." call:"PATCH /api/1.0/asset-templates/{env}/{id}/actions/{action}" example:"ambit templates rename-action Cargo Load Lift"`
	Delete       deleteObject   `cmd:"" help:"Delete an asset template." call:"DELETE /api/1.0/asset-templates/{env}/{id}" example:"ambit templates delete Cargo --yes"`
}

type listTemplates struct {
	listing
	Workspace string `short:"w" workspace:"authorization" query:"filter[authWsId]" placeholder:"NAME" help:"Only of this authorization workspace."`
	ID        string `query:"filter[id]" placeholder:"ID" help:"Only of this id."`
	Name      string `query:"filter[name]" placeholder:"NAME" help:"Only of this name."`
	Detailed  bool   `query:"detailed" help:"Whole templates; see them with -o json."`
}

type renameTemplate struct {
	writing
	object
	NewID string `arg:"" patch:"/templateId" help:"The new id."`
}

type renameAction struct {
	writing
	object
	Action string `arg:"" help:"Id of the action."`
	NewID  string `arg:"" patch:"/actionId" help:"The new id."`
}

type applicationsCommand struct {
	List   listApplications  `cmd:"" help:"List applications." call:"GET /policy-mgmt/1.0/applications/{env}?detailed=true" columns:"ID=id NAME=name ASSET-TEMPLATES=assetTemplateIds WORKSPACE=authWsId" example:"ambit applications list"`
	Get    showObject        `cmd:"" help:"Print an application." call:"GET /api/1.0/applications/{env}/{id}" example:"ambit applications get portal"`
	Import importInto        `cmd:"" help:"Create or replace an application." call:"POST /api/1.0/applications/{env}?authWsId={workspace}" example:"ambit applications import -f portal.json"`
	Rename renameApplication `cmd:"" help:"Change the id of an application and of its API mapper set." call:"PATCH /api/1.0/applications/{env}/{id}" example:"ambit applications rename portal harbour-portal"`
	Delete deleteObject      `cmd:"" help:"Delete an application; its scopes lose it, policies stay." call:"DELETE /api/1.0/applications/{env}/{id}" example:"ambit applications delete portal --yes"`
}

type listApplications struct{ listing }

type renameApplication struct {
	writing
	object
	NewID string `arg:"" patch:"/applicationId" help:"The new id."`
}

type mappersCommand struct {
	List   listMapperSets  `cmd:"" help:"List API mapper sets." call:"GET /api/1.0/api-mapper-sets/{env}" columns:"ID=apiMappersSetId APPLICATIONS=applicationIds MAPPERS=apiMappers.#" example:"ambit mappers list --application portal"`
	Get    showObject      `cmd:"" help:"Print an API mapper set." call:"GET /api/1.0/api-mapper-sets/{env}/{id}" example:"ambit mappers get portal -o yaml"`
	Import importInto      `cmd:"" help:"Create or replace an API mapper set." call:"POST /api/1.0/api-mapper-sets/{env}?authWsId={workspace}" example:"ambit mappers import -f mappers.json"`
	Rename renameMapperSet `cmd:"" help:"Change the id of an API mapper set that no application holds." call:"PATCH /api/1.0/api-mapper-sets/{env}/{id}" example:"ambit mappers rename portal old-portal"`
	Mapper mapperCommand   `cmd:"" help:"Work on one mapper of a set."`
}

type mapperCommand struct {
	Get    showMapper   `cmd:"" help:"Print a mapper." call:"GET /api/1.0/api-mapper-sets/{env}/{set}/mappers/{mapper}" example:"ambit mappers mapper get portal cargo-read"`
	Import importMapper `cmd:"" help:"Create or replace a mapper." call:"POST /api/1.0/api-mapper-sets/{env}/{set}/mappers?authWsId={workspace}" names:"mapperId" example:"ambit mappers mapper import portal -f cargo-read.json"`
	Rename renameMapper `cmd:"" help:"Change the id of a mapper." call:"PATCH /api/1.0/api-mapper-sets/{env}/{set}/mappers/{mapper}" example:"ambit mappers mapper rename portal cargo-read cargo-view"`
	Delete deleteMapper `cmd:"" help:"Delete a mapper." call:"DELETE /api/1.0/api-mapper-sets/{env}/{set}/mappers/{mapper}" example:"ambit mappers mapper delete portal cargo-read --yes"`
}

type listMapperSets struct {
	listing
	Workspace   string `short:"w" workspace:"authorization" query:"filter[authWsId]" placeholder:"NAME" help:"Only of this authorization workspace."`
	Application string `query:"filter[applicationId]" placeholder:"ID" help:"Only of this application."`
}

type renameMapperSet struct {
	writing
	object
	NewID string `arg:"" patch:"/apiMappersSetId" help:"The new id."`
}

type mapperSet struct {
	Set string `arg:"" help:"API mapper set, named like its application."`
}

type mapperID struct {
	mapperSet
	Mapper string `arg:"" help:"Mapper."`
}

type showMapper struct {
	showing
	mapperID
}

type importMapper struct {
	importInto
	mapperSet
}

type renameMapper struct {
	writing
	mapperID
	NewID string `arg:"" patch:"/mapperId" help:"The new id."`
}

type deleteMapper struct {
	removing
	mapperID
}

type identityTemplatesCommand struct {
	List       listIdentityTemplates  `cmd:"" help:"List identity templates with their workspaces." call:"GET {E}/identity-workspaces" columns:"ID=identityTemplateId WORKSPACE=name WORKSPACE-ID=id" example:"ambit identity-templates list"`
	Get        showObject             `cmd:"" help:"Print an identity template." call:"GET /api/1.0/identity-templates/{env}/{id}" example:"ambit identity-templates get Crew -o yaml"`
	Import     importIdentityTemplate `cmd:"" help:"Create or replace the identity template of a workspace." call:"POST /api/1.0/identity-templates/{env}?identityWsId={workspace}" example:"ambit identity-templates import -f crew.json -w Crew"`
	Rename     renameTemplate         `cmd:"" help:"Change the id of an identity template, wherever it is used." call:"PATCH /api/1.0/identity-templates/{env}/{id}" example:"ambit identity-templates rename Crew Sailors"`
	Sources    sourcesCommand         `cmd:"" help:"Work on the identity sources of a template."`
	MapperSets identityMapperSets     `cmd:"" help:"Work on the identity mapper sets of a template."`
}

type sourcesCommand struct {
	Get    listSources   `cmd:"" help:"Print the identity sources of a template." call:"GET /api/1.0/identity-templates/{env}/{template}/identity-sources" example:"ambit identity-templates sources get Crew -o json"`
	Import importSources `cmd:"" help:"Create and replace identity sources." call:"PUT /api/1.0/identity-templates/{env}/{template}/identity-sources" example:"ambit identity-templates sources import Crew -f sources.json"`
	Rename renameSource  `cmd:"" help:"Change the id of an identity source." call:"PATCH /api/1.0/identity-templates/{env}/{template}/identity-sources/{id}" example:"ambit identity-templates sources rename Crew roster crew-roster"`
}

type identityMapperSets struct {
	List   listIdentityMappers  `cmd:"" help:"List the mapper sets of a template." call:"GET /api/1.0/identity-templates/{env}/{template}/mapper-sets" columns:"ID=mapperSetId NAME=displayName" example:"ambit identity-templates mapper-sets list Crew"`
	Get    showIdentityMapper   `cmd:"" help:"Print a mapper set." call:"GET /api/1.0/identity-templates/{env}/{template}/mapper-sets/{id}" example:"ambit identity-templates mapper-sets get Crew Crew_MapperSet -o yaml"`
	Import importIdentityMapper `cmd:"" help:"Create or replace a mapper set." call:"POST /api/1.0/identity-templates/{env}/{template}/mapper-sets" names:"mapperSetId" example:"ambit identity-templates mapper-sets import Crew -f set.json"`
	Rename renameIdentityMapper `cmd:"" help:"Change the id of a mapper set." call:"PATCH /api/1.0/identity-templates/{env}/{template}/mapper-sets/{id}" example:"ambit identity-templates mapper-sets rename Crew Crew_MapperSet Crew_All"`
	Delete deleteIdentityMapper `cmd:"" help:"Delete a mapper set." call:"DELETE /api/1.0/identity-templates/{env}/{template}/mapper-sets/{id}" example:"ambit identity-templates mapper-sets delete Crew Crew_MapperSet --yes"`
}

type listIdentityTemplates struct{ listing }

type importIdentityTemplate struct {
	writing
	identityWorkspace
	fromFile
}

type identityTemplate struct {
	Template string `arg:"" help:"Identity template."`
}

type listSources struct {
	showing
	identityTemplate
	IncludeAll bool `query:"includeUnimportableSources" help:"With sources that cannot be imported."`
}

type importSources struct {
	writing
	identityTemplate
	fromFile
	Prune bool `query:"prune" help:"Delete the sources that the file lacks."`
}

type renameSource struct {
	writing
	identityTemplate
	object
	NewID string `arg:"" patch:"/sourceId" help:"The new id."`
}

type listIdentityMappers struct {
	listing
	identityTemplate
}

type showIdentityMapper struct {
	showing
	identityTemplate
	object
}

type importIdentityMapper struct {
	writing
	identityTemplate
	fromFile
}

type renameIdentityMapper struct {
	writing
	identityTemplate
	object
	NewID string `arg:"" patch:"/mapperSetId" help:"The new id."`
}

type deleteIdentityMapper struct {
	removing
	identityTemplate
	object
}
