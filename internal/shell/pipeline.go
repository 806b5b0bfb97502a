package shell

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"io/fs"
	"log/slog"
	"os"
	"strings"

	"github.com/redpanda-data/benthos/v4/public/service"
	"github.com/urfave/cli/v2"

	"github.com/penstock/penstock/input"
	"github.com/penstock/penstock/lifecycle"
	"github.com/penstock/penstock/output"
)

// The components that the commands know.
const (
	inputName  = "postgres_cdc"
	outputName = "clickhouse"
)

// pipeline is a pipeline file taken apart.
type pipeline struct {
	path    string
	lints   []string
	inputs  []*input.Plan
	outputs []*output.Plan
	// processors says that rows may be changed on their way.
	processors bool
	// caches are the YAML of cache resources by label.
	caches map[string]string
}

// pathArgument returns the one argument, a pipeline file.
func pathArgument(c *cli.Context, args []string) (string, error) {
	if len(args) != 1 {
		return "", fail(exitUsage, "%s takes one pipeline file, got %d arguments: see penstock %s --help", c.Command.Name, len(args), c.Command.Name)
	}
	return args[0], nil
}

// readPipeline reads a pipeline file as `run` does, with environment variables replaced. What a linter would say is in
// lints; the error is that of a file that cannot be made sense of.
func readPipeline(path string) (*pipeline, error) {
	content, err := os.ReadFile(path)
	if errors.Is(err, fs.ErrNotExist) {
		return nil, fail(exitUsage, "there is no file %s", path)
	}
	if err != nil {
		return nil, fail(exitUsage, "reading the pipeline: %w", err)
	}
	p := &pipeline{path: path, caches: map[string]string{}}
	env := service.GlobalEnvironment()
	schema := env.FullConfigSchema("", "")
	lints, err := schema.NewStreamConfigLinter().LintYAML(content)
	if err != nil {
		return nil, fail(exitUsage, "reading %s: %w", path, err)
	}
	for _, lint := range lints {
		p.lints = append(p.lints, fmt.Sprintf("line %d: %s", lint.Line, lint.What))
	}
	config, err := configOf(schema, string(content))
	if err != nil {
		return nil, p.reading(err)
	}
	if err := schema.NewStreamConfigWalker().WalkComponentsAny(config, p.component); err != nil {
		return nil, p.reading(err)
	}
	if len(p.inputs) == 0 {
		return nil, p.reading(errors.New("it has no input " + inputName))
	}
	return p, nil
}

// configOf returns the parts of a configuration that hold components, with environment variables replaced. A stream
// builder could walk them too, but hides secrets.
func configOf(schema *service.ConfigSchema, content string) (map[string]any, error) {
	file, err := schema.NewConfigQuerier().ParseYAML(content)
	if err != nil {
		return nil, err
	}
	config := map[string]any{}
	for _, part := range []string{"input", "pipeline", "output", "input_resources", "processor_resources", "output_resources", "cache_resources"} {
		field, err := file.FieldAtPath(part)
		if err != nil {
			return nil, err
		}
		value, err := field.FieldAny()
		if err != nil {
			return nil, err
		}
		if config[part], err = plain(value); err != nil {
			return nil, err
		}
	}
	return config, nil
}

// plain resolves the nodes of YAML in a value.
func plain(value any) (any, error) {
	var err error
	switch v := value.(type) {
	case interface{ Decode(any) error }:
		var decoded any
		err = v.Decode(&decoded)
		return decoded, err
	case []any:
		list := make([]any, len(v))
		for i := range v {
			if list[i], err = plain(v[i]); err != nil {
				return nil, err
			}
		}
		return list, nil
	case map[string]any:
		fields := make(map[string]any, len(v))
		for name := range v {
			if fields[name], err = plain(v[name]); err != nil {
				return nil, err
			}
		}
		return fields, nil
	}
	return value, nil
}

// reading is the error of a file that cannot be used. Where lints were found, they say more.
func (p *pipeline) reading(err error) error {
	if len(p.lints) > 0 {
		return fail(exitUsage, "reading %s: %w (%s)", p.path, err, strings.Join(p.lints, "; "))
	}
	return fail(exitUsage, "reading %s: %w", p.path, err)
}

func (p *pipeline) component(w *service.WalkedComponent) error {
	switch {
	case w.ComponentType == "input" && w.Name == inputName:
		fields, err := fieldsOf(w)
		if err != nil {
			return err
		}
		plan, err := input.NewPlan(fields, w.Label)
		if err != nil {
			return fmt.Errorf("%s: %w", w.Path, err)
		}
		p.inputs = append(p.inputs, plan)
	case w.ComponentType == "output" && w.Name == outputName:
		fields, err := fieldsOf(w)
		if err != nil {
			return err
		}
		plan, err := output.NewPlan(fields)
		if err != nil {
			return fmt.Errorf("%s: %w", w.Path, err)
		}
		p.outputs = append(p.outputs, plan)
	case w.ComponentType == "processor":
		p.processors = true
	case w.ComponentType == "cache" && w.Label != "":
		p.caches[w.Label] = w.ConfigYAML()
	}
	return nil
}

// fieldsOf returns the fields of a component as JSON, which is YAML.
func fieldsOf(w *service.WalkedComponent) (string, error) {
	value, err := w.ConfigAny()
	if err != nil {
		return "", fmt.Errorf("%s: %w", w.Path, err)
	}
	component, _ := value.(map[string]any)
	fields, err := json.Marshal(component[w.Name])
	if err != nil {
		return "", fmt.Errorf("%s: %w", w.Path, err)
	}
	return string(fields), nil
}

// only returns the input and the output of a pipeline that has one of each.
func (p *pipeline) only() (*input.Plan, *output.Plan, error) {
	switch {
	case len(p.inputs) > 1:
		return nil, nil, fail(exitUsage, "%s has %d inputs %s: this command works on one pipe", p.path, len(p.inputs), inputName)
	case len(p.outputs) != 1:
		return nil, nil, fail(exitUsage, "%s has %d outputs %s, and this command needs one", p.path, len(p.outputs), outputName)
	}
	return p.inputs[0], p.outputs[0], nil
}

// store opens the durable state of a pipe; release gives it back.
func (p *pipeline) store(plan *input.Plan) (store lifecycle.Store, release func(context.Context), err error) {
	release = func(context.Context) {}
	var resources *service.Resources
	if label := plan.StateCache(); label != "" {
		builder := service.NewResourceBuilder()
		builder.SetLogger(slog.New(slog.DiscardHandler))
		cache, found := p.caches[label]
		if !found {
			return nil, nil, fail(exitUsage, "%s has no cache resource %q, which field `checkpoint_cache` names", p.path, label)
		}
		if err := builder.AddCacheYAML(cache); err != nil {
			return nil, nil, fail(exitUsage, "cache resource %q: %w", label, err)
		}
		var closeAll func(context.Context) error
		if resources, closeAll, err = builder.Build(); err != nil {
			return nil, nil, fail(exitUnreachable, "opening cache resource %q: %w", label, err)
		}
		release = func(ctx context.Context) { _ = closeAll(ctx) }
	}
	if store, err = plan.Store(resources); err != nil {
		release(context.Background())
		return nil, nil, err
	}
	if closer, ok := store.(io.Closer); ok {
		release = func(context.Context) { _ = closer.Close() }
	}
	return store, release, nil
}
