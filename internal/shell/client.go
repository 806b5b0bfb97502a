package shell

import (
	"bytes"
	"context"
	"encoding/json"
	"errors"
	"io"
	"net"
	"net/http"
	"net/url"
	"slices"
	"strings"
	"time"

	"github.com/urfave/cli/v2"

	"github.com/penstock/penstock/lifecycle/api"
)

const (
	defaultAddress = "http://127.0.0.1:4196"
	// requestTimeout is long: the API answers from memory, but for a command it first makes the wish durable.
	requestTimeout = 10 * time.Second
	// maxAnswer is far more than the status of a pipe with thousands of tables.
	maxAnswer = 64 << 20
)

// apiFlags say where the API is.
func apiFlags() []cli.Flag {
	return []cli.Flag{
		&cli.StringFlag{Name: "addr", Value: defaultAddress, EnvVars: []string{"PENSTOCK_ADDRESS"}, Usage: "where the API is: `URL` or host:port, as in lifecycle.address"},
		// Without DefaultText the help would print what the variable holds.
		&cli.StringFlag{Name: "token", EnvVars: []string{"PENSTOCK_API_TOKEN"}, DefaultText: "none", Usage: "`TOKEN` of the API, as in lifecycle.api_token; the environment is safer than the command line"},
	}
}

// client asks the API.
type client struct {
	base  *url.URL
	token string
	http  *http.Client
}

func newClient(c *cli.Context) (*client, error) {
	address := c.String("addr")
	if !strings.Contains(address, "://") {
		address = "http://" + address
	}
	base, err := url.Parse(address)
	if err != nil || base.Host == "" || base.Scheme != "http" && base.Scheme != "https" || base.User != nil || base.RawQuery != "" {
		return nil, fail(exitUsage, "flag --addr: it must be host:port or http://host:port, without user and parameters")
	}
	// The address of a server may be that of all interfaces; a client needs one.
	if base.Hostname() == "" || base.Hostname() == "0.0.0.0" || base.Hostname() == "::" {
		base.Host = net.JoinHostPort("127.0.0.1", base.Port())
	}
	return &client{base: base, token: c.String("token"), http: &http.Client{
		Timeout: requestTimeout,
		// The token goes nowhere else.
		CheckRedirect: func(*http.Request, []*http.Request) error { return http.ErrUseLastResponse },
	}}, nil
}

func (c *client) get(ctx context.Context, into any, path ...string) error {
	return c.do(ctx, http.MethodGet, nil, into, path...)
}

func (c *client) post(ctx context.Context, body, into any, path ...string) error {
	return c.do(ctx, http.MethodPost, body, into, path...)
}

// do makes one request. path are segments below /v1.
func (c *client) do(ctx context.Context, method string, body, into any, path ...string) error {
	u := *c.base
	u.Path, u.RawPath = strings.TrimSuffix(u.Path, "/")+"/v1", strings.TrimSuffix(u.EscapedPath(), "/")+"/v1"
	for _, segment := range path {
		u.Path += "/" + segment
		u.RawPath += "/" + url.PathEscape(segment)
	}
	var content io.Reader
	if body != nil {
		text, err := json.Marshal(body)
		if err != nil {
			return err
		}
		content = bytes.NewReader(text)
	}
	req, err := http.NewRequestWithContext(ctx, method, u.String(), content)
	if err != nil {
		return fail(exitUsage, "flag --addr: %w", err)
	}
	if body != nil {
		req.Header.Set("Content-Type", "application/json")
	}
	if c.token != "" {
		req.Header.Set("Authorization", "Bearer "+c.token)
	}
	resp, err := c.http.Do(req)
	if err != nil {
		return c.unreachable(ctx, err)
	}
	defer resp.Body.Close()
	answer, err := io.ReadAll(io.LimitReader(resp.Body, maxAnswer))
	if err != nil {
		return c.unreachable(ctx, err)
	}
	if resp.StatusCode >= 300 {
		return c.refused(resp, answer)
	}
	if err := json.Unmarshal(answer, into); err != nil {
		return fail(exitUnreachable, "what answers at %s is not the API of Penstock: %w", c.base, err)
	}
	return nil
}

func (c *client) unreachable(ctx context.Context, err error) error {
	if ctx.Err() != nil {
		return ctx.Err()
	}
	var inURL *url.Error
	if errors.As(err, &inURL) {
		err = inURL.Err // the rest names the whole path
	}
	return fail(exitUnreachable, "cannot reach the API at %s: %w (is the pipe running, and is this its lifecycle.address?)", c.base, err)
}

// refused turns an answer that is an error into one with an exit code.
func (c *client) refused(resp *http.Response, answer []byte) error {
	var problem api.Problem
	if json.Unmarshal(answer, &problem) != nil || problem.Message == "" {
		return fail(exitUnreachable, "what answers at %s is not the API of Penstock: %s", c.base, resp.Status)
	}
	text := problem.Message
	if resp.StatusCode == http.StatusUnauthorized {
		problem.Fix = "set PENSTOCK_API_TOKEN to lifecycle.api_token of the pipe"
	}
	if problem.Fix != "" {
		text += ": " + problem.Fix
	}
	code := exitRefused
	switch resp.StatusCode {
	case http.StatusUnauthorized, http.StatusForbidden:
		code = exitUnauthorized
	case http.StatusNotFound, http.StatusBadRequest, http.StatusMisdirectedRequest:
		code = exitUsage
	case http.StatusServiceUnavailable:
		code = exitUnreachable
	}
	return fail(code, "%s", text)
}

// pipes lists what is served.
func (c *client) pipes(ctx context.Context) ([]api.Status, error) {
	var list api.PipeList
	if err := c.get(ctx, &list, "pipes"); err != nil {
		return nil, err
	}
	return list.Pipes, nil
}

func (c *client) detail(ctx context.Context, pipe string) (api.PipeDetail, error) {
	var detail api.PipeDetail
	err := c.get(ctx, &detail, "pipes", pipe)
	return detail, err
}

// only returns the name of the pipe where there is one, and otherwise says which there are.
func (c *client) only(ctx context.Context) (string, error) {
	pipes, err := c.pipes(ctx)
	if err != nil {
		return "", err
	}
	switch len(pipes) {
	case 0:
		return "", fail(exitRefused, "no pipe is served at %s yet", c.base)
	case 1:
		return pipes[0].Name, nil
	}
	return "", fail(exitUsage, "%d pipes are served at %s, name one: %s", len(pipes), c.base, strings.Join(names(pipes), ", "))
}

func names(pipes []api.Status) []string {
	names := make([]string, len(pipes))
	for i, p := range pipes {
		names[i] = p.Name
	}
	slices.Sort(names)
	return names
}
