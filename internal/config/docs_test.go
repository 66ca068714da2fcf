package config

import (
	"fmt"
	"maps"
	"os"
	"reflect"
	"slices"
	"strings"
	"testing"
	"time"
)

// TestSettingsAreDocumented: the table of docs/operate.md has every setting, no other, and the right defaults.
func TestSettingsAreDocumented(t *testing.T) {
	want := map[string]reflect.Value{}
	settings(reflect.ValueOf(Default()), "", want)
	// What a setting that is not set stands for is told in words.
	words := map[string]string{"public_url": "from `listen`", "audit.file": "`audit.jsonl` in `data`"}
	documented := table(t)
	for _, key := range slices.Sorted(maps.Keys(want)) {
		text, found := documented[key]
		if !found {
			t.Errorf("docs/operate.md does not have %s", key)
			continue
		}
		if word, told := words[key]; told {
			if text != word || !want[key].IsZero() {
				t.Errorf("docs/operate.md gives %s the default %s, want %s", key, text, word)
			}
		} else if !isDefault(strings.Trim(text, "`"), want[key]) {
			t.Errorf("docs/operate.md gives %s the default %s, and it is %v", key, text, want[key])
		}
		delete(documented, key)
	}
	for key := range documented {
		t.Errorf("docs/operate.md has %s, which is no setting", key)
	}
}

// settings finds the keys of a configuration with their values.
func settings(v reflect.Value, prefix string, out map[string]reflect.Value) {
	for i := range v.NumField() {
		key := v.Type().Field(i).Tag.Get("koanf")
		switch {
		case key == "-": // from variables alone
			out["AMBIT_KEY_NAME"] = v.Field(i)
		case v.Field(i).Kind() == reflect.Struct:
			settings(v.Field(i), prefix+key+".", out)
		default:
			out[prefix+key] = v.Field(i)
		}
	}
}

// table reads the settings of docs/operate.md with their defaults.
func table(t *testing.T) map[string]string {
	t.Helper()
	text, err := os.ReadFile("../../docs/operate.md")
	if err != nil {
		t.Fatal(err)
	}
	_, rest, _ := strings.Cut(string(text), "\n| setting | default | meaning |\n| --- | --- | --- |\n")
	rows, _, found := strings.Cut(rest, "\n\n")
	if !found {
		t.Fatal("docs/operate.md has no table of settings")
	}
	out := map[string]string{}
	for row := range strings.Lines(rows) {
		cells := strings.Split(row, " | ")
		keys, defaults := strings.Split(strings.TrimPrefix(cells[0], "| "), ", "), strings.Split(cells[1], ", ")
		for i, key := range keys {
			out[strings.Trim(key, "`")] = defaults[min(i, len(defaults)-1)]
		}
	}
	return out
}

func isDefault(text string, v reflect.Value) bool {
	if text == "–" {
		return v.IsZero() || v.Kind() == reflect.Slice && v.Len() == 0
	}
	if d, ok := v.Interface().(time.Duration); ok {
		told, err := time.ParseDuration(text)
		return err == nil && told == d
	}
	return fmt.Sprint(v.Interface()) == text
}
