package main

import (
	"bytes"
	_ "embed"
	"encoding/json"
	"fmt"
	"strings"
	"text/template"

	"github.com/redpanda-data/benthos/v4/public/service"
)

//go:embed page.md.tmpl
var pageText string

var pageTemplate = template.Must(template.New("page").Parse(pageText))

// page is what the template is given.
type page struct {
	service.TemplateDataPlugin
	// Fields in the order of the specification, each before those within it.
	Fields []field
	// Common and All are configurations with the fields' defaults.
	Common, All string
}

// field is one field of a component.
type field struct {
	Path        string // with dots: lifecycle.address
	Description string
	// Facts is type, default and the like, in one line of Markdown.
	Facts    string
	Options  []string // of a choice, as Markdown
	Examples []string // YAML
}

// specification is what [service.ConfigView.FormatJSON] tells of a component
// or a field and TemplateData does not: what a list or map is of, and whether a
// field without a default may be left out.
type specification struct {
	Config   *specification  `json:"config"`
	Children []specification `json:"children"`

	Name        string      `json:"name"`
	Type        string      `json:"type"`
	Kind        string      `json:"kind"`
	Description string      `json:"description"`
	IsAdvanced  bool        `json:"is_advanced"`
	IsOptional  bool        `json:"is_optional"`
	IsSecret    bool        `json:"is_secret"`
	Interpolate bool        `json:"interpolated"`
	Default     any         `json:"default"`
	Annotated   [][2]string `json:"annotated_options"`
	Options     []string    `json:"options"`
}

func render(component *service.ConfigView) ([]byte, error) {
	data, err := component.TemplateData()
	if err != nil {
		return nil, err
	}
	text, err := component.FormatJSON()
	if err != nil {
		return nil, err
	}
	var spec specification
	if err := json.Unmarshal(text, &spec); err != nil {
		return nil, err
	}
	examples := map[string][]string{}
	for _, f := range data.Fields {
		examples[f.FullName] = f.ExamplesMarshalled
	}
	p := page{
		TemplateDataPlugin: data, Fields: spec.Config.fields(nil, "", examples),
		Common: unscrubbed(data.CommonConfigYAML), All: unscrubbed(data.AdvancedConfigYAML),
	}
	var b bytes.Buffer
	err = pageTemplate.Execute(&b, p)
	return append(bytes.TrimSpace(b.Bytes()), '\n'), err
}

// unscrubbed removes what a secret without a default is shown as.
func unscrubbed(config string) string {
	return strings.TrimSpace(strings.ReplaceAll(config, "'!!!SECRET_SCRUBBED!!!'", `""`))
}

// fields appends the fields within s, which is at path. examples are YAML by
// the path of their field.
func (s *specification) fields(to []field, path string, examples map[string][]string) []field {
	for i := range s.Children {
		child := &s.Children[i]
		f := field{Path: path + child.Name, Description: strings.TrimSpace(child.Description), Facts: child.facts()}
		for _, option := range child.Annotated {
			f.Options = append(f.Options, fmt.Sprintf("`%s`: %s", option[0], option[1]))
		}
		for _, option := range child.Options {
			f.Options = append(f.Options, fmt.Sprintf("`%s`", option))
		}
		for _, example := range examples[f.Path] {
			f.Examples = append(f.Examples, strings.TrimSpace(example))
		}
		to = append(to, f)
		within := f.Path + "."
		switch child.Kind {
		case "array":
			within = f.Path + "[]."
		case "map":
			within = f.Path + ".<name>."
		}
		to = child.fields(to, within, examples)
	}
	return to
}

// facts says in a line what can be said of any field.
func (s *specification) facts() string {
	kind := s.Type
	switch {
	case s.Kind == "array":
		kind = "list of " + kind
	case s.Kind == "map" && s.Type == "unknown":
		kind = "map"
	case s.Kind == "map":
		kind = "map of " + kind
	}
	facts := []string{"Type: " + kind}
	switch {
	case s.Default != nil:
		text, _ := json.Marshal(s.Default) // it was read as JSON
		facts = append(facts, "default: `"+string(text)+"`")
	case s.IsOptional:
		facts = append(facts, "optional")
	case len(s.Children) == 0:
		facts = append(facts, "**required**")
	}
	if s.Interpolate {
		facts = append(facts, "may hold interpolations")
	}
	if s.IsSecret {
		facts = append(facts, "secret: use an environment variable")
	}
	if s.IsAdvanced {
		facts = append(facts, "advanced")
	}
	return strings.Join(facts, " · ")
}
