package config

import (
	"errors"
	"fmt"
	"maps"
	"os"
	"slices"
	"strings"

	"github.com/go-viper/mapstructure/v2"
	koanfyaml "github.com/knadh/koanf/parsers/yaml"
	"github.com/knadh/koanf/providers/confmap"
	"github.com/knadh/koanf/providers/env/v2"
	"github.com/knadh/koanf/providers/rawbytes"
	"github.com/knadh/koanf/v2"
	"go.yaml.in/yaml/v3"
)

// Sources says where the settings come from. The zero Sources gives the defaults.
type Sources struct {
	File    string            // path of a YAML file; "" = none
	Environ []string          // as os.Environ; nil = none
	Flags   map[string]string // by key, such as "tls.cert"
}

// Load reads the settings: defaults, then the file, then the environment, then the flags. Variables that begin with
// AMBIT_ but name no setting are passed over, since container platforms and Ambit's own client commands set such ones; an
// unknown key in the file or the flags is an error.
func Load(s Sources) (Config, error) {
	c := Default()
	keys := knownKeys(c)
	k := koanf.New(".")
	if s.File != "" {
		text, err := os.ReadFile(s.File)
		if err != nil {
			return Config{}, fmt.Errorf("reading the configuration: %w", err)
		}
		if err := checkKeys(s.File, text, keys); err != nil {
			return Config{}, err
		}
		if err := k.Load(rawbytes.Provider(text), koanfyaml.Parser()); err != nil {
			return Config{}, fmt.Errorf("%s: %w", s.File, err)
		}
	}
	if err := k.Load(environment(s.Environ, keys), nil); err != nil {
		return Config{}, fmt.Errorf("reading the environment: %w", err)
	}
	flags := make(map[string]any, len(s.Flags))
	for key, value := range s.Flags {
		if _, known := keys[key]; !known {
			return Config{}, unknown(key, keys)
		}
		flags[key] = value
	}
	if err := k.Load(confmap.Provider(flags, "."), nil); err != nil {
		return Config{}, fmt.Errorf("reading the flags: %w", err)
	}
	err := k.UnmarshalWithConf("", &c, koanf.UnmarshalConf{DecoderConfig: &mapstructure.DecoderConfig{
		Result:           &c,
		TagName:          "koanf",
		ErrorUnused:      true,
		ZeroFields:       true,
		WeaklyTypedInput: true,
		DecodeHook: mapstructure.ComposeDecodeHookFunc(
			mapstructure.StringToTimeDurationHookFunc(), mapstructure.StringToSliceHookFunc(",")),
	}})
	if err != nil {
		return Config{}, badValues(err)
	}
	c.Keys = answerKeys(s.Environ)
	if err := c.Check(); err != nil {
		return Config{}, err
	}
	return c, nil
}

// answerKeys are the variables AMBIT_KEY_NAME by their names. An empty one counts as not set.
func answerKeys(environ []string) map[string]Secret {
	var out map[string]Secret
	for _, entry := range environ {
		variable, value, _ := strings.Cut(entry, "=")
		if name, ok := strings.CutPrefix(variable, "AMBIT_KEY_"); ok && value != "" {
			if out == nil {
				out = map[string]Secret{}
			}
			out[name] = Secret(value)
		}
	}
	return out
}

// badValues names every setting whose value has the wrong form, each on a line. The decoder leaves the value out: it may
// be a secret.
func badValues(err error) error {
	switch e := err.(type) { //nolint:errorlint // the walk goes down one level at a time
	case *mapstructure.DecodeError:
		return fmt.Errorf("setting %s: %w", e.Name(), e.Unwrap())
	case interface{ Unwrap() []error }:
		var problems []error
		for _, one := range e.Unwrap() {
			problems = append(problems, badValues(one))
		}
		return errors.Join(problems...)
	case interface{ Unwrap() error }:
		return badValues(e.Unwrap())
	}
	return err
}

// environment picks the variables that name a setting. An empty variable counts as not set.
func environment(environ []string, keys map[string]bool) koanf.Provider {
	byVariable := make(map[string]string, len(keys))
	for key, group := range keys {
		if !group {
			byVariable["AMBIT_"+strings.ToUpper(strings.ReplaceAll(key, ".", "_"))] = key
		}
	}
	return env.Provider(".", env.Opt{
		EnvironFunc: func() []string { return environ },
		TransformFunc: func(variable, value string) (string, any) {
			if value == "" {
				return "", nil
			}
			return byVariable[variable], value
		},
	})
}

// knownKeys lists the keys of the configuration; a group such as "tls" has the value true. The printed form is the
// list, so that it cannot fall behind.
func knownKeys(c Config) map[string]bool {
	var tree map[string]any
	if err := yaml.Unmarshal([]byte(c.String()), &tree); err != nil {
		panic("config: the default configuration cannot be printed: " + err.Error())
	}
	keys := map[string]bool{}
	var walk func(prefix string, tree map[string]any)
	walk = func(prefix string, tree map[string]any) {
		for key, value := range tree {
			below, group := value.(map[string]any)
			keys[prefix+key] = group
			walk(prefix+key+".", below)
		}
	}
	walk("", tree)
	return keys
}

// checkKeys reports unknown and repeated keys of a YAML text with their lines.
func checkKeys(file string, text []byte, keys map[string]bool) error {
	var document yaml.Node
	if err := yaml.Unmarshal(text, &document); err != nil {
		return fmt.Errorf("%s: %w", file, err)
	}
	if len(document.Content) == 0 {
		return nil
	}
	var problems []error
	report := func(n *yaml.Node, err error) {
		problems = append(problems, fmt.Errorf("%s:%d:%d: %w", file, n.Line, n.Column, err))
	}
	var walk func(prefix string, n *yaml.Node)
	walk = func(prefix string, n *yaml.Node) {
		if n.Kind != yaml.MappingNode {
			report(n, errors.New("a list of settings (key: value) is expected here"))
			return
		}
		for i := 0; i+1 < len(n.Content); i += 2 {
			key := prefix + n.Content[i].Value
			group, known := keys[key]
			switch {
			case !known:
				report(n.Content[i], unknown(key, keys))
			case group:
				walk(key+".", n.Content[i+1])
			}
		}
	}
	walk("", document.Content[0])
	return errors.Join(problems...)
}

func unknown(key string, keys map[string]bool) error {
	names := slices.DeleteFunc(slices.Sorted(maps.Keys(keys)), func(k string) bool { return keys[k] })
	return fmt.Errorf("unknown setting %q; the settings are %s", key, strings.Join(names, ", "))
}
