package lifecycle

import (
	"fmt"
	"maps"
	"reflect"
	"slices"
	"time"
)

// Format is the version of the durable state that this program writes.
const Format = 1

// State is what a pipe remembers. Values that a Pipe hands out are copies;
// Definition is shared and must be replaced, never changed in place.
type State struct {
	Format int    `json:"format"`
	Pipe   string `json:"pipe"`
	// Slot that all progress belongs to; zero before it exists.
	Slot SlotIdentity `json:"slot"`
	// ConfirmedLSN is the highest position that the server was ever told: a slot
	// that stands behind it was advanced, or made anew, by somebody else.
	ConfirmedLSN uint64 `json:"confirmed_lsn,omitempty"`
	// Publication the slot streams.
	Publication string `json:"publication,omitempty"`
	// PublicationOID tells it from one that was made anew; 0 is unknown.
	PublicationOID uint32 `json:"publication_oid,omitempty"`
	// What we created, `penstock drop` may drop.
	PublicationCreatedByUs bool `json:"publication_created_by_us,omitempty"`
	SlotCreatedByUs        bool `json:"slot_created_by_us,omitempty"`

	Phase Phase `json:"phase"`
	// Since when the pipe is in Phase.
	Since time.Time `json:"since"`
	// PausedFrom is where Resume leads; set while pausing and paused.
	PausedFrom Phase `json:"paused_from,omitempty"`
	// FailedFrom is where Resume leads; set while failed.
	FailedFrom Phase `json:"failed_from,omitempty"`
	// Failure is why; set while failed.
	Failure *Failure `json:"failure,omitempty"`

	// Resync holds the tables to load anew, sorted; ResyncWhole says that the
	// whole pipe was asked for, so that a lost slot may be made again.
	Resync      []string `json:"resync,omitempty"`
	ResyncWhole bool     `json:"resync_whole,omitempty"`

	UpdatedAt time.Time `json:"updated_at"`

	// Tables by "schema.name". The last field: see encoder.
	Tables map[string]*TableState `json:"tables"`
}

// SlotIdentity tells a replication slot from another of the same name: progress
// recorded for one must not be used with the other.
type SlotIdentity struct {
	SystemID    string `json:"system_id"` // IDENTIFY_SYSTEM
	Database    string `json:"database"`
	Name        string `json:"name"`
	CreationLSN uint64 `json:"creation_lsn"` // the consistent point
}

// IsZero says that there is no slot yet.
func (s SlotIdentity) IsZero() bool { return s == SlotIdentity{} }

// TableState is what a pipe remembers of one table.
type TableState struct {
	Phase TablePhase `json:"phase"`
	// Definition is change.Table.Describe of the definition last applied at the
	// destination.
	Definition map[string]any `json:"definition,omitempty"`
	Load       Load           `json:"load"`
	Failure    *Failure       `json:"failure,omitempty"`
}

// Load is how far the copy of a table is.
type Load struct {
	Parts []LoadPart `json:"parts,omitempty"`
	// Rows copied and acked.
	Rows int64 `json:"rows,omitempty"`
	// Complete says that every row is at the destination.
	Complete bool `json:"complete,omitempty"`
}

// LoadPart is one relation to copy, a leaf where the table is partitioned, in
// chunks of so many blocks (pages): chunk n holds the blocks [n×ChunkBlocks,
// (n+1)×ChunkBlocks), the last one everything behind it too.
type LoadPart struct {
	Relation string `json:"relation"`
	// Filenode is the relation's file (pg_relation_filenode) when the chunks were
	// planned: in another file, other rows are on the same pages. 0 is unknown.
	Filenode uint32 `json:"filenode,omitempty"`
	// Blocks is the relation's size when the chunks were planned.
	Blocks      uint32 `json:"blocks"`
	ChunkBlocks uint32 `json:"chunk_blocks"`
	// Done holds the chunks that are acked.
	Done Chunks `json:"done,omitempty"`
}

// Chunks returns the number of chunks: one at least, for a relation that was
// empty when it was planned may not be so at the snapshot.
func (l LoadPart) Chunks() int {
	if l.ChunkBlocks == 0 {
		return 1
	}
	return max(1, int((uint64(l.Blocks)+uint64(l.ChunkBlocks)-1)/uint64(l.ChunkBlocks)))
}

// Chunks returns the number of chunks that are acked, and of all.
func (l Load) Chunks() (done, total int) {
	for _, p := range l.Parts {
		done += len(p.Done)
		total += p.Chunks()
	}
	return done, total
}

// Failure is an error that does not pass by itself.
type Failure struct {
	// Class is a short fixed word, such as "slot_lost" or "authentication".
	Class string `json:"class"`
	// Reason is what happened, Fix what to do about it: a sentence each.
	Reason string `json:"reason"`
	Fix    string `json:"fix,omitempty"`
	// Table it happened to, "" where it concerns the pipe.
	Table string    `json:"table,omitempty"`
	At    time.Time `json:"at"`
}

func (f *Failure) Error() string {
	if f.Table != "" {
		return fmt.Sprintf("%s: table %s: %s", f.Class, f.Table, f.Reason)
	}
	return fmt.Sprintf("%s: %s", f.Class, f.Reason)
}

// clone returns a deep copy, but for definitions, which nobody changes.
func (s *State) clone() *State {
	c := *s
	c.Failure = s.Failure.clone()
	c.Resync = slices.Clone(s.Resync)
	c.Tables = maps.Clone(s.Tables)
	if c.Tables == nil {
		c.Tables = map[string]*TableState{}
	}
	for name, t := range c.Tables {
		c.Tables[name] = t.clone()
	}
	return &c
}

func (t *TableState) clone() *TableState {
	c := *t
	c.Failure = t.Failure.clone()
	c.Load.Parts = slices.Clone(t.Load.Parts)
	for i := range c.Load.Parts {
		c.Load.Parts[i].Done = slices.Clone(c.Load.Parts[i].Done)
	}
	return &c
}

// same says whether two states of a table are equal. It may err towards no.
func (t *TableState) same(o *TableState) bool {
	return t.Phase == o.Phase && t.Load.Rows == o.Load.Rows && t.Load.Complete == o.Load.Complete &&
		reflect.ValueOf(t.Definition).UnsafePointer() == reflect.ValueOf(o.Definition).UnsafePointer() &&
		(t.Failure == o.Failure || t.Failure != nil && o.Failure != nil && *t.Failure == *o.Failure) &&
		slices.EqualFunc(t.Load.Parts, o.Load.Parts, LoadPart.same)
}

func (l LoadPart) same(o LoadPart) bool {
	return l.Relation == o.Relation && l.Blocks == o.Blocks && l.ChunkBlocks == o.ChunkBlocks && slices.Equal(l.Done, o.Done)
}

func (f *Failure) clone() *Failure {
	if f == nil {
		return nil
	}
	c := *f
	return &c
}
