package api

import _ "embed"

//go:embed openapi.yaml
var description string

// Description is the OpenAPI 3.1 description of every call, in YAML.
func Description() string { return description }
