// Command generate writes the reference of Penstock's components into a folder,
// one page each: `go generate ./docs`.
package main

import (
	"errors"
	"fmt"
	"os"
	"path/filepath"

	"github.com/redpanda-data/benthos/v4/public/service"

	_ "github.com/penstock/penstock/input"
	_ "github.com/penstock/penstock/output"
)

func main() {
	if len(os.Args) != 2 {
		fmt.Fprintln(os.Stderr, "usage: generate FOLDER")
		os.Exit(2)
	}
	if err := generate(os.Args[1]); err != nil {
		fmt.Fprintln(os.Stderr, err)
		os.Exit(1)
	}
}

func generate(folder string) error {
	pages, err := pages()
	if err != nil {
		return err
	}
	for name, page := range pages {
		if err := os.WriteFile(filepath.Join(folder, name), page, 0o644); err != nil {
			return fmt.Errorf("writing the reference: %w", err)
		}
	}
	return nil
}

// pages returns the pages by file name. The engine itself registers no
// component, so that all there are are ours.
func pages() (map[string][]byte, error) {
	pages := map[string][]byte{}
	var errs []error
	add := func(name string, component *service.ConfigView) {
		page, err := render(component)
		if err != nil {
			errs = append(errs, fmt.Errorf("describing %s: %w", name, err))
		}
		pages[name+".md"] = page
	}
	env := service.GlobalEnvironment()
	env.WalkInputs(add)
	env.WalkOutputs(add)
	return pages, errors.Join(errs...)
}
