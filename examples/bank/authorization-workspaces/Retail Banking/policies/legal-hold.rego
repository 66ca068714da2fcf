# METADATA
# custom:
#   plainid:
#     policyId: legal-hold
#     name: Documents under legal hold stay inside
#     description: "Nobody outside compliance and legal downloads, shares or signs them."
#     accessType: Restrict
#     policyUse: DYNAMIC_AUTHORIZATION_SERVICE
#     sourceEnvironmentId: 5e7d0c1a-9b3f-4a57-8c21-0d6f5b8e4a10
#     applications: 
#       - id: branch-portal
#       - id: document-archive
#     customAttributes:
#       owner: "Compliance"
#       controls: ["GDPR-32"]
package policy
import rego.v1

# METADATA
# custom:
#   plainid:
#     kind: DynamicGroup
#     name: Everybody outside compliance
#     id: d622e90b-0020-51a1-bdb3-e2e7f6ea0389
dynamic_group(identity) if {
	identity.template == "Staff"
	not identity["department"] in ["Compliance", "Legal"]
}

# METADATA
# custom:
#   plainid:
#     kind: Ruleset
#     name: Documents under legal hold
#     id: 51e385ab-40e9-5a46-9ad8-cf1a8ce9dddb
#     description: "The tag is legal-hold, or legal-hold with a case number behind it"
ruleset(asset, identity, requestParams, action) if {
	asset.template == "Documents"
	contains(asset["tags"], "legal-hold")
	action.id in ["Download","Share","SignDocument"]
}