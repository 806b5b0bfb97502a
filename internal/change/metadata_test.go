package change

import (
	"fmt"
	"math"
	"testing"
)

func TestPositionsSortAsText(t *testing.T) {
	before := ""
	for _, lsn := range []uint64{0, 1, 0xF, 0x10, 0xABCDEF, 0x16_B374D848, math.MaxInt64, math.MaxUint64} {
		text := FormatLSN(lsn)
		if want := fmt.Sprintf("%016X", lsn); text != want || text <= before {
			t.Errorf("got %s behind %s, want %s", text, before, want)
		}
		if back, err := ParseLSN(text); err != nil || back != lsn {
			t.Errorf("%s became %d, %v", text, back, err)
		}
		before = text
	}
}
