package cli

type scopesCommand struct {
	List    listScopes       `cmd:"" help:"List scopes." call:"GET {E}/scopes" columns:"CLIENT-ID=clientId NAME=name ENABLED=enabled APPLICATIONS=applicationIds UPDATED=updatedAt" example:"ambit scopes list --application portal"`
	Get     showScope        `cmd:"" help:"Print a scope, without its secrets." call:"GET {E}/scopes/{client-id}" example:"ambit scopes get PORTAL00000000000001 -o yaml"`
	Create  createScope      `cmd:"" help:"Make a scope; its secret is shown this once." call:"POST {E}/scopes" prints:"AMBIT_CLIENT_ID=clientId AMBIT_CLIENT_SECRET=secret" example:"ambit scopes create --name portal --application portal"`
	Update  updateScope      `cmd:"" help:"Change a scope; what is not given stays." call:"PATCH {E}/scopes/{client-id}" example:"ambit scopes update PORTAL00000000000001 --enabled=false"`
	Delete  deleteScope      `cmd:"" help:"Delete a scope." call:"DELETE {E}/scopes/{client-id}" example:"ambit scopes delete PORTAL00000000000001 --yes"`
	Link    linkScope        `cmd:"" help:"Give a scope an application." call:"PUT {E}/scopes/{client-id}/applications/{application}" example:"ambit scopes link PORTAL00000000000001 portal"`
	Unlink  unlinkScope      `cmd:"" help:"Take an application from a scope." call:"DELETE {E}/scopes/{client-id}/applications/{application}" example:"ambit scopes unlink PORTAL00000000000001 portal"`
	Secrets scopeSecretsList `cmd:"" help:"List, make and end the secrets of a scope."`
}

type scopeSecretsList struct {
	List listSecrets  `cmd:"" help:"List the secrets of a scope, never themselves." call:"GET {E}/scopes/{client-id}/secrets" columns:"ID=id CREATED=createdAt EXPIRES=expiresAt" example:"ambit scopes secrets list PORTAL00000000000001"`
	New  newSecret    `cmd:"" help:"Make a new secret, shown this once." call:"POST {E}/scopes/{client-id}/secrets" prints:"AMBIT_CLIENT_SECRET=secret" example:"ambit scopes secrets new PORTAL00000000000001 --keep-old 3600"`
	End  removeSecret `cmd:"" help:"End a secret at once." call:"DELETE {E}/scopes/{client-id}/secrets/{secret-id}" example:"ambit scopes secrets end PORTAL00000000000001 1f0c2d3e --yes"`
}

// scopeMembers are the members of a scope that have flags; all others go into a file.
type scopeMembers struct {
	Name         *string  `body:"name" placeholder:"NAME" help:"Name of the scope."`
	Description  *string  `body:"description" placeholder:"TEXT" help:"What it is for."`
	Applications []string `name:"application" body:"applicationIds" placeholder:"ID" help:"Application that the scope asks for; may be repeated."`
	AuthMethods  []string `name:"auth-method" body:"authMethods" placeholder:"METHOD" help:"SECRET_HEADER, REQUEST_SECRET or AUTHORIZATION_JWT; may be repeated."`
	Enabled      *bool    `body:"enabled" help:"Whether it may ask."`
}

type listScopes struct {
	listing
	Name        string `query:"filter[name]" placeholder:"NAME" help:"Only of this name."`
	Application string `query:"filter[applicationId]" placeholder:"ID" help:"Only those that have this application."`
}

type scopeID struct {
	ClientID string `arg:"" help:"Client id of the scope."`
}

type applicationID struct {
	Application string `arg:"" help:"Application."`
}

type showScope struct {
	showing
	scopeID
}

type createScope struct {
	writing
	fromFlags
	scopeMembers
	ClientID string `body:"clientId" placeholder:"ID" help:"Client id; one is made when absent."`
}

type updateScope struct {
	writing
	scopeID
	fromFlags
	scopeMembers
}

type deleteScope struct {
	removing
	scopeID
}

type linkScope struct {
	writing
	scopeID
	applicationID
}

type unlinkScope struct {
	writing
	scopeID
	applicationID
}

type listSecrets struct {
	listing
	scopeID
}

type newSecret struct {
	writing
	scopeID
	KeepOld int `body:"expireOldAfterSeconds" placeholder:"SECONDS" help:"Older secrets end after this time; at once when absent."`
}

type removeSecret struct {
	removing
	scopeID
	SecretID string `arg:"" help:"Secret."`
}
