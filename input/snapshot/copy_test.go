package snapshot

import (
	"encoding/binary"
	"errors"
	"strings"
	"testing"

	"github.com/penstock/penstock/internal/change"
)

var (
	header  = string(signature) + "\x00\x00\x00\x00\x00\x00\x00\x00"
	trailer = "\xff\xff"
)

// row writes a row of COPY's binary format with one value.
func row(value string) string {
	b := binary.BigEndian.AppendUint16(nil, 1)
	b = binary.BigEndian.AppendUint32(b, uint32(len(value)))
	return string(b) + value
}

func newReader(limits Limits, deliver func(*change.Batch) error) *copyReader {
	text := &change.Type{OID: 25, Name: "text", Schema: "pg_catalog", Kind: change.TypeBase}
	t := &change.Table{Schema: "public", Name: "t", Columns: []change.Column{{Name: "a", Type: text, TypeMod: -1}}}
	return &copyReader{table: t, limits: limits, capacity: 100, deliver: deliver}
}

func TestCopyReader(t *testing.T) {
	extension := string(signature) + "\x00\x00\x00\x00\x00\x00\x00\x03abc"
	for _, tt := range []struct {
		name     string
		messages []string
		want     []string // values, a / between batches
		err      string
	}{
		{name: "no rows", messages: []string{header + trailer}},
		{name: "header alone", messages: []string{header, row("x"), trailer}, want: []string{"x"}},
		{name: "header with the first row", messages: []string{header + row("x"), row("y"), trailer}, want: []string{"x", "y"}},
		{name: "header with an extension", messages: []string{extension + row("x"), trailer}, want: []string{"x"}},
		{name: "more rows than one batch holds", messages: []string{header, row("a"), row("b"), row("c"), row("d"), row("e"), trailer}, want: []string{"a", "b", "/", "c", "d", "/", "e"}},
		{name: "more bytes than one batch holds", messages: []string{header, row(strings.Repeat("l", 80)), row("b"), row("c"), trailer}, want: []string{strings.Repeat("l", 80), "/", "b", "c"}},
		{name: "a row of the trailer's bytes", messages: []string{header, row("\xff\xff"), trailer}, want: []string{"\xff\xff"}},
		{name: "no header", messages: []string{row("x"), trailer}, err: "signature"},
		{name: "text format", messages: []string{"1\tx\n"}, err: "signature"},
		{name: "a short header", messages: []string{string(signature)}, err: "signature"},
		{name: "a short extension", messages: []string{string(signature) + "\x00\x00\x00\x00\x00\x00\x00\x09abc"}, err: "extension"},
		{name: "no trailer", messages: []string{header, row("x")}, err: "trailer"},
		{name: "nothing at all", err: "trailer"},
		{name: "rows behind the trailer", messages: []string{header + trailer, row("x")}, err: "behind the trailer"},
	} {
		t.Run(tt.name, func(t *testing.T) {
			var got []string
			r := newReader(Limits{Rows: 2, Bytes: 80}, func(b *change.Batch) error {
				if len(got) > 0 {
					got = append(got, "/")
				}
				cells := make([]change.Cell, 1)
				for i := range b.Rows {
					if err := b.Cells(i, 1, cells); err != nil {
						return err
					}
					if b.Rows[i].Operation != change.Read || b.Rows[i].LSN != 0 {
						t.Errorf("row %+v", b.Rows[i])
					}
					got = append(got, string(cells[0].Bytes(b.Data)))
				}
				return nil
			})
			var err error
			for _, m := range tt.messages {
				var n int
				if n, err = r.Write([]byte(m)); err != nil {
					break
				}
				if n != len(m) {
					t.Errorf("took %d of %d bytes", n, len(m))
				}
			}
			if err == nil {
				err = r.finish()
			}
			if tt.err == "" {
				if err != nil {
					t.Fatal(err)
				}
				if strings.Join(got, " ") != strings.Join(tt.want, " ") {
					t.Errorf("got %q, want %q", got, tt.want)
				}
				return
			}
			if err == nil || !strings.Contains(err.Error(), tt.err) {
				t.Errorf("got error %v, want one about %q", err, tt.err)
			}
		})
	}
}

func TestCopyReaderKeepsMessagesApart(t *testing.T) {
	var batch *change.Batch
	r := newReader(Limits{Rows: 10, Bytes: 1000}, func(b *change.Batch) error { batch = b; return nil })
	buffer := []byte(header + row("first"))
	for _, m := range []string{row("again"), trailer} {
		if _, err := r.Write(buffer); err != nil {
			t.Fatal(err)
		}
		buffer = append(buffer[:0], m...) // as the connection uses its buffer
	}
	if _, err := r.Write(buffer); err != nil {
		t.Fatal(err)
	}
	if err := r.finish(); err != nil {
		t.Fatal(err)
	}
	if got := string(batch.Data); got != row("first")+row("again") {
		t.Errorf("got %q", got)
	}
}

func TestCopyReaderPassesTheSinksErrorOn(t *testing.T) {
	refusal := errors.New("no more")
	r := newReader(Limits{Rows: 1, Bytes: 1000}, func(*change.Batch) error { return refusal })
	if _, err := r.Write([]byte(header + row("x"))); !errors.Is(err, refusal) {
		t.Errorf("got %v", err)
	}
}
