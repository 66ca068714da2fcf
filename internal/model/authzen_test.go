package model

import "testing"

// az-15: what a request asks for is capped by the scope; what is none of the words asks for nothing.
func TestDetailFor(t *testing.T) {
	for _, tt := range []struct {
		set, limit, asked, want Detail
	}{
		{"", "", "", DetailNone},
		{"", "", DetailReasons, DetailReasons},
		{"", "", DetailPolicies, DetailReasons},
		{"", "", "Policies", DetailNone},
		{"", DetailPolicies, DetailPolicies, DetailPolicies},
		{"", DetailPolicies, "", DetailNone},
		{DetailPolicies, "", "", DetailReasons},
		{DetailPolicies, DetailPolicies, "", DetailPolicies},
		{DetailPolicies, DetailPolicies, DetailNone, DetailNone},
		{DetailReasons, DetailNone, "", DetailNone},
		{DetailReasons, DetailNone, DetailPolicies, DetailNone},
		{DetailReasons, DetailPolicies, "all", DetailReasons},
	} {
		s := AuthZENSettings{Detail: tt.set, DetailMax: tt.limit}
		if got := s.DetailFor(tt.asked); got != tt.want {
			t.Errorf("%+v: %s, want %s", tt, got, tt.want)
		}
	}
}
