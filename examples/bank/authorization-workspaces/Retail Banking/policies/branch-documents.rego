# METADATA
# custom:
#   plainid:
#     policyId: branch-documents
#     name: Branches read their client papers
#     description: "Tellers see what the counter needs, managers nearly everything of the branch."
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
#     name: Branch tellers
#     id: 9b73734b-19e7-5d82-80ea-156d73c10fa1
#     description: "Permanent staff at the counter"
dynamic_group(identity) if {
	identity.template == "Staff"
	identity["jobTitle"] in ["Teller", "Senior Teller"]
	identity["grade"] >= 2
	identity["employment"] != "contractor"
}

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
#     name: Client papers of the own branch
#     id: 5dd0db03-46cb-5a75-87d2-5c70a3054c15
ruleset(asset, identity, requestParams, action) if {
	asset.template == "Documents"
	identity.template == "Staff"
	asset["branch"] == identity["branch"]
	not asset["docType"] in ["audit report", "internal memo"]
	asset["sensitivity"] <= 2
	action.id in ["Read"]
}

# METADATA
# custom:
#   plainid:
#     kind: Ruleset
#     name: Client papers of the own branch
#     id: 5dd0db03-46cb-5a75-87d2-5c70a3054c15
ruleset(asset, identity, requestParams, action) if {
	asset.template == "Documents"
	identity.template == "Staff"
	asset["branch"] == identity["branch"]
	asset["tags"] in ["counter"]
	action.id in ["Read"]
}