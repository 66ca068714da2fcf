package rego

import (
	"strings"

	"github.com/open-policy-agent/opa/v1/ast"
)

// OPA is the outside judge of what is Rego.

// opaParse parses text as the style it is in: Rego version 1, or version 0 with every later keyword.
func opaParse(text string) (*ast.Module, error) {
	opt := ast.ParserOptions{RegoVersion: ast.RegoV0, AllFutureKeywords: true}
	if strings.Contains(text, "import rego.v1") {
		opt = ast.ParserOptions{RegoVersion: ast.RegoV1}
	}
	return ast.ParseModuleWithOpts("judged", text, opt)
}

// compile says why OPA does not compile text as Rego version 1 with readable annotations, "" when it does.
func compile(text string) string {
	m, err := ast.ParseModuleWithOpts("judged", text, ast.ParserOptions{RegoVersion: ast.RegoV1, ProcessAnnotation: true})
	if err != nil {
		return err.Error()
	}
	return opaCompile(m)
}

func opaCompile(m *ast.Module) string {
	c := ast.NewCompiler()
	if c.Compile(map[string]*ast.Module{"judged": m}); c.Failed() {
		return c.Errors.Error()
	}
	return ""
}
