package shell

import (
	"bytes"
	"context"
	"errors"
	"io"
	"os"
	"strings"
	"time"

	"golang.org/x/sys/unix"
)

const watchInterval = time.Second

// watch shows the status until ctx ends: on a terminal as a page that is painted again, elsewhere as plain lines.
func (s *statusView) watch(ctx context.Context) error {
	width, terminal := terminalWidth(s.out)
	tick := time.NewTicker(watchInterval)
	defer tick.Stop()
	for first := true; ; first = false {
		pipes, err := s.read(ctx)
		now := time.Now()
		switch {
		case ctx.Err() != nil:
			return nil
		case err != nil && first:
			return err
		case s.json && err == nil:
			err = s.print(s.out, pipes, now)
		case terminal:
			err = s.paint(pipes, err, now, width)
		default:
			s.line(pipes, err, now)
			err = nil
		}
		// Another error than of printing passes when the process is back.
		var exit *exitError
		if err != nil && !errors.As(err, &exit) {
			return err
		}
		select {
		case <-tick.C:
		case <-ctx.Done():
			return nil
		}
	}
}

// paint draws over the last page without clearing it first, which would flicker.
func (s *statusView) paint(pipes []pipeStatus, trouble error, now time.Time, width int) error {
	var page bytes.Buffer
	printf(&page, "%s  %s\n\n", now.Format(time.TimeOnly), s.client.base)
	if trouble != nil {
		printf(&page, "%v\n", trouble)
	} else if err := s.print(&page, pipes, now); err != nil {
		return err
	}
	var screen strings.Builder
	screen.WriteString("\x1b[H")
	for line := range strings.Lines(page.String()) {
		if runes := []rune(strings.TrimSuffix(line, "\n")); width > 0 && len(runes) > width {
			line = string(runes[:width-1]) + "…\n"
		}
		screen.WriteString(strings.TrimSuffix(line, "\n") + "\x1b[K\n")
	}
	screen.WriteString("\x1b[J")
	_, err := io.WriteString(s.out, screen.String())
	return err
}

// line prints one line for each pipe.
func (s *statusView) line(pipes []pipeStatus, trouble error, now time.Time) {
	at := now.Format(time.TimeOnly)
	if trouble != nil {
		printf(s.out, "%s  %v\n", at, trouble)
		return
	}
	if len(pipes) == 0 {
		printf(s.out, "%s  no pipe is served at %s yet\n", at, s.client.base)
	}
	for _, p := range pipes {
		printf(s.out, "%s  %s  %s for %s  %s rows  %s rows/s  lag %s  retained %s  tables %s\n", at, p.Name, p.shownPhase(),
			span(now.Sub(p.Since)), thousands(p.rows()), thousands(int64(p.RowsPerSecond)), lag(p.Slot), retained(p.Slot), counts(p.TableCount))
	}
}

// terminalWidth returns the columns of a terminal, and whether w is one.
func terminalWidth(w io.Writer) (int, bool) {
	file, ok := w.(*os.File)
	if !ok || os.Getenv("TERM") == "dumb" {
		return 0, false
	}
	size, err := unix.IoctlGetWinsize(int(file.Fd()), unix.TIOCGWINSZ)
	if err != nil {
		return 0, false
	}
	return int(size.Col), true
}
