# METADATA
# custom:
#   plainid:
#     policyId: private-banking
#     name: Private bankers look after their own clients
#     description: "The banker named as relationship manager, and nobody else of the department."
#     accessType: Allow
#     policyUse: DYNAMIC_AUTHORIZATION_SERVICE
#     sourceEnvironmentId: 5e7d0c1a-9b3f-4a57-8c21-0d6f5b8e4a10
#     applications: 
#       - id: branch-portal
#     customAttributes:
#       owner: "Private Banking"
#       controls: ["ICT-04"]
package policy
import rego.v1

# METADATA
# custom:
#   plainid:
#     kind: DynamicGroup
#     name: Private bankers
#     id: 151cfe71-0f08-5cfe-819c-8e50bf6ca42f
dynamic_group(identity) if {
	identity.template == "Staff"
	identity["department"] == "Private Banking"
}

# METADATA
# custom:
#   plainid:
#     kind: Ruleset
#     name: Accounts of the own clients
#     id: ef756bcf-bd0d-5db2-bd18-b9a63fdd4140
ruleset(asset, identity, requestParams, action) if {
	asset.template == "Accounts"
	identity.template == "Staff"
	asset["relationshipManager"] == identity["uid"]
	action.id in ["BlockCard","Update","View"]
}