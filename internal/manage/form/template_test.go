package form_test

import (
	"strings"
	"testing"

	"github.com/google/go-cmp/cmp"

	"github.com/ambit-authz/ambit/internal/manage/form"
)

// policy-model.md 3.5: the function of an attribute that is not calculated is kept word for word in every kind of type, and makes no values.
func TestUnusedCalculation(t *testing.T) {
	for _, source := range []string{"REQUEST", "EXTERNAL", "PLAINID"} {
		for _, stated := range []string{"", `,"isCalculated":false`} {
			body := `{"templateId":"Cargo","displayName":"Cargo","source":"` + source + `","paaGroupId":"g","viewName":"v","attributes":[{"attributeId":"a","displayName":"A","type":"STRING","calculationFunction":" UPPER( path )"` + stated + `}],"actions":[]}`
			asset, err := form.ParseAssetTemplate([]byte(body))
			if err != nil {
				t.Fatal(err)
			}
			if c, err := asset.Calculation(&asset.Attributes[0]); c != nil || err != nil {
				t.Errorf("%s: calculated by %+v, %v", source, c, err)
			}
			out := form.FormatAssetTemplate(&asset)
			if !strings.Contains(string(out), `"calculationFunction":" UPPER( path )","isCalculated":false`) {
				t.Errorf("exported %s", out)
			}
			if w := asset.CalculationWarnings(); len(w) != 1 || w[0].Code != "MW-02" {
				t.Errorf("warnings %v", w)
			}
			again, err := form.ParseAssetTemplate(out)
			if diff := cmp.Diff(asset, again); diff != "" || err != nil {
				t.Errorf("read again: %v %s", err, diff)
			}
		}
	}
}

// Other tools write an empty function where there is none: that is kept, and nothing to warn of.
func TestEmptyCalculation(t *testing.T) {
	asset, err := form.ParseAssetTemplate([]byte(`{"templateId":"Cargo","displayName":"Cargo","source":"PLAINID","attributes":[{"attributeId":"a","displayName":"A","type":"STRING","calculationFunction":" "}],"actions":[]}`))
	if err != nil {
		t.Fatal(err)
	}
	identity, err := form.ParseIdentityTemplate([]byte(`{"templateId":"Crew","attributes":[{"attributeId":"a","displayName":"A","type":"STRING","calculationFunction":""}]}`))
	if err != nil {
		t.Fatal(err)
	}
	if w := append(asset.CalculationWarnings(), identity.CalculationWarnings()...); len(w) > 0 {
		t.Errorf("warnings %v", w)
	}
}
