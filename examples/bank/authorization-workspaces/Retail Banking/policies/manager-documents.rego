# METADATA
# custom:
#   plainid:
#     policyId: manager-documents
#     name: Managers pass on papers of their branch
#     description: "Managers may download and share what is not secret."
#     accessType: Allow
#     policyUse: DYNAMIC_AUTHORIZATION_SERVICE
#     sourceEnvironmentId: 5e7d0c1a-9b3f-4a57-8c21-0d6f5b8e4a10
#     applications: 
#       - id: branch-portal
#       - id: document-archive
#     customAttributes:
#       owner: "Document Management"
#       controls: ["GDPR-32"]
package policy
import rego.v1

# METADATA
# custom:
#   plainid:
#     kind: DynamicGroup
#     name: Branch managers
#     id: 1e2187e2-1d0b-5372-af26-3ee0bed62e07
dynamic_group(identity) if {
	identity.template == "Staff"
	identity["jobTitle"] == "Branch Manager"
	identity["grade"] > 5
}

# METADATA
# custom:
#   plainid:
#     kind: DynamicGroup
#     name: Devices All Users
#     id: 712a9be4-af43-5248-8087-2856dfd59c9d
dynamic_group(identity) if {
	identity.template == "Device"
}

# METADATA
# custom:
#   plainid:
#     kind: Ruleset
#     name: All papers of the own branch
#     id: dae2b2c2-81f0-5bdd-bdad-2ec5d6448db9
ruleset(asset, identity, requestParams, action) if {
	asset.template == "Documents"
	identity.template == "Staff"
	asset["branch"] == identity["branch"]
	asset["sensitivity"] < 4
	action.id in ["Download","Read","Share"]
}