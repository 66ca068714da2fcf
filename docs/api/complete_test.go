package api

import (
	"slices"
	"strings"
	"testing"

	"github.com/getkin/kin-openapi/openapi3"
)

// each calls fn for every operation, with a name for messages.
func each(t *testing.T, fn func(name, method, path string, operation *openapi3.Operation)) {
	t.Helper()
	for path, item := range load(t).Paths.Map() {
		for method, operation := range item.Operations() {
			fn(method+" "+path, method, path, operation)
		}
	}
}

// TestOperationsAreDescribed: an operation has a summary and one of the tags that the description explains.
func TestOperationsAreDescribed(t *testing.T) {
	tags := map[string]bool{}
	for _, tag := range load(t).Tags {
		tags[tag.Name] = tag.Description != ""
	}
	each(t, func(name, _, _ string, operation *openapi3.Operation) {
		if operation.Summary == "" || operation.OperationID == "" {
			t.Errorf("%s has no summary or no id", name)
		}
		if len(operation.Tags) != 1 || !tags[operation.Tags[0]] {
			t.Errorf("%s: tags %v", name, operation.Tags)
		}
	})
}

// TestRefusalsAreDescribed: what the router and the reading of bodies refuse can happen to every operation of the
// management API (management-api.md 1.4 to 1.7).
func TestRefusalsAreDescribed(t *testing.T) {
	each(t, func(name, method, path string, operation *openapi3.Operation) {
		if operation.Security == nil || len(*operation.Security) != 1 || (*operation.Security)[0]["managementToken"] == nil {
			return
		}
		want := []string{"401", "403", "406", "500", "503"}
		if strings.Contains(path, "{envId}") {
			want = append(want, "404", "422")
		}
		if operation.RequestBody != nil {
			want = append(want, "413", "415")
		}
		single := method == "PUT" || method == "PATCH" || method == "DELETE"
		if single && strings.HasPrefix(path, "/ambit/1.0/environments/{envId}") {
			want = append(want, "412", "428")
		}
		if !canSucceed(operation) {
			return // not offered: the answer is 501 whatever is asked
		}
		for _, status := range want {
			if operation.Responses.Value(status) == nil {
				t.Errorf("%s lacks %s", name, status)
			}
		}
	})
}

func canSucceed(operation *openapi3.Operation) bool {
	for status := range operation.Responses.Map() {
		if strings.HasPrefix(status, "2") {
			return true
		}
	}
	return false
}

// TestExamples: who reads an operation sees a body that it takes and one that it answers. Archives and documents have
// none.
func TestExamples(t *testing.T) {
	each(t, func(name, _, path string, operation *openapi3.Operation) {
		if path == "/metrics" {
			return
		}
		if b := operation.RequestBody; b != nil && !hasExample(b.Value.Content) {
			t.Errorf("%s: the body has no example", name)
		}
		var answers []openapi3.Content
		for status, response := range operation.Responses.Map() {
			if strings.HasPrefix(status, "2") && len(response.Value.Content) > 0 {
				answers = append(answers, response.Value.Content)
			}
		}
		if len(answers) > 0 && !slices.ContainsFunc(answers, hasExample) {
			t.Errorf("%s: no answer has an example", name)
		}
	})
}

func hasExample(content openapi3.Content) bool {
	binary := true
	for media, c := range content {
		if c.Example != nil || len(c.Examples) > 0 {
			return true
		}
		binary = binary && slices.Contains([]string{"application/zip", "application/x-tar", "application/gzip", "application/pdf"}, media)
	}
	return binary
}

// TestFieldsAreDescribed: what a field of a question or its answer means is told by this description, also where it is PlainID's.
// So it is for the other calls of Ambit's own.
func TestFieldsAreDescribed(t *testing.T) {
	own := 0
	each(t, func(name, _, path string, operation *openapi3.Operation) {
		if !isRuntime(path) && !strings.Contains(path, "/signing-keys") {
			return
		}
		own++
		for _, p := range operation.Parameters {
			if p.Value.In == openapi3.ParameterInPath && p.Value.Name == "envId" {
				continue
			}
			if p.Value.Description == "" {
				t.Errorf("%s: parameter %s", name, p.Value.Name)
			}
		}
		var contents []openapi3.Content
		if operation.RequestBody != nil {
			contents = append(contents, operation.RequestBody.Value.Content)
		}
		for status, response := range operation.Responses.Map() {
			if strings.HasPrefix(status, "2") {
				contents = append(contents, response.Value.Content)
			}
		}
		for _, content := range contents {
			for _, media := range content {
				for _, field := range undescribed(media.Schema) {
					t.Errorf("%s: %s", name, field)
				}
			}
		}
	})
	if own < 40 {
		t.Errorf("found %d calls", own)
	}
}

// TestKnownAnswers: a GET that tells a version can answer 304, and an operation that can says by which header.
func TestKnownAnswers(t *testing.T) {
	known := 0
	each(t, func(name, method, _ string, operation *openapi3.Operation) {
		answer := operation.Responses.Value("200")
		versioned := method == "GET" && answer != nil && answer.Value.Headers["ETag"] != nil
		if operation.Responses.Value("304") == nil {
			if versioned {
				t.Errorf("%s has an ETag and is never 304", name)
			}
			return
		}
		known++
		if operation.Parameters.GetByInAndName(openapi3.ParameterInHeader, "If-None-Match") == nil {
			t.Errorf("%s can be 304 and has no If-None-Match", name)
		}
	})
	if known < 35 {
		t.Errorf("found %d operations", known)
	}
}

// undescribed are the fields of a schema, which must not hold itself, that say not what they are, nor of what they are a list.
func undescribed(ref *openapi3.SchemaRef) []string {
	if ref == nil || ref.Value == nil {
		return nil
	}
	s := ref.Value
	var out []string
	for name, field := range s.Properties {
		if field.Value.Description == "" && (field.Value.Items == nil || field.Value.Items.Value.Description == "") {
			out = append(out, name)
		}
		for _, below := range undescribed(field) {
			out = append(out, name+"."+below)
		}
	}
	for _, part := range slices.Concat(s.AllOf, s.AnyOf, s.OneOf, openapi3.SchemaRefs{s.Items, s.AdditionalProperties.Schema}) {
		out = append(out, undescribed(part)...)
	}
	return out
}
