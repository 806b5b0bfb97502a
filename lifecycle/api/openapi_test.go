package api

import (
	"context"
	"encoding/json"
	"fmt"
	"reflect"
	"slices"
	"strings"
	"testing"
)

// TestOpenAPIDescribesTheHandlers goes both ways: each route and method is in
// the document, each path of the document answers with a status it names, and
// the schemas have the fields of the structs.
func TestOpenAPIDescribesTheHandlers(t *testing.T) {
	var doc struct {
		Paths map[string]map[string]struct {
			Responses map[string]any `json:"responses"`
		} `json:"paths"`
		Components struct {
			Schemas map[string]struct {
				Properties map[string]any `json:"properties"`
				Required   []string       `json:"required"`
			} `json:"schemas"`
		} `json:"components"`
	}
	p := newFake("shop", "running")
	h := &handlers{options("", p)}
	served := handler(h.Options, true)
	w := do(served, request("GET", "/v1/openapi.json", ""))
	if err := json.Unmarshal(w.Body.Bytes(), &doc); err != nil {
		t.Fatal(err)
	}
	seen := 0
	for _, r := range h.routes() {
		path := strings.TrimSuffix(r.path, "{$}")
		for method := range r.methods {
			seen++
			op, ok := doc.Paths[path][strings.ToLower(method)]
			if !ok {
				t.Errorf("%s %s is not in the document", method, path)
				continue
			}
			ctx, cancel := context.WithCancel(context.Background())
			cancel() // a stream ends after its first events
			concrete := strings.NewReplacer("{name}", "shop", "{table}", "public.orders").Replace(path)
			for _, going := range []bool{false, true} {
				p.going = going || strings.HasSuffix(path, "resync")
				w := do(served, request(method, concrete, "").WithContext(ctx))
				if op.Responses[fmt.Sprint(w.Code)] == nil {
					t.Errorf("%s %s answered %d, which is not in the document", method, path, w.Code)
				}
			}
		}
	}
	documented := 0
	for _, methods := range doc.Paths {
		documented += len(methods)
	}
	if documented != seen {
		t.Errorf("the document has %d operations, the server %d", documented, seen)
	}
	for _, v := range []any{
		Status{},
		Failure{},
		Degraded{},
		Slot{},
		Table{},
		History{},
		PipeList{},
		PipeDetail{},
		ResyncRequest{},
		Health{},
		Readiness{},
		Problem{},
		PipesEvent{},
		StatusEvent{},
		TablesEvent{},
		HistoryEvent{},
		SampleEvent{},
	} {
		name := reflect.TypeOf(v).Name()
		schema := doc.Components.Schemas[name]
		required, optional := fields(reflect.TypeOf(v))
		var properties []string
		for p := range schema.Properties {
			properties = append(properties, p)
		}
		if all := append(append([]string{}, required...), optional...); !sameSet(all, properties) {
			t.Errorf("%s: the schema has %v, the struct %v", name, properties, all)
		}
		if name != "ResyncRequest" && !sameSet(required, schema.Required) {
			t.Errorf("%s: the schema requires %v, the struct %v", name, schema.Required, required)
		}
	}
}

// fields returns the JSON names of a struct's fields.
func fields(t reflect.Type) (required, optional []string) {
	for i := range t.NumField() {
		f := t.Field(i)
		if f.Anonymous {
			r, o := fields(f.Type)
			required, optional = append(required, r...), append(optional, o...)
			continue
		}
		name, flags, _ := strings.Cut(f.Tag.Get("json"), ",")
		switch {
		case name == "-":
		case flags == "omitempty":
			optional = append(optional, name)
		default:
			required = append(required, name)
		}
	}
	return required, optional
}

func sameSet(a, b []string) bool {
	slices.Sort(a)
	slices.Sort(b)
	return slices.Equal(a, b)
}
