package output

import (
	"errors"
	"fmt"
	"strings"
	"sync"

	"github.com/redpanda-data/benthos/v4/public/service"

	"github.com/penstock/penstock/internal/change"
)

// tableNames resolves the field `table` for messages. An interpolation costs more than the rest of the way of a row, so
// its result is kept per source table where it can depend on nothing else.
type tableNames struct {
	expression *service.InterpolatedString
	perTable   bool

	mu    sync.RWMutex
	names map[sourceName]string
}

type sourceName struct{ schema, table string }

func newTableNames(expression *service.InterpolatedString, text string) *tableNames {
	return &tableNames{expression: expression, perTable: dependsOnTableOnly(text), names: make(map[sourceName]string)}
}

// dependsOnTableOnly says whether an interpolated text uses nothing of a message but the metadata that names its table.
func dependsOnTableOnly(text string) bool {
	for {
		_, rest, found := strings.Cut(text, "${!")
		if !found {
			return true
		}
		expression, rest, found := strings.Cut(rest, "}")
		if !found {
			return false
		}
		switch strings.TrimSpace(expression) {
		case "@" + change.MetaTable, "@" + change.MetaDatabaseSchema,
			`meta("` + change.MetaTable + `")`, `meta("` + change.MetaDatabaseSchema + `")`,
			`metadata("` + change.MetaTable + `")`, `metadata("` + change.MetaDatabaseSchema + `")`:
		default:
			return false
		}
		text = rest
	}
}

// of returns the name of the destination table of a message.
func (n *tableNames) of(m *service.Message) (string, error) {
	if !n.perTable {
		return n.resolve(m)
	}
	schema, _ := m.MetaGet(change.MetaDatabaseSchema)
	table, _ := m.MetaGet(change.MetaTable)
	source := sourceName{schema, table}
	n.mu.RLock()
	name, known := n.names[source]
	n.mu.RUnlock()
	if known {
		return name, nil
	}
	name, err := n.resolve(m)
	if err != nil {
		return "", err
	}
	n.mu.Lock()
	n.names[source] = name
	n.mu.Unlock()
	return name, nil
}

func (n *tableNames) resolve(m *service.Message) (string, error) {
	name, err := n.expression.TryString(m)
	if err != nil {
		return "", fmt.Errorf("resolving field table: %w", err)
	}
	if name == "" {
		return "", errors.New("resolving field table: the name is empty")
	}
	return name, nil
}
