// Command penstock replicates PostgreSQL into ClickHouse. It is the Benthos
// command line with Penstock's components, a Prometheus exporter for metrics,
// and commands of its own.
package main

import (
	"context"
	"os"
	"slices"
	"strings"

	"github.com/redpanda-data/benthos/v4/public/service"
	"github.com/urfave/cli/v2"
)

const (
	binaryName = "penstock"
	repository = "https://github.com/penstock/penstock"
)

func main() {
	limitMemory()
	version, built := buildStamp()
	registerPrometheus(service.GlobalEnvironment())
	cli.AppHelpTemplate = help(cli.AppHelpTemplate)

	service.RunCLI(context.Background(),
		service.CLIOptSetArgs(withoutEnvironmentCheck(os.Args)...),
		service.CLIOptSetVersion(version, built),
		service.CLIOptSetBinaryName(binaryName),
		service.CLIOptSetProductName("Penstock"),
		service.CLIOptSetDocumentationURL(repository),
		service.CLIOptSetDefaultConfigPaths("/penstock.yaml", "/etc/penstock/config.yaml"),
		service.CLIOptSetMainSchemaFrom(func() *service.ConfigSchema { return schema(version, built) }),
		service.CLIOptAddCommand(demoCommand()),
		shellCommands(),
	)
}

// schema is that of a whole configuration file. Its default for `metrics` is
// prometheus, which Benthos sets by itself where an exporter of that name is
// registered.
func schema(version, built string) *service.ConfigSchema {
	s := service.GlobalEnvironment().FullConfigSchema(version, built)
	s.SetFieldDefault(map[string]any{"@service": binaryName}, "logger", "static_fields")
	// Like the status page, metrics are for this machine unless a file says
	// otherwise: Benthos would serve them to everybody.
	s.SetFieldDefault("127.0.0.1:4195", "http", "address")
	return s
}

// withoutEnvironmentCheck makes `lint` look at the file alone: whether
// POSTGRES_DSN is set matters where the file is run, and `run` says so there.
func withoutEnvironmentCheck(args []string) []string {
	if len(args) > 1 && args[1] == "lint" {
		return slices.Insert(slices.Clone(args), 2, "--skip-env-var-check")
	}
	return args
}

// help replaces what Benthos says of itself in a template of the help text: it
// has options for the names, but none for these lines.
func help(template string) string {
	return strings.NewReplacer(
		`{{template "helpNameTemplate" .}}`, `penstock - replicates PostgreSQL into ClickHouse - `+repository,
		`{{template "descriptionTemplate" .}}`, `Run a pipeline, or choose a command:

   penstock demo
   penstock create --small postgres_cdc//clickhouse > ./config.yaml
   penstock lint ./config.yaml
   penstock run ./config.yaml`,
	).Replace(template)
}
