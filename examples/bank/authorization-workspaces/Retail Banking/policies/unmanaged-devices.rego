# METADATA
# custom:
#   plainid:
#     policyId: unmanaged-devices
#     name: No sensitive papers on devices we do not manage
#     description: "Reading on the screen stays possible."
#     accessType: Restrict
#     policyUse: DYNAMIC_AUTHORIZATION_SERVICE
#     sourceEnvironmentId: 5e7d0c1a-9b3f-4a57-8c21-0d6f5b8e4a10
#     applications: 
#       - id: branch-portal
#       - id: document-archive
#     customAttributes:
#       owner: "Information Security"
#       controls: ["ICT-04"]
package policy
import rego.v1

# METADATA
# custom:
#   plainid:
#     kind: DynamicGroup
#     name: Devices we do not manage
#     id: 6ae0bae4-28bc-5667-a8dd-371abf45228b
dynamic_group(identity) if {
	identity.template == "Device"
	identity["posture"] != "managed"
}

# METADATA
# custom:
#   plainid:
#     kind: Ruleset
#     name: Sensitive documents
#     id: 40b7d711-b93d-5f09-b77c-413146054be9
ruleset(asset, identity, requestParams, action) if {
	asset.template == "Documents"
	asset["sensitivity"] >= 2
	action.id in ["Download","Share","SignDocument"]
}