package cli

type environmentsCommand struct {
	List   listEnvironments  `cmd:"" help:"List the environments that the credential may see." call:"GET /ambit/1.0/environments" columns:"ID=id NAME=name ENABLED=settings.enabled POLICIES=counts.policies SCOPES=counts.scopes REVISION=revision" example:"ambit environments list"`
	Get    showEnvironment   `cmd:"" help:"Print an environment." call:"GET /ambit/1.0/environments/{id}" example:"ambit environments get -o yaml"`
	Create createEnvironment `cmd:"" help:"Make an environment." call:"POST /ambit/1.0/environments" prints:"AMBIT_ENV_ID=id" example:"ambit environments create --name Staging --bare"`
	Update updateEnvironment `cmd:"" help:"Change an environment; what is not given stays." call:"PATCH /ambit/1.0/environments/{id}" example:"ambit environments update 5b0c9d52-0f5e-4a77-9c1e-3d0a6f2b8e41 --require-if-match"`
	Delete deleteEnvironment `cmd:"" help:"Delete an environment with everything in it." call:"DELETE /ambit/1.0/environments/{id}?name={name}" example:"ambit environments delete 5b0c9d52-0f5e-4a77-9c1e-3d0a6f2b8e41 --name Staging --yes"`
	JWT    jwtCommand        `cmd:"" name:"jwt-settings" help:"See and set how the tokens of users are judged."`
}

type jwtCommand struct {
	Get showing    `cmd:"" help:"Print the JWT settings." call:"GET {E}/jwt-settings" example:"ambit environments jwt-settings get"`
	Set replaceAll `cmd:"" help:"Replace the JWT settings." call:"PUT {E}/jwt-settings" example:"ambit environments jwt-settings set -f jwt.yaml"`
}

// replaceAll is a write of one whole object.
type replaceAll struct {
	writing
	fromFile
}

type listEnvironments struct {
	listing
	Name string `query:"filter[name]" placeholder:"NAME" help:"Only of this name."`
}

type showEnvironment struct {
	showing
	ID string `arg:"" env:"AMBIT_ENV_ID" help:"Environment."`
}

type createEnvironment struct {
	writing
	fromFlags
	ID          string `name:"id" body:"id" placeholder:"UUID" help:"Its id; one is made when absent."`
	Name        string `body:"name" placeholder:"NAME" help:"Its name."`
	Description string `body:"description" placeholder:"TEXT" help:"What it is for."`
	Bare        bool   `body:"bare" help:"Without the first workspaces."`
}

type updateEnvironment struct {
	writing
	object
	fromFlags
	Name           *string `body:"name" placeholder:"NAME" help:"Its name."`
	Description    *string `body:"description" placeholder:"TEXT" help:"What it is for."`
	Enabled        *bool   `body:"settings.enabled" help:"Whether it answers."`
	RequireIfMatch *bool   `body:"settings.requireIfMatch" help:"Whether writes of Ambit's own calls must state the version that they change."`
}

// deleteEnvironment has no default for its id: AMBIT_ENV_ID is set all day long.
type deleteEnvironment struct {
	removing
	object
	Name string `required:"" placeholder:"NAME" help:"Its name, to be sure."`
}

type workspacesCommand struct {
	List              listWorkspaces    `cmd:"" help:"List authorization workspaces." call:"GET {E}/authorization-workspaces" columns:"ID=id NAME=name DESCRIPTION=description" example:"ambit workspaces list"`
	Get               showWorkspace     `cmd:"" help:"Print an authorization workspace." call:"GET {E}/authorization-workspaces/{workspace}" example:"ambit workspaces get Quays"`
	Create            createWorkspace   `cmd:"" help:"Make an authorization workspace." call:"POST {E}/authorization-workspaces" prints:"AMBIT_WORKSPACE=id" example:"ambit workspaces create --name Quays --bare"`
	Update            updateWorkspace   `cmd:"" help:"Change an authorization workspace; what is not given stays." call:"PATCH {E}/authorization-workspaces/{workspace}" example:"ambit workspaces update Quays --name Docks"`
	Delete            deleteWorkspace   `cmd:"" help:"Delete an authorization workspace." call:"DELETE {E}/authorization-workspaces/{workspace}" example:"ambit workspaces delete Quays --yes"`
	RequestAttributes attributesCommand `cmd:"" help:"Work on the request attributes of a workspace."`
}

type listWorkspaces struct {
	listing
	Name string `query:"filter[name]" placeholder:"NAME" help:"Only of this name."`
}

type oneWorkspace struct {
	Workspace string `arg:"" workspace:"authorization" help:"Workspace by name or id."`
}

type showWorkspace struct {
	showing
	oneWorkspace
}

type workspaceMembers struct {
	Name        *string `body:"name" placeholder:"NAME" help:"Its name."`
	Description *string `body:"description" placeholder:"TEXT" help:"What it is for."`
}

type createWorkspace struct {
	writing
	fromFlags
	ID   string `name:"id" body:"id" placeholder:"UUID" help:"Its id; one is made when absent."`
	Bare bool   `body:"bare" help:"Without the predefined building blocks."`
	workspaceMembers
}

type updateWorkspace struct {
	writing
	oneWorkspace
	fromFlags
	workspaceMembers
}

type deleteWorkspace struct {
	removing
	oneWorkspace
	Cascade bool `query:"cascade" help:"With the policies that are in it."`
}

type attributesCommand struct {
	List   listRequestAttributes `cmd:"" help:"List request attributes." call:"GET {E}/authorization-workspaces/{workspace}/request-attributes" columns:"ID=id NAME=displayName MAPPINGS=mappings INCOMPLETE=incomplete" example:"ambit workspaces request-attributes list -w Quays"`
	Get    showRequestAttribute  `cmd:"" help:"Print a request attribute." call:"GET {E}/authorization-workspaces/{workspace}/request-attributes/{id}" example:"ambit workspaces request-attributes get channel -w Quays"`
	Set    setRequestAttribute   `cmd:"" help:"Create or replace a request attribute." call:"PUT {E}/authorization-workspaces/{workspace}/request-attributes/{id}" example:"ambit workspaces request-attributes set channel -f channel.json"`
	Delete dropRequestAttribute  `cmd:"" help:"Delete a request attribute." call:"DELETE {E}/authorization-workspaces/{workspace}/request-attributes/{id}" example:"ambit workspaces request-attributes delete channel --yes"`
}

type listRequestAttributes struct {
	listing
	workspace
}

type showRequestAttribute struct {
	showing
	workspace
	object
}

type setRequestAttribute struct {
	replaceAll
	workspace
	object
}

type dropRequestAttribute struct {
	removing
	workspace
	object
}

type identityWorkspacesCommand struct {
	List    listWorkspaces          `cmd:"" help:"List identity workspaces." call:"GET {E}/identity-workspaces" columns:"ID=id NAME=name TEMPLATE=identityTemplateId" example:"ambit identity-workspaces list"`
	Get     showIdentityWorkspace   `cmd:"" help:"Print an identity workspace." call:"GET {E}/identity-workspaces/{workspace}" example:"ambit identity-workspaces get Crew"`
	Create  createIdentityWorkspace `cmd:"" help:"Make an identity workspace." call:"POST {E}/identity-workspaces" prints:"AMBIT_IDENTITY_WORKSPACE=id" example:"ambit identity-workspaces create --name Crew --template Crew"`
	Update  updateIdentityWorkspace `cmd:"" help:"Change an identity workspace; what is not given stays." call:"PATCH {E}/identity-workspaces/{workspace}" example:"ambit identity-workspaces update Crew --description sailors"`
	Delete  deleteIdentityWorkspace `cmd:"" help:"Delete an identity workspace." call:"DELETE {E}/identity-workspaces/{workspace}" example:"ambit identity-workspaces delete Crew --yes"`
	Matcher matcherCommand          `cmd:"" help:"See and set how the users of a workspace are found from their tokens."`
}

type oneIdentityWorkspace struct {
	Workspace string `arg:"" workspace:"identity" help:"Workspace by name or id."`
}

type showIdentityWorkspace struct {
	showing
	oneIdentityWorkspace
}

type createIdentityWorkspace struct {
	createWorkspace
	Template string `body:"identityTemplateId" placeholder:"ID" help:"Id of its identity template; the name without blanks when absent."`
}

type updateIdentityWorkspace struct {
	writing
	oneIdentityWorkspace
	fromFlags
	workspaceMembers
}

type deleteIdentityWorkspace struct {
	removing
	oneIdentityWorkspace
}

type matcherCommand struct {
	Get    showIdentityWorkspace   `cmd:"" help:"Print the matcher." call:"GET {E}/identity-workspaces/{workspace}/matcher" example:"ambit identity-workspaces matcher get Crew"`
	Set    setMatcher              `cmd:"" help:"Replace the matcher." call:"PUT {E}/identity-workspaces/{workspace}/matcher" example:"ambit identity-workspaces matcher set Crew -f matcher.yaml"`
	Delete deleteIdentityWorkspace `cmd:"" help:"Delete the matcher." call:"DELETE {E}/identity-workspaces/{workspace}/matcher" example:"ambit identity-workspaces matcher delete Crew --yes"`
}

type setMatcher struct {
	replaceAll
	oneIdentityWorkspace
}

type customAttributesCommand struct {
	List   listCustomAttributes `cmd:"" help:"List the custom attributes of policies." call:"GET {E}/custom-attributes" columns:"KEY=key NAME=name TYPE=type" example:"ambit custom-attributes list"`
	Get    showObject           `cmd:"" help:"Print the definition of a custom attribute." call:"GET {E}/custom-attributes/{id}" example:"ambit custom-attributes get riskLevel"`
	Set    setCustomAttribute   `cmd:"" help:"Create or replace a custom attribute." call:"PUT {E}/custom-attributes/{id}" example:"ambit custom-attributes set riskLevel -f risk.json"`
	Import customAttributes     `cmd:"" help:"Create and replace several." call:"PUT {E}/custom-attributes" example:"ambit custom-attributes import -f custom-policy-attributes.json"`
	Delete deleteObject         `cmd:"" help:"Delete a custom attribute." call:"DELETE {E}/custom-attributes/{id}" example:"ambit custom-attributes delete riskLevel --yes"`
}

type listCustomAttributes struct{ listing }

type setCustomAttribute struct {
	replaceAll
	object
}

type customAttributes struct {
	replaceAll
	Prune bool `query:"prune" help:"Delete those that the file lacks."`
}
