package manage

func workspaceRows() map[string]string {
	return map[string]string{
		"GET " + authorizationWorkspaces: "read", "POST " + authorizationWorkspaces: "write",
		"GET " + authorizationWorkspace: "read", "PUT " + authorizationWorkspace: "write", "PATCH " + authorizationWorkspace: "write",
		"DELETE " + authorizationWorkspace: "write",
		"GET " + identityWorkspaces:        "read", "POST " + identityWorkspaces: "write",
		"GET " + identityWorkspace: "read", "PUT " + identityWorkspace: "write", "PATCH " + identityWorkspace: "write",
		"DELETE " + identityWorkspace: "write",
		"GET " + matcher:              "read", "PUT " + matcher: "write", "DELETE " + matcher: "write",
	}
}
