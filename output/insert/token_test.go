package insert

import (
	"testing"
	"time"

	"github.com/penstock/penstock/internal/change"
)

func TestToken(t *testing.T) {
	at := time.Date(2026, 1, 2, 3, 4, 5, 0, time.UTC)
	sample := func() *change.Batch {
		return &change.Batch{
			Table:        &change.Table{Schema: "public", Name: "t", Version: 7},
			Rows:         []change.Row{{LSN: 0x10, Operation: change.Insert}, {LSN: 0x20, Offset: 3, Operation: change.Update}},
			Transactions: []change.Transaction{{XID: 1, CommitLSN: 0x30, CommitTime: at}},
			Data:         []byte("abcdef"),
			Format:       change.TupleCopy,
		}
	}
	token := func(table string, batches ...*change.Batch) string {
		var token Token
		token.Reset("other")
		token.Add(sample())
		token.Reset(table)
		for _, b := range batches {
			token.Add(b)
		}
		return token.String()
	}
	first := token("t", sample())
	if again := token("t", sample()); again != first {
		t.Errorf("the same rows have the tokens %s and %s", first, again)
	}
	seen := map[string]string{first: "the sample"}
	unique := func(name, got string) {
		if other, taken := seen[got]; taken {
			t.Errorf("%s has the token of %s", name, other)
		}
		seen[got] = name
	}
	unique("another table", token("u", sample()))
	unique("twice", token("t", sample(), sample()))
	for name, edit := range map[string]func(*change.Batch){
		"other bytes":       func(b *change.Batch) { b.Data[5] = 'x' },
		"other operation":   func(b *change.Batch) { b.Rows[1].Operation = change.Delete },
		"other position":    func(b *change.Batch) { b.Rows[1].LSN++ },
		"other transaction": func(b *change.Batch) { b.Transactions[0].CommitLSN++ },
		"other definition":  func(b *change.Batch) { b.Table.Version++ },
		"other source":      func(b *change.Batch) { b.Table.Name = "s" },
		"fewer rows":        func(b *change.Batch) { b.Rows = b.Rows[:1] },
		// A table that is emptied and loaded again must not lose the rows that are as before.
		"another snapshot": func(b *change.Batch) { b.Transactions[0].CommitTime = at.Add(time.Microsecond) },
	} {
		b := sample()
		edit(b)
		unique(name, token("t", b))
	}
}
