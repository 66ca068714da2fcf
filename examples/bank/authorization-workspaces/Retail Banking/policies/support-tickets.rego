# METADATA
# custom:
#   plainid:
#     policyId: support-tickets
#     name: Client support opens the papers of a ticket
#     description: "Only papers of the ticket stated in the request, and only of the own country."
#     accessType: Allow
#     policyUse: DYNAMIC_AUTHORIZATION_SERVICE
#     sourceEnvironmentId: 5e7d0c1a-9b3f-4a57-8c21-0d6f5b8e4a10
#     applications: 
#       - id: document-archive
#     customAttributes:
#       owner: "Client Support"
#       controls: ["GDPR-32"]
package policy
import rego.v1

# METADATA
# custom:
#   plainid:
#     kind: DynamicGroup
#     name: Client support
#     id: 71bb99a7-3c96-58a2-9533-b6bf65de9303
dynamic_group(identity) if {
	identity.template == "Staff"
	identity["department"] == "Client Support"
}

# METADATA
# custom:
#   plainid:
#     kind: Ruleset
#     name: Documents of the ticket
#     id: ba972b7d-10cd-5656-8175-df97e22f3c9f
ruleset(asset, identity, requestParams, action) if {
	asset.template == "Documents"
	identity.template == "Staff"
	asset["ticket"] == requestParams["ticket"]
	asset["country"] == identity["country"]
	action.id in ["Read"]
}

# METADATA
# custom:
#   plainid:
#     kind: Condition Request
#     name: A support ticket is open
#     id: 895d7135-8e9f-5ce3-bae7-39d70b3d52e1
condition_request(requestParams) if {
	requestParams["channel"] in ["branch", "phone"]
	startswith(requestParams["ticket"], "INC-")
}

# METADATA
# custom:
#   plainid:
#     kind: Condition Request
#     name: A support ticket is open
#     id: 895d7135-8e9f-5ce3-bae7-39d70b3d52e1
condition_request(requestParams) if {
	requestParams["channel"] == "chat"
	startswith(requestParams["ticket"], "CHAT-")
}