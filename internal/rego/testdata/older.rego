# METADATA
# custom:
#	plainid:
#		name: Deck views
#		accessType: Allow
#		applications:
#			- harbour-app
package policy
import future.keywords

# METADATA
# custom:
#   plainid:
#     kind: DynamicGroup
#     name: North crew
dynamic_group(identity){
	identity.template == "Crew"
	identity.port == "north"
}

# METADATA
# custom:
#   plainid:
#     kind: DynamicGroup
#     name: South crew
dynamic_group1(identity){
	identity.template == "Crew"
	identity.port == "south"
}

# METADATA
# custom:
#   plainid:
#     kind: Ruleset
#     name: Deck cargo
ruleset(asset, identity){
	asset.template == "Cargo"
	asset["class"] == "deck"
}

# METADATA
# custom:
#   plainid:
#     kind: Action
#     name: Cargo actions
action(asset){
	asset.template == "Cargo"
	asset.action in ["View"]
}