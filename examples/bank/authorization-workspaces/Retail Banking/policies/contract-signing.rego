# METADATA
# custom:
#   plainid:
#     policyId: contract-signing
#     name: Signatories sign contracts on a managed device
#     description: "With a device in the request, the device must be managed and patched as well."
#     accessType: Allow
#     policyUse: DYNAMIC_AUTHORIZATION_SERVICE
#     sourceEnvironmentId: 5e7d0c1a-9b3f-4a57-8c21-0d6f5b8e4a10
#     applications: 
#       - id: document-archive
#     customAttributes:
#       owner: "Legal"
package policy
import rego.v1

# METADATA
# custom:
#   plainid:
#     kind: DynamicGroup
#     name: Signatories
#     id: 62c05384-ecd3-5489-bcba-063730c8f55b
dynamic_group(identity) if {
	identity.template == "Staff"
	identity["roles"] in ["signatory"]
	identity["approvalLimit"] > 10000
}

# METADATA
# custom:
#   plainid:
#     kind: DynamicGroup
#     name: Managed and patched devices
#     id: a65321a2-c156-5360-aa8c-4310412ee1b0
dynamic_group(identity) if {
	identity.template == "Device"
	identity["posture"] == "managed"
	identity["patchAgeDays"] < 30
}

# METADATA
# custom:
#   plainid:
#     kind: Ruleset
#     name: Contracts of the own branch
#     id: 6f242123-437e-51fd-8c54-88cc82a88eb3
ruleset(asset, identity, requestParams, action) if {
	asset.template == "Documents"
	identity.template == "Staff"
	asset["branch"] == identity["branch"]
	asset["docType"] == "contract"
	endswith(asset["fileName"], ".pdf")
	action.id in ["Read","SignDocument"]
}