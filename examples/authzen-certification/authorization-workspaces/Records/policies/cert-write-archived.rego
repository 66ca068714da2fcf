# METADATA
# custom:
#   plainid:
#     policyId: cert-write-archived
#     name: Admins write archived records
#     accessType: Allow
#     policyUse: DYNAMIC_AUTHORIZATION_SERVICE
#     applications: 
#       - id: records-app
package policy
import rego.v1

# METADATA
# custom:
#   plainid:
#     kind: DynamicGroup
#     name: Admins
#     id: e5e2df17-71b8-5da2-ab7c-c67c938b65ff
dynamic_group(identity) if {
	identity.template == "user"
	identity["role"] == "admin"
}

# METADATA
# custom:
#   plainid:
#     kind: Ruleset
#     name: Archived records
#     id: f90ea22a-7161-5990-8628-8c7785d7a5f1
ruleset(asset, identity, requestParams, action) if {
	asset.template == "record"
	asset["status"] == "archived"
	action.id in ["write"]
}
