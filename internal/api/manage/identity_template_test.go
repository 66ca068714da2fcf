package manage

func identityTemplateRows() map[string]string {
	return map[string]string{
		"POST " + identityTemplates: "write", "POST " + identityTemplatesV2: "write", "GET " + identityTemplate: "read",
		"GET " + identityTemplatesV2 + "/{identityTemplateId}": "read", "PATCH " + identityTemplate: "write",
		"PUT " + identitySources: "write", "GET " + identitySources: "read", "PATCH " + identitySource: "write",
		"GET " + mapperSets: "read", "POST " + mapperSets: "write", "GET " + mapperSet: "read", "PATCH " + mapperSet: "write",
		"DELETE " + mapperSet: "write",
	}
}
