package lifecycle

import (
	"cmp"
	"slices"
	"time"
)

// SlotStatus is what pg_replication_slots and pg_current_wal_lsn say at one
// moment.
type SlotStatus struct {
	CurrentLSN   uint64 // end of the server's WAL
	ConfirmedLSN uint64 // confirmed_flush_lsn
	RestartLSN   uint64 // restart_lsn: WAL from here on is kept
	// RetainedBytes is CurrentLSN − RestartLSN; 0 has it computed.
	RetainedBytes int64
	// SafeWALSize is safe_wal_size: the bytes of WAL that can be written before
	// the slot is in danger; nil where max_slot_wal_keep_size sets no limit.
	SafeWALSize *int64
	// WALStatus is wal_status: reserved, extended, unreserved or lost.
	WALStatus string
	// InvalidationReason is invalidation_reason, from PostgreSQL 17 on.
	InvalidationReason string
	// Active says that somebody reads the slot.
	Active bool
}

// slotWindow is how far back observations of a slot are kept: long enough to
// see a trend through a checkpoint, short enough to follow it.
const slotWindow = 5 * time.Minute

// slotHistory derives from observations of a slot what no single one says. It
// is not safe for use by many goroutines.
type slotHistory struct {
	last SlotStatus
	at   time.Time // zero: never observed
	// reached holds when the WAL's end was first seen at a position that is
	// not confirmed yet, oldest first.
	reached []walMark
	// safe holds safe_wal_size over slotWindow.
	safe []safeMark
}

type walMark struct {
	lsn uint64
	at  time.Time
}

type safeMark struct {
	bytes int64
	at    time.Time
}

// longestMarks bounds the marks of a slot that nobody confirms for days; beyond
// it every second one is dropped, which costs precision only.
const longestMarks = 4096

func (h *slotHistory) observe(s SlotStatus, at time.Time) {
	if s.RetainedBytes == 0 && s.CurrentLSN > s.RestartLSN && s.RestartLSN != 0 {
		s.RetainedBytes = int64(s.CurrentLSN - s.RestartLSN)
	}
	h.last, h.at = s, at
	if n := len(h.reached); n == 0 || h.reached[n-1].lsn < s.CurrentLSN {
		h.reached = append(h.reached, walMark{s.CurrentLSN, at})
	}
	confirmed := 0
	for confirmed < len(h.reached) && h.reached[confirmed].lsn <= s.ConfirmedLSN {
		confirmed++
	}
	h.reached = h.reached[confirmed:]
	if len(h.reached) > longestMarks {
		thinned := make([]walMark, 0, longestMarks)
		for i := 0; i < len(h.reached); i += 2 {
			thinned = append(thinned, h.reached[i])
		}
		h.reached = thinned
	}
	h.observeSafe(s.SafeWALSize, at)
}

func (h *slotHistory) observeSafe(safe *int64, at time.Time) {
	if safe == nil {
		h.safe = nil
		return
	}
	old := 0
	for old < len(h.safe) && at.Sub(h.safe[old].at) > slotWindow {
		old++
	}
	h.safe = append(h.safe[old:], safeMark{*safe, at})
}

// lagBytes is the WAL written and not confirmed.
func (h *slotHistory) lagBytes() int64 {
	if h.last.CurrentLSN <= h.last.ConfirmedLSN {
		return 0
	}
	return int64(h.last.CurrentLSN - h.last.ConfirmedLSN)
}

// lag is the age of the oldest WAL that is not confirmed, as far as it was
// seen: it is as precise as observations are frequent.
func (h *slotHistory) lag(now time.Time) time.Duration {
	if len(h.reached) == 0 {
		return 0
	}
	return max(0, now.Sub(h.reached[0].at))
}

// timeToLoss is how long the slot lasts if WAL is kept at the rate of the last
// minutes; false where no end is in sight.
//
// restart_lsn moves in leaps, so safe_wal_size is a saw tooth also while all is
// well. Only its crests tell: the highest value of the window's later half
// against that of the earlier.
func (h *slotHistory) timeToLoss() (time.Duration, bool) {
	n := len(h.safe)
	if n > 0 && h.safe[n-1].bytes <= 0 {
		return 0, true
	}
	const fewest = 6 // observations that make a trend
	if n < fewest {
		return 0, false
	}
	before, after := crest(h.safe[:n/2]), crest(h.safe[n/2:])
	used, took := before.bytes-after.bytes, after.at.Sub(before.at)
	if used <= 0 || took <= 0 {
		return 0, false
	}
	left := float64(h.safe[n-1].bytes) / float64(used) * took.Seconds()
	const longest = 365 * 24 * 3600 // more is no end in sight
	if left > longest {
		return 0, false
	}
	return time.Duration(left * float64(time.Second)), true
}

func crest(marks []safeMark) safeMark {
	return slices.MaxFunc(marks, func(a, b safeMark) int { return cmp.Compare(a.bytes, b.bytes) })
}
