package demo

import (
	"bytes"
	"fmt"
	"os"
	"strconv"
	"strings"
	"sync"
	"time"

	"golang.org/x/sys/unix"

	"github.com/penstock/penstock/internal/verify"
	"github.com/penstock/penstock/lifecycle/api"
)

// screen shows the progress: as a block that is drawn again and again on a
// terminal, as plain lines elsewhere.
type screen struct {
	out   *os.File
	tty   bool
	rows  int // that were loaded
	begun time.Time

	mu        sync.Mutex
	drawn     int // lines of the block
	lastPlain time.Time
	phase     string
	samples   []sample // of the last rateWindow
}

// sample is how many rows had been copied and changes streamed at a time.
type sample struct {
	at    time.Time
	total int64
}

const (
	plainInterval = 2 * time.Second
	rateWindow    = 2 * time.Second
	// usualWidth is that of a terminal that does not say.
	usualWidth = 80
	barWidth   = 30
	bold, dim  = "\x1b[1m", "\x1b[2m"
	green, red = "\x1b[32m", "\x1b[31m"
	normal     = "\x1b[0m"
)

func newScreen(out *os.File, rows int) *screen {
	_, err := unix.IoctlGetWinsize(int(out.Fd()), unix.TIOCGWINSZ)
	return &screen{out: out, tty: err == nil && os.Getenv("TERM") != "dumb", rows: rows, begun: time.Now()}
}

// colour returns text in a colour, on a terminal.
func (s *screen) colour(colour, text string) string {
	if !s.tty {
		return text
	}
	return colour + text + normal
}

// line prints a line that stays.
func (s *screen) line(format string, args ...any) {
	s.mu.Lock()
	defer s.mu.Unlock()
	s.erase()
	fmt.Fprintf(s.out, format+"\n", args...)
}

// Write prints what servers say while they start.
func (s *screen) Write(p []byte) (int, error) {
	s.line("%s", bytes.TrimRight(p, "\n"))
	return len(p), nil
}

// rate takes a sample and returns the rows and changes per second of late.
func (s *screen) rate(total int64) int64 {
	now := time.Now()
	s.samples = append(s.samples, sample{now, total})
	for now.Sub(s.samples[0].at) > rateWindow {
		s.samples = s.samples[1:]
	}
	first := s.samples[0]
	if first.at.Equal(now) {
		return 0
	}
	return int64(float64(total-first.total) / now.Sub(first.at).Seconds())
}

// fit cuts text to what is left of a line: one that wraps could not be erased.
func (s *screen) fit(text string, used int) string {
	width := usualWidth
	if size, err := unix.IoctlGetWinsize(int(s.out.Fd()), unix.TIOCGWINSZ); err == nil && size.Col > 0 {
		width = int(size.Col)
	}
	if runes := []rune(text); len(runes) > width-used {
		return string(runes[:max(width-used-1, 0)]) + "…"
	}
	return text
}

// erase takes the block off the terminal.
func (s *screen) erase() {
	if s.drawn > 0 {
		fmt.Fprintf(s.out, "\x1b[%dA\x1b[J", s.drawn)
		s.drawn = 0
	}
}

// keep leaves the block where it is; what comes next is printed below.
func (s *screen) keep() {
	s.mu.Lock()
	defer s.mu.Unlock()
	s.drawn = 0
}

// progress shows the state of the pipe.
func (s *screen) progress(d api.PipeDetail, written int64) {
	s.mu.Lock()
	defer s.mu.Unlock()
	changed := d.Phase != s.phase
	if changed && !s.tty {
		fmt.Fprintf(s.out, "%s  phase %s\n", s.clock(), d.Phase)
		if s.phase == "snapshot" {
			for _, t := range d.Tables {
				fmt.Fprintf(s.out, "        %-20s %s rows copied\n", tableName(t), thousands(t.Rows))
			}
		}
	}
	s.phase = d.Phase
	copied, total := s.copied(d)
	rate := s.rate(copied + changes(d))
	if !s.tty {
		if !changed && time.Since(s.lastPlain) < plainInterval {
			return
		}
		s.lastPlain = time.Now()
		fmt.Fprintf(s.out, "%s  %s: %s of %s rows copied, %s rows/s, %s changes streamed of %s rows written, %s\n", s.clock(), d.Phase,
			thousands(copied), thousands(total), thousands(rate), thousands(changes(d)), thousands(written), lag(d))
		return
	}
	var b strings.Builder
	fmt.Fprintf(&b, "\n%s %s   %s\n", s.colour(bold, "phase"), s.colour(bold, d.Phase), s.colour(dim, s.clock()))
	for _, t := range d.Tables {
		b.WriteString(s.tableLine(t))
	}
	fmt.Fprintf(&b, "%s of %s rows copied, %s rows/s\n", thousands(copied), thousands(total), thousands(rate))
	fmt.Fprintf(&b, "%s rows written live, %s changes streamed, %s\n", thousands(written), thousands(changes(d)), lag(d))
	for _, trouble := range d.Degraded {
		b.WriteString(s.colour(red, s.fit(trouble.Side+": "+trouble.Reason, 0)) + "\n")
	}
	s.erase()
	fmt.Fprint(s.out, b.String())
	s.drawn = strings.Count(b.String(), "\n")
}

func (s *screen) tableLine(t api.Table) string {
	total := int64(shopSize(tableName(t), s.rows))
	filled := 0
	if total > 0 {
		filled = int(min(t.Rows, total) * barWidth / total)
	}
	bar := strings.Repeat("█", filled) + s.colour(dim, strings.Repeat("░", barWidth-filled))
	phase := t.Phase
	if t.Failure != nil {
		phase = s.colour(red, s.fit(phase+": "+t.Failure.Reason, barWidth+35))
	}
	return fmt.Sprintf("  %-12s %s %11s  %s %s\n", tableName(t), bar, thousands(t.Rows), phase, s.colour(dim, "+"+thousands(tableChanges(t))))
}

func (s *screen) copied(d api.PipeDetail) (copied, total int64) {
	for _, t := range d.Tables {
		copied += t.Rows
	}
	for _, t := range shopTables {
		total += int64(t.size(s.rows))
	}
	return copied, max(total, copied)
}

// comparison prints both sides of every table.
func (s *screen) comparison(results []verify.Result) {
	s.mu.Lock()
	defer s.mu.Unlock()
	s.erase()
	fmt.Fprintf(s.out, "\n%-14s %12s  %-18s %12s  %-18s\n", "", "PostgreSQL", "checksum", "ClickHouse", "checksum")
	for _, r := range results {
		verdict := s.colour(green, "equal")
		if !r.Equal() {
			verdict = s.colour(red, "DIFFERENT")
		}
		fmt.Fprintf(s.out, "%-14s %12s  %016x   %12s  %016x   %s\n", r.Pair.Table,
			thousands(int64(r.SourceRows)), r.SourceSum, thousands(int64(r.DestinationRows)), r.DestinationSum, verdict)
		for _, d := range r.Differences {
			fmt.Fprintf(s.out, "  %s\n", d)
		}
	}
	fmt.Fprintln(s.out)
}

func (s *screen) clock() string { return fmt.Sprintf("%6.1fs", time.Since(s.begun).Seconds()) }

func lag(d api.PipeDetail) string {
	if d.Slot == nil {
		return "no slot yet"
	}
	text := fmt.Sprintf("lag %.1f s, %s", d.Slot.LagSeconds, byteCount(d.Slot.LagBytes))
	if d.CommitToVisible != nil {
		text += fmt.Sprintf(", commit to visible %.1f s", *d.CommitToVisible)
	}
	return text
}

func tableName(t api.Table) string {
	_, name, _ := strings.Cut(t.Name, ".")
	return name
}

func tableChanges(t api.Table) (n int64) {
	for _, operation := range []string{"insert", "update", "delete"} {
		n += int64(t.Changes[operation])
	}
	return n
}

func changes(d api.PipeDetail) (n int64) {
	for _, t := range d.Tables {
		n += tableChanges(t)
	}
	return n
}

// thousands writes 1234567 as 1 234 567.
func thousands(n int64) string {
	digits := strconv.FormatInt(n, 10)
	var b strings.Builder
	for i, c := range digits {
		if i > 0 && (len(digits)-i)%3 == 0 && digits[i-1] != '-' {
			b.WriteByte(' ')
		}
		b.WriteRune(c)
	}
	return b.String()
}

func byteCount(n int64) string {
	switch {
	case n >= 1<<30:
		return fmt.Sprintf("%.1f GiB", float64(n)/(1<<30))
	case n >= 1<<20:
		return fmt.Sprintf("%.1f MiB", float64(n)/(1<<20))
	}
	return fmt.Sprintf("%.0f KiB", float64(n)/(1<<10))
}
