package cli

import (
	"fmt"
	"io"
	"strings"

	"github.com/alecthomas/kong"
)

type completionCommand struct {
	Shell string `arg:"" enum:"bash,zsh,fish" help:"bash, zsh or fish."`
}

// Help tells how to use the script.
func (completionCommand) Help() string {
	return `  bash: source <(ambit completion bash)
  zsh:  source <(ambit completion zsh)
  fish: ambit completion fish | source`
}

// Run prints a script made from the grammar itself, so that it knows every command and flag.
func (c completionCommand) Run(k *kong.Kong, s Streams) error {
	var b strings.Builder
	switch c.Shell {
	case "fish":
		fish(&b, k.Model.Node)
	case "zsh":
		b.WriteString("autoload -U +X bashcompinit && bashcompinit\n")
		bash(&b, k.Model.Node)
	default:
		bash(&b, k.Model.Node)
	}
	_, err := io.WriteString(s.Out, b.String())
	return err
}

// words are what can follow a command: its subcommands and flags.
func words(n *kong.Node) []string {
	var out []string
	for _, child := range n.Children {
		if !child.Hidden {
			out = append(out, child.Name)
		}
	}
	for _, f := range n.Flags {
		if !f.Hidden {
			out = append(out, "--"+f.Name)
		}
	}
	for _, p := range n.Positional {
		if p.Enum != "" {
			out = append(out, strings.Split(p.Enum, ",")...)
		}
	}
	return out
}

// walk visits every command with its path below the program.
func walk(n *kong.Node, path []string, visit func(path []string, n *kong.Node)) {
	visit(path, n)
	for _, child := range n.Children {
		if !child.Hidden {
			walk(child, append(path[:len(path):len(path)], child.Name), visit)
		}
	}
}

func bash(b *strings.Builder, program *kong.Node) {
	var known []string
	var cases strings.Builder
	walk(program, nil, func(path []string, n *kong.Node) {
		key := strings.Join(path, " ")
		if key != "" {
			known = append(known, `"`+key+`"`)
		}
		fmt.Fprintf(&cases, "    %q) COMPREPLY=($(compgen -W %q -- \"$word\")) ;;\n", key, strings.Join(words(n), " "))
	})
	fmt.Fprintf(b, `_ambit() {
  local word=${COMP_WORDS[COMP_CWORD]} path="" next
  for next in "${COMP_WORDS[@]:1:COMP_CWORD-1}"; do
    next="${path:+$path }$next"
    case "$next" in
    %s) path=$next ;;
    esac
  done
  case "$path" in
%s  esac
}
complete -o default -F _ambit ambit
`, strings.Join(known, "|"), cases.String())
}

func fish(b *strings.Builder, program *kong.Node) {
	quote := func(s string) string { return "'" + strings.ReplaceAll(s, "'", `\'`) + "'" }
	walk(program, nil, func(path []string, n *kong.Node) {
		condition := "__fish_use_subcommand"
		if len(path) > 0 {
			condition = "__fish_seen_subcommand_from " + strings.Join(path, "; and __fish_seen_subcommand_from ")
		}
		for _, child := range n.Children {
			if !child.Hidden {
				fmt.Fprintf(b, "complete -c ambit -f -n %s -a %s -d %s\n", quote(condition), child.Name, quote(child.Help))
			}
		}
		for _, f := range n.Flags {
			if !f.Hidden {
				fmt.Fprintf(b, "complete -c ambit -n %s -l %s -d %s\n", quote(condition), f.Name, quote(f.Help))
			}
		}
	})
}
