package demo

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"log/slog"
	"net"
	"net/http"
	"net/url"
	"path/filepath"
	"time"

	"github.com/redpanda-data/benthos/v4/public/service"

	"github.com/penstock/penstock/config"
	"github.com/penstock/penstock/lifecycle/api"
)

// pipe runs the pipeline of the README in this process.
type pipe struct {
	stream  *service.Stream
	address string // of status page and API
	done    chan struct{}
	err     error // valid once done is closed
}

const (
	usualAddress = "127.0.0.1:4196"
	stopTimeout  = 15 * time.Second
)

func startPipe(postgres, clickHouse, folder string, log io.Writer) (*pipe, error) {
	address, err := freeAddress()
	if err != nil {
		return nil, err
	}
	environment := map[string]string{
		"POSTGRES_DSN":       postgres,
		"CLICKHOUSE_DSN":     clickHouse,
		"PENSTOCK_STATE_DIR": filepath.Join(folder, "state"),
		"PENSTOCK_ADDRESS":   address,
	}
	builder := service.NewStreamBuilder()
	builder.SetEnvVarLookupFunc(func(name string) (string, bool) {
		value, ok := environment[name]
		return value, ok
	})
	builder.SetLogger(slog.New(slog.NewTextHandler(log, nil)))
	if err := builder.SetYAML(config.PostgresToClickHouse); err != nil {
		return nil, fmt.Errorf("reading the pipeline: %w", err)
	}
	stream, err := builder.Build()
	if err != nil {
		return nil, fmt.Errorf("building the pipeline: %w", err)
	}
	p := &pipe{stream: stream, address: address, done: make(chan struct{})}
	go func() {
		defer close(p.done)
		// Ended by stop: a cancelled context would give up what is in flight.
		p.err = stream.Run(context.Background())
	}()
	return p, nil
}

// freeAddress returns the usual address, or another one where that is taken.
func freeAddress() (string, error) {
	var err error
	for _, address := range []string{usualAddress, "127.0.0.1:0"} {
		var listener net.Listener
		if listener, err = net.Listen("tcp", address); err == nil {
			defer listener.Close()
			return listener.Addr().String(), nil
		}
	}
	return "", fmt.Errorf("finding a free port for the status page: %w", err)
}

func (p *pipe) stop() error {
	select {
	case <-p.done:
		return nil
	default:
	}
	if err := p.stream.StopWithin(stopTimeout); err != nil {
		return fmt.Errorf("stopping the pipeline: %w", err)
	}
	<-p.done
	return nil
}

// url is the address of the status page.
func (p *pipe) url() string { return "http://" + p.address + "/" }

var errNoPipe = errors.New("the pipe is not there yet")

// status asks the API for the one pipe.
func (p *pipe) status(ctx context.Context) (api.PipeDetail, error) {
	var list api.PipeList
	if err := p.get(ctx, "v1/pipes", &list); err != nil {
		return api.PipeDetail{}, err
	}
	if len(list.Pipes) == 0 {
		return api.PipeDetail{}, errNoPipe
	}
	var detail api.PipeDetail
	err := p.get(ctx, "v1/pipes/"+url.PathEscape(list.Pipes[0].Name), &detail)
	return detail, err
}

func (p *pipe) get(ctx context.Context, path string, into any) error {
	ctx, cancel := context.WithTimeout(ctx, 5*time.Second)
	defer cancel()
	req, err := http.NewRequestWithContext(ctx, http.MethodGet, p.url()+path, nil)
	if err != nil {
		return err
	}
	resp, err := http.DefaultClient.Do(req)
	if err != nil {
		return fmt.Errorf("asking the pipe for its status: %w", err)
	}
	defer resp.Body.Close()
	if resp.StatusCode != http.StatusOK {
		return fmt.Errorf("asking the pipe for its status: %s", resp.Status)
	}
	if err := json.NewDecoder(resp.Body).Decode(into); err != nil {
		return fmt.Errorf("reading the status of the pipe: %w", err)
	}
	return nil
}
