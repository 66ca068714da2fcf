# METADATA
# custom:
#   plainid:
#     policyId: portal-screens
#     name: Everybody sees the screens of the own job
#     description: "Menus, screens and buttons of the branch portal."
#     accessType: Allow
#     policyUse: DYNAMIC_AUTHORIZATION_SERVICE
#     sourceEnvironmentId: 5e7d0c1a-9b3f-4a57-8c21-0d6f5b8e4a10
#     applications: 
#       - id: branch-portal
#     customAttributes:
#       owner: "Branch Portal Team"
package policy
import rego.v1

# METADATA
# custom:
#   plainid:
#     kind: DynamicGroup
#     name: Staff All Users
#     id: 8bde3266-9151-5d06-80cb-3974035b8606
dynamic_group(identity) if {
	identity.template == "Staff"
}

# METADATA
# custom:
#   plainid:
#     kind: Ruleset
#     name: Screens of the job
#     id: 7af1cbf0-e1be-5951-a872-6d0dc35a1323
ruleset(asset, identity, requestParams, action) if {
	asset.template == "PortalClaims"
	identity.template == "Staff"
	asset["audience"] == identity["jobTitle"]
	asset["minimumGrade"] <= identity["grade"]
	action.id in ["Access"]
}

# METADATA
# custom:
#   plainid:
#     kind: Ruleset
#     name: Screens of the job
#     id: 7af1cbf0-e1be-5951-a872-6d0dc35a1323
ruleset(asset, identity, requestParams, action) if {
	asset.template == "PortalClaims"
	asset["audience"] == "Everybody"
	action.id in ["Access"]
}

# METADATA
# custom:
#   plainid:
#     kind: Ruleset
#     name: Screens of the job
#     id: 7af1cbf0-e1be-5951-a872-6d0dc35a1323
ruleset(asset, identity, requestParams, action) if {
	asset.template == "PortalClaims"
	startswith(asset["path"], "portal/help/")
	action.id in ["Access"]
}