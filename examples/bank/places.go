package bank

import (
	"fmt"
	"math/rand/v2"
)

// city is a place with branches.
type city struct{ name, region, country string }

func cities() []city {
	return []city{
		{"Porto", "Iberia", "PT"},
		{"Lisbon", "Iberia", "PT"},
		{"Braga", "Iberia", "PT"},
		{"Coimbra", "Iberia", "PT"},
		{"Faro", "Iberia", "PT"},
		{"Madrid", "Iberia", "ES"},
		{"Seville", "Iberia", "ES"},
		{"Vigo", "Iberia", "ES"},
		{"Bilbao", "Iberia", "ES"},
		{"Valencia", "Iberia", "ES"},
		{"Lagos", "West Africa", "NG"},
		{"Abuja", "West Africa", "NG"},
		{"Kano", "West Africa", "NG"},
		{"Ibadan", "West Africa", "NG"},
		{"Accra", "West Africa", "GH"},
		{"Kumasi", "West Africa", "GH"},
		{"Dakar", "West Africa", "SN"},
		{"Abidjan", "West Africa", "CI"},
		{"Lomé", "West Africa", "TG"},
		{"Cotonou", "West Africa", "BJ"},
		{"Oslo", "Nordics", "NO"},
		{"Bergen", "Nordics", "NO"},
		{"Stockholm", "Nordics", "SE"},
		{"Malmö", "Nordics", "SE"},
		{"Gothenburg", "Nordics", "SE"},
		{"Copenhagen", "Nordics", "DK"},
		{"Aarhus", "Nordics", "DK"},
		{"Helsinki", "Nordics", "FI"},
		{"Turku", "Nordics", "FI"},
		{"Tampere", "Nordics", "FI"},
		{"London", "British Isles", "GB"},
		{"Leeds", "British Isles", "GB"},
		{"Bristol", "British Isles", "GB"},
		{"Glasgow", "British Isles", "GB"},
		{"Cardiff", "British Isles", "GB"},
		{"Belfast", "British Isles", "GB"},
		{"York", "British Isles", "GB"},
		{"Derby", "British Isles", "GB"},
		{"Dublin", "British Isles", "IE"},
		{"Cork", "British Isles", "IE"},
	}
}

// branch is an office; names look like Porto-07.
type branch struct{ name, region, country string }

const branchesPerCity = 12

func branches() []branch {
	var out []branch
	for _, c := range cities() {
		for i := range branchesPerCity {
			out = append(out, branch{fmt.Sprintf("%s-%02d", c.name, i+1), c.region, c.country})
		}
	}
	return out
}

func headOffice() branch { return branch{"Head Office", "Iberia", "PT"} }

// choice is a value with its weight.
type choice struct {
	weight int
	value  string
}

// pick draws one of the choices in proportion to their weights.
func pick(r *rand.Rand, choices []choice) string {
	total := 0
	for _, c := range choices {
		total += c.weight
	}
	n := r.IntN(total)
	for _, c := range choices {
		if n -= c.weight; n < 0 {
			return c.value
		}
	}
	return ""
}

// auditCases draws the audit cases of a record: most have none, some two.
func auditCases(r *rand.Rand, percent int) []string {
	if r.IntN(100) >= percent {
		return nil
	}
	cases := []string{auditCase(r.IntN(auditCaseCount))}
	if r.IntN(10) == 0 {
		cases = append(cases, auditCase(r.IntN(auditCaseCount)))
	}
	return cases
}

const auditCaseCount = 400

func auditCase(i int) string { return fmt.Sprintf("AC-2026-%03d", i+1) }

func costCentre(i int) string { return fmt.Sprintf("CC-%d", 1000+i) }

const costCentreCount = 250

// euros writes an amount of cents with two decimals.
func euros(cents int64) string { return fmt.Sprintf("%d.%02d", cents/100, cents%100) }
