package manage

func consoleRows() map[string]string {
	return map[string]string{
		"GET " + consoleEnvironments: "any", "GET " + consoleAuthorizationWorkspaces: "read",
		"GET " + consoleIdentityWorkspaces: "read", "GET " + consoleAssetTypes: "any",
	}
}
