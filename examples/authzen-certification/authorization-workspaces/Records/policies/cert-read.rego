# METADATA
# custom:
#   plainid:
#     policyId: cert-read
#     name: Everyone reads
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
#     name: Everyone
#     id: 305fdf92-b695-5b6e-a7ce-446bf29b8184
dynamic_group(identity) if {
	identity.template == "user"
}

# METADATA
# custom:
#   plainid:
#     kind: Ruleset
#     name: All records
#     id: 5529aa4f-0a16-5af7-aa11-832a23f14a91
ruleset(asset, identity, requestParams, action) if {
	asset.template == "record"
	action.id in ["read"]
}
