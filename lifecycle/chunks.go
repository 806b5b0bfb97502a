package lifecycle

import (
	"encoding/json"
	"fmt"
	"slices"
	"strconv"
	"strings"
)

// Chunks is a set of chunk numbers, sorted. In JSON it is a text of ranges,
// "0-17,19", so that the state of a large table stays small while its chunks
// finish roughly in order.
type Chunks []uint32

// Add puts chunk n into the set.
func (c *Chunks) Add(n uint32) {
	if i, found := slices.BinarySearch(*c, n); !found {
		*c = slices.Insert(*c, i, n)
	}
}

// Has says whether chunk n is in the set.
func (c Chunks) Has(n uint32) bool {
	_, found := slices.BinarySearch(c, n)
	return found
}

// MarshalJSON writes the ranges.
func (c Chunks) MarshalJSON() ([]byte, error) {
	sorted := c
	if !slices.IsSorted(c) {
		sorted = slices.Clone(c)
		slices.Sort(sorted)
	}
	out := []byte{'"'}
	for i := 0; i < len(sorted); {
		last := i
		for last+1 < len(sorted) && sorted[last+1]-sorted[last] <= 1 {
			last++
		}
		if i > 0 {
			out = append(out, ',')
		}
		out = strconv.AppendUint(out, uint64(sorted[i]), 10)
		if sorted[last] != sorted[i] {
			out = append(out, '-')
			out = strconv.AppendUint(out, uint64(sorted[last]), 10)
		}
		i = last + 1
	}
	return append(out, '"'), nil
}

// maxChunks bounds what a state may claim: 2^32 blocks is the most that a
// relation has, and a chunk of fewer than 64 of them is not worth a query.
const maxChunks = 1 << 26

// UnmarshalJSON reads what MarshalJSON wrote.
func (c *Chunks) UnmarshalJSON(b []byte) error {
	var text string
	if err := json.Unmarshal(b, &text); err != nil {
		return err
	}
	*c = nil
	if text == "" {
		return nil
	}
	for ranges := range strings.SplitSeq(text, ",") {
		from, to, ok := strings.Cut(ranges, "-")
		if !ok {
			to = from
		}
		first, err := strconv.ParseUint(from, 10, 32)
		if err != nil {
			return fmt.Errorf("%q is not a range of chunks", ranges)
		}
		last, err := strconv.ParseUint(to, 10, 32)
		if err != nil || last < first || last >= maxChunks {
			return fmt.Errorf("%q is not a range of chunks", ranges)
		}
		if n := len(*c); n > 0 && uint64((*c)[n-1]) >= first {
			return fmt.Errorf("%q is not behind the chunks before it", ranges)
		}
		for n := first; n <= last; n++ {
			*c = append(*c, uint32(n))
		}
	}
	return nil
}
