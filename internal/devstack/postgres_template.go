package devstack

import (
	"bytes"
	"context"
	"crypto/sha256"
	"fmt"
	"io"
	"os"
	"os/exec"
	"path/filepath"
	"strings"
	"syscall"
)

// postgresProgram is an installed Postgres of one major version.
type postgresProgram struct {
	bin string // folder with initdb and postgres
}

// findPostgres prefers what the machine has to a download.
func findPostgres(ctx context.Context, major int, log io.Writer) (*postgresProgram, error) {
	folders := []string{fmt.Sprintf("/usr/lib/postgresql/%d/bin", major)}
	for _, dir := range append(folders, filepath.SplitList(os.Getenv("PATH"))...) {
		if postgresMajor(ctx, dir) == major && exists(filepath.Join(dir, "initdb")) {
			return &postgresProgram{bin: dir}, nil
		}
	}
	title := fmt.Sprintf("PostgreSQL %d", major)
	pkg, err := installPackage(ctx, fmt.Sprintf("postgres-%d", major), title, "POSTGRES_DSN", log)
	if err != nil {
		return nil, err
	}
	return &postgresProgram{bin: filepath.Join(pkg, "native", "bin")}, nil
}

// postgresMajor returns the major version of the postgres in dir, 0 where there is none.
func postgresMajor(ctx context.Context, dir string) int {
	program := filepath.Join(dir, "postgres")
	if !exists(program) {
		return 0
	}
	output, err := exec.CommandContext(ctx, program, "--version").Output()
	if err != nil {
		return 0
	}
	var major int
	if _, err := fmt.Sscanf(string(output), "postgres (PostgreSQL) %d", &major); err != nil {
		return 0
	}
	return major
}

// postgresTemplate is a data folder as initdb leaves it, kept because initdb takes seconds and copying it does not.
type postgresTemplate struct{ dir string }

func (t *postgresTemplate) data() string { return filepath.Join(t.dir, "data") }

// password is the superuser's. It is drawn once per template, since a server's password is part of its data.
func (t *postgresTemplate) password() (string, error) {
	content, err := os.ReadFile(filepath.Join(t.dir, "password"))
	if err != nil {
		return "", fmt.Errorf("reading the superuser's password: %w", err)
	}
	return strings.TrimSpace(string(content)), nil
}

func (p *postgresProgram) template(ctx context.Context, major int, as *account, log io.Writer) (*postgresTemplate, error) {
	info, err := os.Stat(filepath.Join(p.bin, "postgres"))
	if err != nil {
		return nil, fmt.Errorf("finding the PostgreSQL server: %w", err)
	}
	// An upgrade in place must not meet a template of before it, nor one user the template of another.
	hash := sha256.Sum256(fmt.Append(nil, p.bin, info.ModTime(), info.Size(), os.Geteuid(), as))
	name := fmt.Sprintf("postgres-%d-%x", major, hash[:6])
	dir, err := ensureFolder(ctx, filepath.Join("templates", name), func(dir string) error {
		progress(log, "preparing a PostgreSQL %d data folder…", major)
		return p.initdb(ctx, dir, as)
	})
	if err != nil {
		return nil, err
	}
	return &postgresTemplate{dir: dir}, nil
}

// initdb fills dir with the folder data and the file password.
func (p *postgresProgram) initdb(ctx context.Context, dir string, as *account) error {
	password, data := filepath.Join(dir, "password"), filepath.Join(dir, "data")
	if err := os.WriteFile(password, []byte(randomHex(16)+"\n"), 0o600); err != nil {
		return fmt.Errorf("writing the superuser's password: %w", err)
	}
	if err := os.Mkdir(data, 0o700); err != nil {
		return fmt.Errorf("making the data folder: %w", err)
	}
	if err := as.own(dir); err != nil {
		return fmt.Errorf("giving the data folder to the server's user: %w", err)
	}
	var err error
	// Not every machine has C.UTF-8; with C, text is the same and only the case of letters beyond ASCII is unknown.
	for _, locale := range []string{"C.UTF-8", "C"} {
		cmd := exec.CommandContext(ctx, filepath.Join(p.bin, "initdb"),
			"--pgdata="+data, "--username=postgres", "--pwfile="+password, "--auth=scram-sha-256",
			"--encoding=UTF8", "--locale="+locale, "--no-sync")
		cmd.Dir = dir
		cmd.SysProcAttr = &syscall.SysProcAttr{Credential: as.credential()}
		var output bytes.Buffer
		cmd.Stdout, cmd.Stderr = &output, &output
		if err = cmd.Run(); err == nil {
			return nil
		}
		err = fmt.Errorf("preparing a data folder with initdb: %w: %s", err, strings.TrimSpace(output.String()))
	}
	return err
}
