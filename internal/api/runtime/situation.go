package runtime

import (
	"github.com/ambit-authz/ambit/internal/decide"
	"github.com/ambit-authz/ambit/internal/model"
)

// situation reads what every question has in common; context is the contextData of the primary identity.
func (c *coercer) situation() (s decide.Situation, context valueMap) {
	s.Primary, context = c.claim()
	c.objects("additionalIdentities", func(c *coercer) {
		claim, _ := c.claim()
		s.Additional = append(s.Additional, claim)
	}, nil)
	c.circumstances(&s)
	return s, context
}

// circumstances reads from where and when a question is asked (runtime-api.md 6).
func (c *coercer) circumstances(s *decide.Situation) {
	s.Environment = c.values("environment").byName()
	s.RemoteIP = c.address("remoteIp", "remoteIP")
	s.ZoneOffset = c.offset("timeZoneOffset")
	s.CombinedMultiValue = c.strictFlag("combinedMultiValue")
}

// claim reads the fields of one identity (runtime-api.md 5.1).
func (c *coercer) claim() (decide.Claim, valueMap) {
	context := c.values("contextData")
	return decide.Claim{
		EntityID: c.text("entityId"), Template: model.TemplateID(c.text("entityTypeId")),
		Attributes: c.values("entityAttributes").byName(), Context: context.byName(),
	}, context
}

// asset reads the asset that an object describes; its type stands elsewhere.
func (c *coercer) asset(template model.TemplateID) decide.AssetClaim {
	return decide.AssetClaim{Template: template, Path: c.text("path"), Attributes: c.values("assetAttributes").byName()}
}
