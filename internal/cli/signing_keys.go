package cli

type signingKeysCommand struct {
	List   listSigningKeys  `cmd:"" help:"List the keys of the environment that sign answers." call:"GET {E}/signing-keys" columns:"NAME=name ALG=alg KID=kid UPDATED=updatedAt" example:"ambit signing-keys list"`
	Get    showObject       `cmd:"" help:"Print a key, its private part hidden." call:"GET {E}/signing-keys/{id}" example:"ambit signing-keys get quay"`
	Put    putSigningKey    `cmd:"" help:"Make a key or replace it, by a credential of the tenant." call:"PUT {E}/signing-keys/{id}" example:"ambit signing-keys put quay -f quay.yaml"`
	Delete deleteSigningKey `cmd:"" help:"Delete a key that no scope names, by a credential of the tenant." call:"DELETE {E}/signing-keys/{id}" example:"ambit signing-keys delete quay --yes"`
}

type listSigningKeys struct{ listing }

type revoking struct {
	Revoke bool `query:"revoke" help:"Publish the public part of the key that goes no longer: what it signed is refused."`
}

type putSigningKey struct {
	replaceAll
	object
	revoking
}

type deleteSigningKey struct {
	removing
	object
	revoking
}
