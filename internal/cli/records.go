package cli

import (
	"context"
	"fmt"

	"github.com/alecthomas/kong"
	"github.com/go-json-experiment/json"
)

type assetsCommand struct {
	List   listAssets  `cmd:"" help:"List the assets of a type." call:"GET {E}/asset-templates/{template}/assets" columns:"PATH=path NAME=name ATTRIBUTES=attributes" example:"ambit assets list -t Cargo --attribute berth=A --all"`
	Get    showAsset   `cmd:"" help:"Print an asset." call:"GET {E}/asset-templates/{template}/assets?path={path}" example:"ambit assets get -t Cargo quay/7"`
	Put    putAsset    `cmd:"" help:"Create or replace an asset; load many with \"ambit import assets\"." call:"PUT {E}/asset-templates/{template}/assets?path={path}" example:"ambit assets put -t Cargo quay/7 -f crane.json"`
	Delete deleteAsset `cmd:"" help:"Delete an asset." call:"DELETE {E}/asset-templates/{template}/assets?path={path}" example:"ambit assets delete -t Cargo quay/7 --yes"`
	Clear  clearAll    `cmd:"" help:"Delete all assets of a type." call:"DELETE {E}/asset-templates/{template}/assets?all=true&template={template}" example:"ambit assets clear -t Cargo --yes"`
	Count  countAssets `cmd:"" help:"Count the assets of a type." call:"GET {E}/asset-templates/{template}/assets/count" example:"ambit assets count -t Cargo"`
}

type identitiesCommand struct {
	List   listIdentities  `cmd:"" help:"List the identities of a template." call:"GET {E}/identity-templates/{template}/identities" columns:"ID=entityId ACTIVE=isActive ATTRIBUTES=attributes" example:"ambit identities list -t Crew --attribute port=north"`
	Get    showIdentity    `cmd:"" help:"Print an identity." call:"GET {E}/identity-templates/{template}/identities?entityId={id}" example:"ambit identities get -t Crew iris -o yaml"`
	Put    putIdentity     `cmd:"" help:"Create or replace an identity; load many with \"ambit import identities\"." call:"PUT {E}/identity-templates/{template}/identities?entityId={id}" example:"ambit identities put -t Crew iris -f iris.json"`
	Delete deleteIdentity  `cmd:"" help:"Delete an identity." call:"DELETE {E}/identity-templates/{template}/identities?entityId={id}" example:"ambit identities delete -t Crew iris --yes"`
	Clear  clearAll        `cmd:"" help:"Delete all identities of a template." call:"DELETE {E}/identity-templates/{template}/identities?all=true&template={template}" example:"ambit identities clear -t Crew --yes"`
	Count  countIdentities `cmd:"" help:"Count the identities of a template." call:"GET {E}/identity-templates/{template}/identities/count" example:"ambit identities count -t Crew"`
}

// ofTemplate is the asset type or identity template of records.
type ofTemplate struct {
	Template string `short:"t" required:"" placeholder:"ID" help:"Asset type or identity template."`
}

// byAttributes are filters on the values of attributes.
type byAttributes struct {
	Attributes []string `name:"attribute" sep:"none" filter:"" placeholder:"ID=VALUE" help:"Only records with this value; may be repeated."`
}

type assetFilter struct {
	byAttributes
	Path   string `name:"path" query:"filter[path]" placeholder:"PATH" help:"Only this asset."`
	Prefix string `query:"filter[path][startswith]" placeholder:"TEXT" help:"Only assets whose path begins so."`
}

type identityFilter struct {
	byAttributes
	ID     string `name:"id" query:"filter[entityId]" placeholder:"ID" help:"Only this identity."`
	Prefix string `query:"filter[entityId][startswith]" placeholder:"TEXT" help:"Only identities whose id begins so."`
	Active *bool  `query:"filter[isActive]" help:"Only active ones, or with =false only others."`
}

type listAssets struct {
	listing
	ofTemplate
	assetFilter
}

type listIdentities struct {
	listing
	ofTemplate
	identityFilter
}

type assetPath struct {
	ofTemplate
	Path string `arg:"" help:"Path of the asset."`
}

type entityID struct {
	ofTemplate
	ID string `arg:"" help:"Id of the identity."`
}

type showAsset struct {
	showing
	assetPath
}

type showIdentity struct {
	showing
	entityID
}

type putAsset struct {
	replaceAll
	assetPath
}

type putIdentity struct {
	replaceAll
	entityID
}

type deleteAsset struct {
	removing
	assetPath
}

type deleteIdentity struct {
	removing
	entityID
}

type clearAll struct {
	removing
	ofTemplate
}

// counting is the verb of commands that print a number.
type counting struct{ remote }

type countAssets struct {
	counting
	ofTemplate
	assetFilter
}

type countIdentities struct {
	counting
	ofTemplate
	identityFilter
}

// Run prints the number alone, for scripts.
func (c *counting) Run(ctx context.Context, k *kong.Context, s Streams) error {
	o, err := c.begin(ctx, k, s)
	if err != nil {
		return err
	}
	_, body, err := o.do(ctx)
	if err != nil {
		return err
	}
	var answer struct {
		Count int64 `json:"count"`
	}
	if err := json.Unmarshal(unwrapped(body), &answer); err != nil {
		return fmt.Errorf("reading the answer: %w", err)
	}
	_, err = fmt.Fprintln(s.Out, answer.Count)
	return err
}
