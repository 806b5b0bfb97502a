package main

import (
	"github.com/redpanda-data/benthos/v4/public/service"

	"github.com/penstock/penstock/internal/shell"
)

// shellCommands adds the commands about pipes: status, pause, resume, resync,
// check, verify and drop.
func shellCommands() service.CLIOptFunc {
	return func(b *service.CLIOptBuilder) {
		for _, command := range shell.Commands() {
			service.CLIOptAddCommand(command)(b)
		}
	}
}
