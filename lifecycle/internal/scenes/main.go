// Command scenes serves every scene of package scene, each at an address of its
// own, and prints a line "name address" for each.
package main

import (
	"context"
	"flag"
	"fmt"
	"log"
	"os"
	"os/signal"

	"github.com/penstock/penstock/lifecycle/internal/scene"
)

func main() {
	port := flag.Int("port", 0, "port of the first scene, the others follow; 0 takes any")
	token := flag.String("token", "", "token of every scene")
	flag.Parse()
	ctx, stop := signal.NotifyContext(context.Background(), os.Interrupt)
	defer stop()
	if err := run(ctx, *port, *token); err != nil {
		log.Fatal(err)
	}
}

func run(ctx context.Context, port int, token string) error {
	for _, name := range scene.Names() {
		stage, err := scene.Open(ctx, name, fmt.Sprintf("127.0.0.1:%d", port), token)
		if err != nil {
			return err
		}
		defer stage.Close()
		fmt.Println(name, stage.Addr())
		if port > 0 {
			port++
		}
	}
	<-ctx.Done()
	return nil
}
