package cli

type paaCommand struct {
	List    listPaaGroups `cmd:"" help:"List PAA groups." call:"GET /api/1.0/paa-groups/{env}?detailed=true" columns:"ID=id TYPE=paaGroupType PAAS=paasCount" example:"ambit paa list"`
	Create  putPaaGroup   `cmd:"" help:"Make a PAA group, or replace it." call:"PUT {E}/paa-groups/{id}" example:"ambit paa create north_paa -f group.json"`
	Delete  deleteObject  `cmd:"" help:"Delete a PAA group that nothing names." call:"DELETE {E}/paa-groups/{id}" example:"ambit paa delete north_paa --yes"`
	Sources paaSources    `cmd:"" help:"Work on the sources of a group."`
	Views   paaViews      `cmd:"" help:"See and set the views of a group."`
}

type paaSources struct {
	List   listPaaSources  `cmd:"" help:"List the sources of a group." call:"GET /api/1.0/paa-groups/{env}/{group}/sources?detailed=true" columns:"ID=sourceId NAME=name ADAPTER=adapter STATUS=status" example:"ambit paa sources list north_paa"`
	Get    showPaaSource   `cmd:"" help:"Print a source, its secrets hidden." call:"GET /api/1.0/paa-groups/{env}/{group}/sources/{id}" example:"ambit paa sources get north_paa roster"`
	Create createPaaSource `cmd:"" help:"Make a source." call:"POST /api/1.0/paa-groups/{env}/{group}/sources" example:"ambit paa sources create north_paa -f roster.json"`
	Update updatePaaSource `cmd:"" help:"Replace a source; secrets that are shown as *** stay." call:"PUT /api/1.0/paa-groups/{env}/{group}/sources/{id}" example:"ambit paa sources update north_paa roster -f roster.json"`
	Delete deletePaaSource `cmd:"" help:"Delete a source." call:"DELETE /api/1.0/paa-groups/{env}/{group}/sources/{id}" example:"ambit paa sources delete north_paa roster --yes"`
}

type paaViews struct {
	Get showPaaViews `cmd:"" help:"Print the views of a group." call:"GET /api/1.0/paa-groups/{env}/{group}/views" example:"ambit paa views get north_paa"`
	Set setPaaViews  `cmd:"" help:"Replace all views of a group." call:"PUT /api/1.0/paa-groups/{env}/{group}/views" example:"ambit paa views set north_paa -f views.json"`
}

type paaGroup struct {
	Group string `arg:"" help:"PAA group."`
}

type listPaaGroups struct{ listing }

type putPaaGroup struct {
	replaceAll
	object
}

type listPaaSources struct {
	listing
	paaGroup
}

type showPaaSource struct {
	showing
	paaGroup
	object
}

type createPaaSource struct {
	replaceAll
	paaGroup
}

type updatePaaSource struct {
	replaceAll
	paaGroup
	object
}

type deletePaaSource struct {
	removing
	paaGroup
	object
}

type showPaaViews struct {
	showing
	paaGroup
}

type setPaaViews struct {
	replaceAll
	paaGroup
}
