# METADATA
# custom:
#   plainid:
#     policyId: deck
#     name: Deck views
#     accessType: Allow
#     policyUse: DYNAMIC_AUTHORIZATION_SERVICE
#     sourceEnvironmentId: 5b0c9d52-0f5e-4a77-9c1e-3d0a6f2b8e41
#     applications: 
#       - id: harbour-app
package policy
import rego.v1

# METADATA
# custom:
#   plainid:
#     kind: DynamicGroup
#     name: North crew
#     id: d8dbdd91-30bc-5289-8fc8-9061dbed6aab
dynamic_group(identity) if {
	identity.template == "Crew"
	identity["port"] == "north"
}

# METADATA
# custom:
#   plainid:
#     kind: DynamicGroup
#     name: South crew
#     id: cb6c9051-6c18-5c50-b1f2-bb582293a211
dynamic_group(identity) if {
	identity.template == "Crew"
	identity["port"] == "south"
}

# METADATA
# custom:
#   plainid:
#     kind: Ruleset
#     name: Deck cargo
#     id: 84add8fa-a8ad-5be1-9e44-4206370cd043
ruleset(asset, identity, requestParams, action) if {
	asset.template == "Cargo"
	asset["class"] == "deck"
	action.id in ["View"]
}